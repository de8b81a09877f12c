"""Which memory is there now and was not before, by address."""

from __future__ import annotations

import pytest

from pytest_memreturn._ranges import AddressSet, grown_ranges
from pytest_memreturn._sizes import KIB
from pytest_memreturn._snapshot import MappedRange, MappingKind


def heap(*spans: tuple[int, int], kind: MappingKind = "heap") -> list[MappedRange]:
    """Ranges of one kind."""
    return [MappedRange(start, end, kind, end - start) for start, end in spans]


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([(10, 20)], [(10, 20)], [], id="the same"),
        pytest.param([(10, 20)], [(10, 15)], [], id="shrank"),
        pytest.param([(10, 20)], [], [], id="went"),
        pytest.param([], [(10, 20)], [(10, 20)], id="came"),
        pytest.param([(10, 20)], [(10, 30)], [(20, 30)], id="grew at its end"),
        pytest.param([(10, 20)], [(5, 20)], [(5, 10)], id="grew at its start"),
        pytest.param([(10, 20)], [(5, 30)], [(5, 10), (20, 30)], id="grew on both sides"),
        pytest.param([(10, 20), (30, 40)], [(10, 40)], [(20, 30)], id="a hole was filled"),
        pytest.param([(10, 20), (30, 40)], [(15, 35)], [(20, 30)], id="ends inside old ones"),
        pytest.param([(10, 40)], [(12, 15), (30, 38)], [], id="holes came"),
        pytest.param([(10, 20), (50, 60)], [(10, 30)], [(20, 30)], id="an old one lies beyond"),
        pytest.param([(10, 20), (20, 30)], [(10, 40)], [(30, 40)], id="old ones that touch"),
        pytest.param([(10, 30), (15, 20)], [(10, 40)], [(30, 40)], id="old ones in each other"),
        pytest.param([(30, 30), (10, 20)], [(10, 40)], [(20, 40)], id="an old one of no length"),
        pytest.param(
            [(30, 40), (10, 20)],
            [(50, 60), (5, 45)],
            [(5, 10), (20, 30), (40, 45), (50, 60)],
            id="all, in any order",
        ),
    ],
)
def test_what_is_new_in_memory(
    before: list[tuple[int, int]], after: list[tuple[int, int]], grown: list[tuple[int, int]]
) -> None:
    """Each address that is in memory now and was not before, and no other; resident whole."""
    assert list(grown_ranges(heap(*before), heap(*after))) == heap(*grown)


def test_a_mapping_that_holds_as_much_as_before_brings_nothing_new() -> None:
    """Its pages were told apart before the window, and after it only counted."""
    before = heap((10, 12), (30, 33), kind="anonymous")
    assert list(grown_ranges(before, [MappedRange(10, 50, "anonymous", 5)])) == []
    [first, *_] = grown_ranges(before, [MappedRange(10, 50, "anonymous", 6)])
    assert (first.start, first.end) == (12, 30)


@pytest.mark.parametrize("kind", ["stack", "file", "shared-memory", "special"])
def test_only_memory_that_holds_objects_counts(kind: MappingKind) -> None:
    """No object lies on a stack or in a file."""
    assert list(grown_ranges([], heap((10, 20), kind=kind))) == []


@pytest.mark.parametrize("kind", ["heap", "arena", "anonymous"])
def test_memory_is_new_only_where_nothing_was(kind: MappingKind) -> None:
    """Whatever the kind was before: an address is old or new."""
    before = heap((10, 20), kind="stack")
    assert list(grown_ranges(before, heap((10, 30), kind=kind))) == heap((20, 30), kind=kind)


def test_a_part_says_nothing_of_huge_pages() -> None:
    """Which part of a range they lie in, the range does not say."""
    [found] = grown_ranges([], [MappedRange(10, 20, "heap", 5, huge_page_bytes=4)])
    assert found == MappedRange(10, 20, "heap", 10)


@pytest.mark.parametrize(
    ("address", "is_in"),
    [(9, False), (10, True), (19, True), (20, False), (30, True), (39, True), (40, False)],
)
def test_an_address_is_in_a_range_or_in_none(address: int, *, is_in: bool) -> None:
    """The end of a range is not in it."""
    assert AddressSet(heap((10, 20), (30, 40))).holds(address, 1) == is_in


@pytest.mark.parametrize(
    ("address", "size_bytes", "held"),
    [
        (20, 4, True),
        (19, 1, False),
        (15, 9, False),
        (15, 10, True),
        (15, 100, False),
        (29, 100, True),
        (30, 4, False),
        (20, 0, True),
    ],
)
def test_a_block_is_held_by_its_first_byte_or_by_its_middle(
    address: int, size_bytes: int, *, held: bool
) -> None:
    """Its first page may be an old one, shared with the block below it."""
    assert AddressSet(heap((20, 30))).holds(address, size_bytes) == held


@pytest.mark.parametrize(
    ("spans", "held"),
    [
        pytest.param([(10, 26), (60, 70)], True, id="a quarter, in two parts"),
        pytest.param([(10, 26), (60, 69)], False, id="less than a quarter"),
        pytest.param([(0, 5), (10, 20), (90, 120)], True, id="a part that reaches over its end"),
        pytest.param([(0, 5), (110, 120)], False, id="none of it"),
    ],
)
def test_of_a_large_block_a_quarter_is_enough(spans: list[tuple[int, int]], *, held: bool) -> None:
    """It may begin, and have its middle, on pages that were free and resident before."""
    found = AddressSet(heap(*((start * KIB, end * KIB) for start, end in spans)))
    assert found.holds(6 * KIB, 104 * KIB) == held


def test_a_set_without_ranges_is_empty() -> None:
    """So that nobody needs to ask it."""
    assert not AddressSet([])
    assert not AddressSet([]).holds(5, 1)
    assert AddressSet(heap((1, 2)))
