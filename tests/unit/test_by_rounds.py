"""Who grew from round to round."""

from __future__ import annotations

import pytest

from pytest_memreturn._by_rounds import ByRounds, Growers, causes_of_growth
from pytest_memreturn._explanation import Explanation, Pin, Survivors, SurvivorType
from pytest_memreturn._record import Rounds
from pytest_memreturn._verdict import Causes


@pytest.mark.parametrize(
    ("grown", "python_in_malloc_bytes", "causes"),
    [
        ({"python": 64, "malloc": 0}, 0, {"live-python": 64}),
        ({"python": 0, "malloc": 80}, 0, {"live-native": 80}),
        ({"python": 0, "malloc": 80}, -7, {"live-native": 80}),
        ({"python": 8, "malloc": 80}, 60, {"live-python": 68, "live-native": 20}),
        ({"malloc": 80}, 99, {"live-python": 80}),
        ({"malloc": 80, "jemalloc": 5}, None, {"unexplained": 85}),
        ({}, None, {}),
    ],
)
def test_causes(
    grown: dict[str, int], python_in_malloc_bytes: int | None, causes: dict[str, int]
) -> None:
    """What pymalloc has handed out is Python's, and of the rest what its objects hold."""
    found = causes_of_growth(grown, python_in_malloc_bytes)

    assert dict(found.bytes_by_cause) == causes
    assert list(found.bytes_by_cause) == list(causes)


def test_survivors_of_rounds_take_the_place_of_those_of_the_window() -> None:
    """Where somebody looked, also where none were found."""
    old = Explanation(survivors=(SurvivorType("dict", 1, 1),))

    assert Growers().added_to(old) == old
    assert Growers(survivors=Survivors()).added_to(old).survivors == ()


def test_nothing_is_pinned_where_what_grew_is_alive() -> None:
    """Free memory that something keeps in place is no part of the growth."""
    old = Explanation(pins=(Pin("list", 1, 88, "nearly empty arenas", 16, 800_000),))

    assert Growers().added_to(old) == old
    assert Growers(causes=Causes({"live-python": 64})).added_to(old).pins == ()


def test_what_rounds_may_keep_together() -> None:
    """As many times what each may."""
    found = ByRounds(Rounds(200, 50, 0, 1024, "marker on t"), "returned")

    assert found.decides
    assert found.allowance.allowed_bytes == 50 * 1024
    assert found.allowance.origin == "1.0 KiB per round, marker on t"
    assert not ByRounds(Rounds(200, 50, 0)).decides
