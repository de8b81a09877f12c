"""Pools in malloc's live blocks, one byte more or less."""

from __future__ import annotations

import pytest

from pytest_memreturn._pairs import Pair
from pytest_memreturn._pools import take_from_malloc
from pytest_memreturn._snapshot import AllocatorStatistics


def malloc(before: int, after: int) -> Pair:
    """What has handed out so much."""
    return Pair(AllocatorStatistics("malloc", before), AllocatorStatistics("malloc", after))


def pool(before: int, after: int, name: str = "pool") -> Pair:
    """What takes so much of it, and hands it all out."""
    return Pair(
        AllocatorStatistics(name, before, before, is_from_malloc=True),
        AllocatorStatistics(name, after, after, is_from_malloc=True),
    )


@pytest.mark.parametrize(
    ("pairs", "live", "taken", "left"),
    [
        pytest.param([malloc(0, 1000), pool(0, 1)], 500, {"malloc": 1}, 499, id="one byte"),
        pytest.param([malloc(100, 90), pool(10, 0)], -5, {"malloc": -5}, 0, id="given back"),
        pytest.param(
            [malloc(0, 120), pool(0, 60), pool(0, 60, "other")],
            100,
            {"malloc": 100},
            0,
            id="two that share what is there",
        ),
        pytest.param([malloc(0, 100), pool(7, 7)], 100, {}, 100, id="no growth"),
    ],
)
def test_what_pools_take_is_no_more_than_there_is(
    pairs: list[Pair], live: int, taken: dict[str, int], left: int
) -> None:
    """And what they take is malloc's no more."""
    accounts = {"malloc-live": live}
    assert take_from_malloc(pairs, accounts, {}, {}) == taken
    assert accounts["malloc-live"] == left
    assert sum(accounts.values()) == live
