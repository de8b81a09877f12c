"""The decision, and who has the memory."""

from __future__ import annotations

import pytest

from pytest_memreturn._allowance import Allowance
from pytest_memreturn._ledger import Ledger
from pytest_memreturn._verdict import Causes, Outcome, find_causes, judge, python_share


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


# The shapes of evidence: accounts at the gate, what `split_free` says of those of free memory, what
# surviving Python objects hold of malloc, and whom that accuses. One row, one story.
#   at the gate, parts of free memory, in malloc, causes
EVIDENCE: dict[
    str, tuple[dict[str, int], dict[str, dict[str, int]], int, list[tuple[str, int]]]
] = {
    "nothing moved": (
        {"malloc-live": 0, "malloc-free": 0, "python-live": 0, "mapped": 0},
        {"malloc-free": {"trimmable": 0, "pinned": 0}},
        0,
        [],
    ),
    "a trim returned it all": (
        {"malloc-free": 98, "malloc-live": 2},
        {"malloc-free": {"trimmable": 98, "pinned": 0}},
        0,
        [("held-by-malloc", 98), ("live-native", 2)],
    ),
    "a trim left it all": (
        {"malloc-free": 98},
        {"malloc-free": {"trimmable": 0, "pinned": 98}},
        0,
        [("pinned-malloc", 98)],
    ),
    "a trim returned a part": (
        {"malloc-free": 98},
        {"malloc-free": {"trimmable": 68, "pinned": 30}},
        0,
        [("held-by-malloc", 68), ("pinned-malloc", 30)],
    ),
    "what stayed is the tops of thread arenas, which nothing pins": (
        {"malloc-free": 98},
        {
            "malloc-free": {
                "thread-arenas-trimmable": 0,
                "thread-arenas-pinned": 8,
                "thread-arenas-tops": 90,
            }
        },
        0,
        [("held-by-malloc", 90), ("pinned-malloc", 8)],
    ),
    "pinned in two places": (
        {"malloc-free": 98},
        {
            "malloc-free": {
                "main-heap-trimmable": 20,
                "main-heap-pinned": 30,
                "thread-arenas-trimmable": 8,
                "thread-arenas-pinned": 40,
                "thread-arenas-tops": 0,
            }
        },
        0,
        [("pinned-malloc", 70), ("held-by-malloc", 28)],
    ),
    "nobody could ask for it": (
        {"malloc-free": 98},
        {},
        0,
        [("held-by-malloc", 98)],
    ),
    "nobody could ask for it, but it is known where it lies": (
        {"malloc-free": 98},
        {"malloc-free": {"main-heap": 90, "thread-arenas": 8}},
        0,
        [("held-by-malloc", 98)],
    ),
    "free memory of earlier tests went, live memory came": (
        {"malloc-free": -50, "malloc-live": 60},
        {"malloc-free": {"trimmable": -50, "pinned": 0}},
        0,
        [("live-native", 60)],
    ),
    "blocks of malloc are surviving Python objects": (
        {"malloc-live": 60},
        {},
        60,
        [("live-python", 60)],
    ),
    "the survivors explain a part": (
        {"malloc-live": 60},
        {},
        45,
        [("live-python", 45), ("live-native", 15)],
    ),
    "the survivors are larger than the account: they lie in older memory": (
        {"malloc-live": 60},
        {},
        500,
        [("live-python", 60)],
    ),
    "survivors in an account that shrank": (
        {"malloc-live": -5, "mapped": 9},
        {},
        500,
        [("mapped", 9)],
    ),
    "small and large Python objects are one cause": (
        {"malloc-live": 60, "python-live": 20},
        {},
        60,
        [("live-python", 80)],
    ),
    "survivors are not counted once for each allocator": (
        {"pool-live": 50, "malloc-live": 60},
        {},
        60,
        [("live-python", 60), ("live-native", 50)],
    ),
    "what malloc does not hold of them, another allocator does": (
        {"pool-live": 50, "malloc-live": 60},
        {},
        80,
        [("live-python", 80), ("live-native", 30)],
    ),
    "free room in pymalloc is pinned, trim or no trim": (
        {"python-free": 40, "python-live": 1},
        {},
        0,
        [("pinned-python", 40), ("live-python", 1)],
    ),
    "an allocator of its own name": (
        {"pool-live": 7, "pool-free": 30},
        {"pool-free": {"trimmable": 10, "pinned": 20}},
        0,
        [("pinned-pool", 20), ("held-by-pool", 10), ("live-native", 7)],
    ),
    "an allocator with a hyphen in its name": (
        {"py-arrow-free": 30},
        {"py-arrow-free": {"trimmable": 30, "pinned": 0}},
        0,
        [("held-by-py-arrow", 30)],
    ),
    "mappings and stacks are one cause": (
        {"mapped": 5, "stacks": 8, "shared-memory": 4},
        {},
        0,
        [("mapped", 13), ("shared-memory", 4)],
    ),
    "processes that still run": (
        {"children": 30, "mapped": 5},
        {},
        0,
        [("child-process", 30), ("mapped", 5)],
    ),
    "an account that a hook added": (
        {"device-pool": 30, "mapped": 5},
        {},
        0,
        [("device-pool", 30), ("mapped", 5)],
    ),
    "nobody knows whose pages were swapped out": (
        {"swapped": 30, "mapped": 5},
        {},
        0,
        [("unexplained", 30), ("mapped", 5)],
    ),
}


@pytest.mark.parametrize(
    ("at_gate", "parts", "in_malloc_bytes", "causes"),
    EVIDENCE.values(),
    ids=EVIDENCE.keys(),
)
def test_evidence_and_cause(
    at_gate: dict[str, int],
    parts: dict[str, dict[str, int]],
    in_malloc_bytes: int,
    causes: list[tuple[str, int]],
) -> None:
    """Each shape of evidence accuses whom it should, the largest first."""
    ledger = Ledger(sum(at_gate.values()), at_gate)
    found = find_causes(ledger, parts, python_in_malloc_bytes=in_malloc_bytes)
    assert list(found.bytes_by_cause.items()) == causes


def test_what_no_account_holds_is_a_cause_of_its_own() -> None:
    """The unexplained part is named, not spread over the others."""
    found = find_causes(Ledger(100, {"mapped": 10}), {}, python_in_malloc_bytes=0)
    assert found.bytes_by_cause == {"unexplained": 90, "mapped": 10}


def test_what_nobody_could_look_at_is_unexplained() -> None:
    """Live blocks of malloc are Python's or native code's, and only a census tells whose."""
    ledger = Ledger(90, {"malloc-live": 60, "python-live": 30})
    found = find_causes(ledger, {}, python_in_malloc_bytes=None)
    assert found.bytes_by_cause == {"unexplained": 60, "live-python": 30}


def test_a_census_that_is_not_whole_accuses_no_native_code() -> None:
    """What it has found is Python's; of the rest nobody can say whose it is."""
    ledger = Ledger(90, {"malloc-live": 90})
    found = find_causes(ledger, {}, python_in_malloc_bytes=30, census_is_whole=False)
    assert found.bytes_by_cause == {"unexplained": 60, "live-python": 30}


def test_a_negative_census_takes_nothing_away() -> None:
    """Survivors can't hold less than nothing of an account."""
    found = find_causes(Ledger(20, {"malloc-live": 20}), {}, python_in_malloc_bytes=-5)
    assert found.bytes_by_cause == {"live-native": 20}


@pytest.mark.parametrize(
    ("by_address", "newborn", "all_python", "all_live", "share"),
    [
        pytest.param(30, 0, 200, 1000, 30, id="what was found by address"),
        pytest.param(0, 30, 200, 1000, 30, id="what was newborn"),
        pytest.param(20, 30, 200, 1000, 30, id="some of the newborn also by address"),
        pytest.param(0, 0, 200, 1000, 0, id="nobody was named"),
        pytest.param(0, 0, 930, 1000, 30, id="native code has no more than 70 of the 100"),
        pytest.param(0, 50, 930, 1000, 50, id="more was named than that"),
        pytest.param(0, 500, 20, 1000, 20, id="newborns have no more than all have"),
        pytest.param(50, 0, 20, 1000, 50, id="by address, what a library has for them as well"),
        pytest.param(0, 0, 1500, 1000, 600, id="objects that share memory: sizes sum to too much"),
        pytest.param(-5, -5, 0, 1000, 0, id="never less than nothing"),
    ],
)
def test_the_share_of_python_objects_where_addresses_do_not_tell(
    by_address: int, newborn: int, all_python: int, all_live: int, share: int
) -> None:
    """What was named, or what must be theirs for want of anybody else, of a growth of 100."""
    found = python_share(
        100,
        by_address_bytes=by_address,
        newborn_bytes=newborn,
        all_python_bytes=all_python,
        all_live_bytes=all_live,
    )
    assert found == share


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


@pytest.mark.parametrize(
    ("causes", "is_clear"),
    [
        pytest.param({"held-by-malloc": 75, "live-native": 25}, True, id="a quarter may live"),
        pytest.param({"held-by-malloc": 74, "live-native": 26}, False, id="more may live"),
        pytest.param(
            {"held-by-malloc": 74, "live-native": 13, "pinned-python": 13}, False, id="together"
        ),
        pytest.param(
            {"live-native": 24, "held-by-a": 20, "held-by-b": 20, "child-process": 36 - 4 + 1},
            False,
            id="the first of many is listed",
        ),
        pytest.param({"child-process": 40, "shared-memory": 40}, True, id="outside"),
        pytest.param({"held-by-jemalloc": 1}, True, id="another allocator"),
        pytest.param({"pinned-malloc": 1}, False, id="pinned, by whom?"),
        pytest.param({"mapped": 1}, False, id="a mapping, whose?"),
        pytest.param({"unexplained": 1}, False, id="unexplained"),
        pytest.param({}, True, id="nothing"),
    ],
)
def test_who_survived_is_asked_where_it_could_be_told(
    causes: dict[str, int], *, is_clear: bool
) -> None:
    """What is free, or outside, is nobody's object."""
    assert Causes(causes).is_clear_without_survivors is is_clear
