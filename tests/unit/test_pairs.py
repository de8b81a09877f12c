"""Allocators in two snapshots."""

from __future__ import annotations

import pytest

from pytest_memreturn._pairs import Pair, between_zero_and, paired_allocators
from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot


def pairs(before: list[AllocatorStatistics], after: list[AllocatorStatistics]) -> list[Pair]:
    """Those that can be compared, of two readings with nothing else in them."""
    return paired_allocators(
        Snapshot(0, 0, allocators=tuple(before)), Snapshot(0, 0, allocators=tuple(after))
    )


@pytest.mark.parametrize("held", [None, 0])
def test_one_that_came_had_nothing_before(held: int | None) -> None:
    """Neither live blocks nor room, of every kind that it has; and as far as it says."""
    new = AllocatorStatistics("pool", 5, None if held is None else 9, live_by_kind={"heap": 5})
    [found] = pairs([], [new])
    assert found.after is new
    assert found.before == AllocatorStatistics("pool", 0, held, live_by_kind={"heap": 0})


def test_one_that_cannot_be_compared_does_not_hide_those_after_it() -> None:
    """It is passed over, and they are not."""
    silent = AllocatorStatistics("python", 0, is_silent=True)
    unheard = AllocatorStatistics("jemalloc", 5, from_start=True)
    pool = AllocatorStatistics("pool", 5)
    found = pairs([pool], [silent, unheard, pool])
    assert [one.name for one in found] == ["pool"]


@pytest.mark.parametrize(
    ("bound", "value", "found"),
    [(5, 3, 3), (5, 7, 5), (5, -1, 0), (-5, -3, -3), (-5, -7, -5), (-5, 1, 0), (0, 9, 0)],
)
def test_a_claim_is_cut_to_what_is_there(bound: int, value: int, found: int) -> None:
    """On whichever side of nothing that is."""
    assert between_zero_and(bound, value) == found
