"""Memory that is resident only for being in huge pages, on layouts made up here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import MappedRange, MappingKind, Snapshot
from pytest_memreturn.explain import huge_pages
from pytest_memreturn.explain.huge_pages import filled_up_bytes, unwritten_huge_page_bytes

BLOCK = 2 * MIB


def mapping(start: int, end: int, huge: int = 0, kind: MappingKind = "anonymous") -> MappedRange:
    """From block to block, with so many huge pages in it."""
    return MappedRange(
        start * BLOCK, end * BLOCK, kind, (end - start) * BLOCK, huge_page_bytes=huge * BLOCK
    )


def layout(huge: int | None, *ranges: MappedRange) -> Snapshot:
    """A snapshot with so many huge pages in all."""
    huge_bytes = None if huge is None else huge * BLOCK
    return Snapshot(0, 0, huge_page_bytes=huge_bytes, ranges=ranges)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The blocks that are looked at, as pairs; a half of each is found to hold zeros."""
    asked: list[tuple[int, int]] = []

    def half(start: int, end: int) -> Iterator[int]:
        asked.append((start // BLOCK, end // BLOCK))
        return (BLOCK // 2 for _ in range(start, end, BLOCK))

    monkeypatch.setattr(huge_pages, "zero_bytes_by_block", half)
    return asked


@pytest.mark.parametrize(("old", "new"), [(None, 3), (3, None), (None, None)])
def test_a_layout_without_huge_pages_tells_nothing(
    old: int | None, new: int | None, looked_at: list[tuple[int, int]]
) -> None:
    """Nobody could look, which is not zero."""
    assert unwritten_huge_page_bytes(layout(old), layout(new, mapping(0, 4, huge=2))) is None
    assert looked_at == []


@pytest.mark.parametrize(("old", "new"), [(0, 0), (2, 2), (3, 2)])
def test_without_new_huge_pages_nothing_is_looked_at(
    old: int, new: int, looked_at: list[tuple[int, int]]
) -> None:
    """Reading gigabytes of memory to find nothing new would cost seconds."""
    assert unwritten_huge_page_bytes(layout(old), layout(new, mapping(0, 4, huge=2))) == 0
    assert looked_at == []


def test_only_new_parts_with_huge_pages_are_looked_at(looked_at: list[tuple[int, int]]) -> None:
    """Neither what was there before, nor a mapping without any, nor one that is no private one."""
    before = layout(1, mapping(0, 4, huge=1))
    after = layout(
        9,
        mapping(0, 10, huge=4),
        mapping(20, 24),
        mapping(30, 32, huge=2, kind="heap"),
        mapping(40, 44, huge=2, kind="file"),
    )
    assert unwritten_huge_page_bytes(before, after) == (6 + 2) // 2 * BLOCK
    assert looked_at == [(4, 10), (30, 32)]


def test_there_is_no_more_than_what_grew(looked_at: list[tuple[int, int]]) -> None:
    """Blocks may look huge that are not: their pages came one by one."""
    assert unwritten_huge_page_bytes(layout(1), layout(2, mapping(0, 10, huge=1))) == BLOCK
    assert looked_at == [(0, 10)]


@pytest.mark.parametrize("kind", ["heap", "arena"])
def test_heaps_that_huge_pages_filled_up(
    kind: MappingKind, looked_at: list[tuple[int, int]]
) -> None:
    """Holes, and the end they grew by; no other mappings."""
    before = layout(1, mapping(0, 4, kind=kind), mapping(6, 7, kind=kind), mapping(20, 21))
    after = layout(9, mapping(0, 9, huge=6, kind=kind), mapping(20, 24, huge=2))
    assert filled_up_bytes(before, after) == (2 + 2) // 2 * BLOCK
    assert looked_at == [(4, 6), (7, 9)]


@pytest.mark.parametrize(
    ("in_heap", "found"),
    [
        pytest.param(3, 3, id="more lies in other mappings"),
        pytest.param(0, 0, id="none in heaps"),
        pytest.param(20, 4, id="more than has been come upon is somebody's doing"),
    ],
)
def test_so_much_is_filled_up_at_most(
    in_heap: int, found: int, looked_at: list[tuple[int, int]]
) -> None:
    """Arrays have huge pages of their own, and freed zeros look like zeros nobody wrote."""
    before = layout(0, mapping(0, 4, kind="heap"))
    after = layout(
        30, mapping(0, 30, huge=in_heap, kind="heap"), mapping(40, 60, huge=30 - in_heap)
    )
    assert filled_up_bytes(before, after) == found * BLOCK
    assert bool(looked_at) == bool(found)


def test_zeros_that_fill_a_whole_block_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array of zeros that was freed is memory that malloc holds."""
    monkeypatch.setattr(
        huge_pages, "zero_bytes_by_block", lambda *_: iter([BLOCK - 1, BLOCK, BLOCK, 5])
    )
    before, after = layout(1), layout(9, mapping(0, 4, huge=4, kind="heap"))
    assert filled_up_bytes(before, after) == BLOCK + 4


@pytest.mark.parametrize(("old", "new", "found"), [(8, 9, 1), (9, 9, 0), (9, 8, 0), (8, None, 0)])
def test_no_more_was_filled_up_than_huge_pages_grew_by(
    old: int, new: int | None, found: int, looked_at: list[tuple[int, int]]
) -> None:
    """Where nobody can tell, nothing is let pass."""
    before = layout(old, mapping(0, 4, kind="heap"))
    after = layout(new, mapping(0, 12, huge=1, kind="heap"))
    assert filled_up_bytes(before, after) == found * BLOCK
    assert len(looked_at) == found
