"""The decision, and who has the memory."""

from __future__ import annotations

import pytest

from pytest_memreturn._allowance import Allowance
from pytest_memreturn._ledger import Ledger
from pytest_memreturn._verdict import Causes, Outcome, find_causes, judge


@pytest.mark.parametrize(
    ("retained_bytes", "allowed_bytes", "outcome"),
    [
        (101, 100, "retained"),
        (100, 100, "returned"),
        (99, 100, "returned"),
        (1, 0, "retained"),
        (0, 0, "returned"),
        (-1, 0, "returned"),
    ],
)
def test_only_what_is_beyond_the_allowance_is_retained(
    retained_bytes: int, allowed_bytes: int, outcome: Outcome
) -> None:
    """A window that keeps exactly what it may passes, and zero means exactly zero."""
    assert judge(retained_bytes, Allowance(allowed_bytes, "test")) == outcome


# The shapes of evidence: accounts at the gate, the same after a trim, what surviving Python objects
# hold of malloc, thread-arena tops by allocator, and whom that accuses. One row, one story.
#   at the gate, after trim, in malloc, tops, causes
EVIDENCE: dict[
    str, tuple[dict[str, int], dict[str, int], int, dict[str, int], list[tuple[str, int]]]
] = {
    "nothing moved": (
        {"malloc-live": 0, "malloc-free": 0, "python-live": 0, "mapped": 0},
        {},
        0,
        {},
        [],
    ),
    "a trim returned it all": (
        {"malloc-free": 98, "malloc-live": 2},
        {"malloc-free": 0, "malloc-live": 2},
        0,
        {},
        [("held-by-malloc", 98), ("live-native", 2)],
    ),
    "a trim left it all": (
        {"malloc-free": 98},
        {"malloc-free": 98},
        0,
        {},
        [("pinned-malloc", 98)],
    ),
    "a trim returned a part": (
        {"malloc-free": 98},
        {"malloc-free": 30},
        0,
        {},
        [("held-by-malloc", 68), ("pinned-malloc", 30)],
    ),
    "what stayed is the tops of thread arenas, which nothing pins": (
        {"malloc-free": 98},
        {"malloc-free": 98},
        0,
        {"malloc": 90},
        [("held-by-malloc", 90), ("pinned-malloc", 8)],
    ),
    "the tops are larger than what stayed": (
        {"malloc-free": 98},
        {"malloc-free": 40},
        0,
        {"malloc": 90},
        [("held-by-malloc", 98)],
    ),
    "the tops are another allocator's": (
        {"malloc-free": 98},
        {"malloc-free": 98},
        0,
        {"pool": 90},
        [("pinned-malloc", 98)],
    ),
    "more is free after the trim than before it": (
        {"malloc-free": 10},
        {"malloc-free": 25},
        0,
        {},
        [("pinned-malloc", 10)],
    ),
    "the trim gave back more than was retained": (
        {"malloc-free": 10},
        {"malloc-free": -5},
        0,
        {},
        [("held-by-malloc", 10)],
    ),
    "the trim was followed by others' free memory": (
        {"malloc-free": -3, "mapped": 9},
        {"malloc-free": 4, "mapped": 9},
        0,
        {},
        [("mapped", 9)],
    ),
    "free memory of earlier tests went, live memory came": (
        {"malloc-free": -50, "malloc-live": 60},
        {"malloc-free": -50, "malloc-live": 60},
        0,
        {},
        [("live-native", 60)],
    ),
    "blocks of malloc are surviving Python objects": (
        {"malloc-live": 60},
        {"malloc-live": 60},
        60,
        {},
        [("live-python", 60)],
    ),
    "the survivors explain a part": (
        {"malloc-live": 60},
        {"malloc-live": 60},
        45,
        {},
        [("live-python", 45), ("live-native", 15)],
    ),
    "the survivors are larger than the account: they lie in older memory": (
        {"malloc-live": 60},
        {"malloc-live": 60},
        500,
        {},
        [("live-python", 60)],
    ),
    "survivors in an account that shrank": (
        {"malloc-live": -5, "mapped": 9},
        {},
        500,
        {},
        [("mapped", 9)],
    ),
    "small and large Python objects are one cause": (
        {"malloc-live": 60, "python-live": 20},
        {},
        60,
        {},
        [("live-python", 80)],
    ),
    "survivors are not counted once for each allocator": (
        {"malloc-live": 60, "pool-live": 50},
        {},
        60,
        {},
        [("live-python", 60), ("live-native", 50)],
    ),
    "free room in pymalloc is pinned, trim or no trim": (
        {"python-free": 40, "python-live": 1},
        {"python-free": 0, "python-live": 1},
        0,
        {},
        [("pinned-python", 40), ("live-python", 1)],
    ),
    "an allocator of its own name": (
        {"pool-live": 7, "pool-free": 30},
        {"pool-live": 7, "pool-free": 20},
        0,
        {},
        [("pinned-pool", 20), ("held-by-pool", 10), ("live-native", 7)],
    ),
    "an allocator with a hyphen in its name": (
        {"py-arrow-free": 30},
        {},
        0,
        {},
        [("held-by-py-arrow", 30)],
    ),
    "mappings and stacks are one cause": (
        {"mapped": 5, "stacks": 8, "shared-memory": 4},
        {},
        0,
        {},
        [("mapped", 13), ("shared-memory", 4)],
    ),
    "nobody knows whose pages were swapped out": (
        {"swapped": 30, "mapped": 5},
        {},
        0,
        {},
        [("unexplained", 30), ("mapped", 5)],
    ),
}


@pytest.mark.parametrize(
    ("at_gate", "after_trim", "in_malloc_bytes", "tops", "causes"),
    EVIDENCE.values(),
    ids=EVIDENCE.keys(),
)
def test_evidence_and_cause(
    at_gate: dict[str, int],
    after_trim: dict[str, int],
    in_malloc_bytes: int,
    tops: dict[str, int],
    causes: list[tuple[str, int]],
) -> None:
    """Each shape of evidence accuses whom it should, the largest first."""
    found = find_causes(
        Ledger(sum(at_gate.values()), at_gate),
        Ledger(sum(after_trim.values()), after_trim),
        python_in_malloc_bytes=in_malloc_bytes,
        returnable=tops,
    )
    assert list(found.bytes_by_cause.items()) == causes


def test_what_no_account_holds_is_a_cause_of_its_own() -> None:
    """The unexplained part is named, not spread over the others."""
    ledger = Ledger(100, {"mapped": 10})
    found = find_causes(ledger, ledger, python_in_malloc_bytes=0, returnable={})
    assert found.bytes_by_cause == {"unexplained": 90, "mapped": 10}


def test_what_nobody_could_look_at_is_unexplained() -> None:
    """Live blocks of malloc are Python's or native code's, and only a census tells whose."""
    ledger = Ledger(90, {"malloc-live": 60, "python-live": 30})
    found = find_causes(ledger, ledger, python_in_malloc_bytes=None, returnable={})
    assert found.bytes_by_cause == {"unexplained": 60, "live-python": 30}


def test_a_negative_census_takes_nothing_away() -> None:
    """Survivors can't hold less than nothing of an account."""
    ledger = Ledger(20, {"malloc-live": 20})
    found = find_causes(ledger, ledger, python_in_malloc_bytes=-5, returnable={})
    assert found.bytes_by_cause == {"live-native": 20}


def test_the_largest_share_names_the_cause() -> None:
    """The first of the shares is the cause; the others are listed above a quarter of the whole."""
    causes = Causes({"mapped": 50, "live-native": 26, "pinned-python": 24})
    assert causes.first == "mapped"
    assert causes.listed == {"mapped": 50, "live-native": 26}


def test_a_quarter_exactly_is_not_listed() -> None:
    """Only what has more than a quarter is worth a line."""
    assert Causes({"mapped": 75, "live-native": 25}).listed == {"mapped": 75}


def test_the_first_cause_is_listed_however_small_its_share() -> None:
    """Of many small shares the first is still the cause."""
    causes = Causes(dict.fromkeys(["mapped", "live-native", "held-by-malloc", "stacks"], 10))
    assert causes.listed == {"mapped": 10}


def test_where_nothing_has_a_share_the_cause_is_unexplained() -> None:
    """There is always a slug to print."""
    assert Causes({}).first == "unexplained"
    assert Causes({}).listed == {}
