"""What is kept of readings between rounds."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest

from pytest_memreturn._round_points import FOOTPRINT, MOST_POINTS, RoundPoints


def filled(rounds: int) -> RoundPoints:
    """Points of so many rounds: 10 bytes more each in malloc, 1 in python, 100 outside both."""
    found = RoundPoints()
    found.add(0, {"malloc": 0, "python": 0, FOOTPRINT: 0})
    for number in range(1, rounds + 1):
        if found.is_due(number) or number == rounds:
            found.add(number, {"malloc": 10 * number, "python": number, FOOTPRINT: 100 * number})
    return found


@pytest.mark.parametrize("rounds", [1, 2, 23, 24, 25, 48, 200, 1001, 30_000])
def test_points_are_few_and_evenly_spread(rounds: int) -> None:
    """From the baseline to the last round, however many there are."""
    found = filled(rounds)

    assert len(found) <= MOST_POINTS
    assert len(found) >= min(rounds + 1, MOST_POINTS // 2)
    assert (found.rounds[0], found.rounds[-1]) == (0, rounds)
    steps = [late - early for early, late in pairwise(found.rounds)]
    assert len(set(steps[:-1])) <= 1
    assert steps[-1] <= steps[0]
    assert list(found.of("malloc")) == [10 * one for one in found.rounds]
    assert list(found.of(FOOTPRINT)) == [100 * one for one in found.rounds]
    assert list(found.live()) == [11 * one for one in found.rounds]


def test_an_allocator_that_comes_later_had_nothing_before() -> None:
    """So has one that says nothing for a time."""
    found = RoundPoints()
    found.add(0, {FOOTPRINT: 5, "malloc": 7})
    found.add(1, {FOOTPRINT: 6, "jemalloc": 3})

    assert set(found.names) == {FOOTPRINT, "malloc", "jemalloc"}
    assert list(found.of("jemalloc")) == [0, 3]
    assert list(found.of("malloc")) == [7, 0]
    assert list(found.live()) == [7, 3]


def test_points_need_no_more_room_in_the_end_than_at_first() -> None:
    """What looks for growth must not grow."""
    found = RoundPoints()
    figures = {"malloc": 2**40, FOOTPRINT: 2**41}
    found.add(0, figures)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1, 300):
        if found.is_due(number):
            found.add(number, figures)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < 200
