"""What is known of a run that ends early."""

from __future__ import annotations

import pytest

from pytest_memreturn._ending import Ending
from pytest_memreturn._record import Due
from pytest_memreturn.report.run import Partial


class Interrupted(KeyboardInterrupt):
    """As pytest and pytest-xdist have it, each of its own."""


def test_a_run_that_comes_to_its_end() -> None:
    """Lacks nothing, however many of its tests were never begun: somebody else may run them."""
    ending = Ending()
    ending.test_begins("a")
    ending.verdict_is_due(Due("a", "collect"), None)
    ending.verdict_came("a", None)
    ending.test_ends("a")

    assert ending.early_end(5) is None
    assert not list(ending.still_owed())


def test_what_had_begun() -> None:
    """Tests that never ended are named once each, and those that never began are counted."""
    ending = Ending()
    for nodeid in ("b", "a", "a", "c"):
        ending.test_begins(nodeid)
    ending.test_ends("c")
    ending.test_ends("a")  # one worker's, and the other's still runs
    ending.limit_reached("stopping after 1 failures")

    assert ending.early_end(6) == Partial(
        "stopping after 1 failures; 2 of 6 tests were not reached", ("a", "b")
    )
    assert ending.early_end(4) == Partial("stopping after 1 failures", ("a", "b"))
    assert ending.early_end(None) == Partial("stopping after 1 failures", ("a", "b"))


@pytest.mark.parametrize("by", ["pytest", "pytest-xdist"])
def test_a_limit_that_the_last_test_reaches(by: str) -> None:
    """Nothing is missing then; where a verdict is, the limit is its reason."""
    ending = Ending()
    ending.test_begins("a")
    ending.test_ends("a")
    if by == "pytest":
        ending.limit_reached("stopping after 1 failures")
    else:
        ending.interrupted(Interrupted("stopping after 1 failures"))

    assert ending.early_end(1) is None
    ending.verdict_is_due(Due("b", "collect"), "gw1")
    (record,) = ending.still_owed()
    assert record.reason == "the run ended while it ran: stopping after 1 failures"
    assert ending.early_end(2) == Partial(
        "stopping after 1 failures; 1 of 2 tests were not reached"
    )


def test_a_test_that_runs_at_the_end_is_enough() -> None:
    """Whoever ends a run so that no hook is told of it hides nothing."""
    ending = Ending()
    ending.test_begins("a")

    assert ending.early_end(1) == Partial("the run ended while tests ran", ("a",))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (pytest.exit.Exception("enough"), "Exit: enough"),
        (Interrupted("1 error during collection"), "1 error during collection"),
        (Interrupted(), ""),
    ],
)
def test_interrupted(error: BaseException, said: str) -> None:
    """What pytest tells itself needs no name of an exception."""
    ending = Ending()
    ending.interrupted(error)
    assert ending.early_end(None) == (Partial(said) if said else None)


def test_internal_error() -> None:
    """The first line of it, on one line."""
    ending = Ending()
    ending.failed(ValueError("bad\x1b[31m\nand more"))
    assert ending.early_end(None) == Partial(r"internal error: ValueError: bad\x1b[31m")


def test_reasons_are_said_once() -> None:
    """In the order in which they came, after what became of workers."""
    ending = Ending()
    ending.stopped("first")
    ending.stopped("second")
    ending.stopped("first")
    ending.worker_lost("gw1", "Not properly terminated")
    ending.worker_lost("gw0", "keyboard-interrupt")
    ending.worker_lost("gw2", "Not properly terminated")
    ending.interrupted(Interrupted("<WorkerController gw0> received keyboard-interrupt"))

    partial = ending.early_end(None)

    assert partial is not None
    assert partial.reason == "workers gw1, gw2 died; worker gw0 was interrupted; first; second"


def test_verdicts_that_are_due() -> None:
    """Each has a record with the reason, for each worker that ran the test; and only once."""
    ending = Ending()
    ending.verdict_is_due(Due("a", "collect"), "gw0")
    ending.verdict_is_due(Due("a", "trim"), "gw1")
    ending.verdict_came("a", "gw0")
    ending.interrupted(KeyboardInterrupt())

    (record,) = ending.still_owed()

    assert (record.nodeid, record.worker, record.gate) == ("a", "gw1", "trim")
    assert record.verdict == "unjudged"
    assert record.reason == "the run ended while it ran: KeyboardInterrupt"
    assert not list(ending.still_owed())


def test_a_verdict_that_is_due_when_nothing_was_said() -> None:
    """The reason says as much as is known."""
    ending = Ending()
    ending.verdict_is_due(Due("a", "collect"), None)
    assert [one.reason for one in ending.still_owed()] == ["the run ended while it ran"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("Not properly terminated", "worker gw1 died while it ran"),
        ("keyboard-interrupt", "worker gw1 was interrupted while it ran"),
    ],
)
def test_a_worker_is_lost(error: str, reason: str) -> None:
    """Its test has a record that says so, and failed for pytest."""
    ending = Ending()
    ending.test_begins("a")
    ending.verdict_is_due(Due("a", "trim"), "gw1")
    ending.worker_lost("gw1", error)

    record = ending.test_crashed("a", "gw1", runs_again=False)

    assert record is not None
    assert (record.verdict, record.gate, record.worker) == ("unjudged", "trim", "gw1")
    assert (record.reason, record.own_outcome) == (reason, "failed")
    assert not list(ending.still_owed())
    assert ending.early_end(1) == Partial(reason.removesuffix(" while it ran"), ("a",))


def test_a_worker_is_lost_within_a_class() -> None:
    """The verdict over the class is missing there, whatever another worker makes of the rest."""
    ending = Ending()
    ending.verdict_is_due(Due("A", "collect", "class"), "gw1")
    ending.verdict_is_due(Due("A::a", "collect"), "gw1")
    ending.verdict_is_due(Due("A", "collect", "class"), "gw2")
    ending.worker_lost("gw1", "Not properly terminated")
    assert ending.test_crashed("A::a", "gw1", runs_again=False) is not None
    ending.verdict_came("A", "gw2")

    (record,) = ending.still_owed()

    assert (record.nodeid, record.window, record.worker) == ("A", "class", "gw1")
    assert record.reason == "worker gw1 died while it ran"
    assert record.own_outcome is None


def test_a_worker_is_lost_with_nothing_due() -> None:
    """A test that is not judged, or whose verdict has come, has no record of its worker's end."""
    ending = Ending()
    assert ending.test_crashed("a", "gw1", runs_again=False) is None


def test_a_worker_is_lost_where_every_test_is_judged() -> None:
    """A test of which nothing was heard has its record, too; one that had its verdict has not."""
    ending = Ending(Due("", "trim", "test"))
    ending.heard_of("b", "gw1")

    record = ending.test_crashed("a", "gw1", runs_again=False)

    assert record is not None
    assert (record.nodeid, record.gate, record.window) == ("a", "trim", "test")
    assert ending.test_crashed("b", "gw1", runs_again=False) is None


def test_a_crashed_test_that_runs_again() -> None:
    """It does not run any more until it begins again, and is no further test."""
    ending = Ending()
    ending.test_begins("a")
    ending.verdict_is_due(Due("a", "collect"), "gw1")
    ending.worker_lost("gw1", "Not properly terminated")
    assert ending.test_crashed("a", "gw1", runs_again=True) is None
    assert ending.early_end(2) == Partial("worker gw1 died; 1 of 2 tests were not reached")

    ending.test_begins("a")
    assert ending.early_end(2) == Partial("worker gw1 died; 1 of 2 tests were not reached", ("a",))
    assert not list(ending.still_owed())
