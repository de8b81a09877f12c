"""Snapshots as data."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_memreturn._outside import NOTHING_OUTSIDE
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, Snapshot

MALLOC = AllocatorStatistics("malloc", live_bytes=5)
PYTHON = AllocatorStatistics("python", live_bytes=3, held_bytes=4)
LAYOUT = Snapshot(
    30,
    40,
    kinds={"heap": KindUsage(100, 10), "arena": KindUsage(100, 20)},
    allocators=(MALLOC, PYTHON),
)


def test_counted_bytes_sum_over_the_kinds_asked_for() -> None:
    """Kinds that are not there count nothing, and nothing asked for is nothing."""
    assert LAYOUT.counted_bytes("heap") == 10
    assert LAYOUT.counted_bytes("heap", "arena", "stack") == 30
    assert LAYOUT.counted_bytes("stack") == 0
    assert LAYOUT.counted_bytes() == 0


def test_an_allocator_is_found_by_its_name() -> None:
    """An allocator that had nothing to say is ``None``."""
    assert LAYOUT.allocator("malloc") is MALLOC
    assert LAYOUT.allocator("python") is PYTHON
    assert LAYOUT.allocator("jemalloc") is None


def test_a_snapshot_without_layout_has_no_kinds() -> None:
    """What a probe cannot see is missing, not zero."""
    bare = Snapshot(1, 2)
    assert not bare.kinds
    assert (bare.lazy_free_bytes, bare.file_bytes, bare.huge_page_bytes) == (None, None, None)
    assert bare.counted_bytes("heap") == 0


def test_a_snapshot_cannot_be_changed() -> None:
    """A reading stays what it was."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        LAYOUT.rss_bytes = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        Snapshot(1, 2).kinds["heap"] = KindUsage(1, 1)  # type: ignore[index]


@pytest.mark.parametrize(
    ("live", "held", "free"),
    [
        pytest.param(3, 10, 7, id="room"),
        pytest.param(10, 10, 0, id="full"),
        pytest.param(12, 10, 0, id="figures that were read one after the other"),
        pytest.param(3, None, 0, id="untold"),
    ],
)
def test_the_room_of_an_allocator(live: int, held: int | None, free: int) -> None:
    """What it holds and has not handed out; nothing is known of one that does not say."""
    assert AllocatorStatistics("pool", live, held).free_bytes == free


def test_nothing_is_outside_unless_somebody_says_so() -> None:
    """A reading of a process is of that process."""
    assert LAYOUT.outside is NOTHING_OUTSIDE
    with pytest.raises(TypeError):
        MALLOC.live_by_kind["heap"] = 1  # type: ignore[index]
