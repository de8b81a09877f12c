"""Attempts at a test: which of several counts."""

from __future__ import annotations

from pytest_memreturn._record import Attempt, Record
from pytest_memreturn.report.attempts import Attempts
from pytest_memreturn.report.names import name_of

KEPT = Record("t", "retained", "collect", retained_bytes=9, cause="mapped")
BLOCK = Record("t", "retained", "collect", label="b", retained_bytes=5, cause="mapped")
FAILED = Record("t", "unjudged", "collect", reason="the test failed by itself")
BACK = Record("t", "returned", "collect", retained_bytes=0)


def test_a_test_that_ran_once() -> None:
    """Its records are those that came, as they were, once it has ended."""
    attempts = Attempts()
    attempts.add("t", [BLOCK])
    attempts.add("t", [KEPT])
    assert list(attempts.end("t")) == [BLOCK, KEPT]
    assert list(attempts.end("t")) == []
    assert list(attempts.end_all()) == []


def test_the_last_attempt_counts() -> None:
    """It has the earlier ones with it, in their order; a block has those of its own label."""
    attempts = Attempts()
    attempts.add("t", [BLOCK, KEPT])
    attempts.fail("t")
    assert list(attempts.end("t")) == []
    attempts.begin("t")
    attempts.add("t", [FAILED])
    attempts.fail("t")
    attempts.begin("t")
    attempts.add("t", [BLOCK, BACK])
    block, test = attempts.end("t")
    assert block.earlier_attempts == (Attempt("retained", 5, "mapped", None),)
    assert test.verdict == "returned"
    assert test.earlier_attempts == (
        Attempt("retained", 9, "mapped", None),
        Attempt("unjudged", None, None, "the test failed by itself"),
    )
    assert [name_of(one) for one in (block, test)] == ["t [b] (attempt 2)", "t (attempt 3)"]


def test_a_test_that_is_not_judged_has_nothing_to_repeat() -> None:
    """An attempt without records leaves none."""
    attempts = Attempts()
    attempts.begin("t")
    attempts.fail("t")
    assert list(attempts.end("t")) == []
    attempts.begin("t")
    assert list(attempts.end("t")) == []
    assert list(attempts.end_all()) == []


def test_what_comes_after_a_failure_is_of_the_same_attempt() -> None:
    """A block that a fixture's tear-down judges, of a test that will be run again."""
    attempts = Attempts()
    attempts.add("t", [KEPT])
    attempts.fail("t")
    attempts.add("t", [BLOCK])
    assert list(attempts.end("t")) == []
    attempts.begin("t")
    attempts.add("t", [BACK, BLOCK])
    back, block = attempts.end("t")
    assert back.earlier_attempts == (Attempt("retained", 9, "mapped", None),)
    assert block.earlier_attempts == (Attempt("retained", 5, "mapped", None),)


def test_tests_are_told_apart() -> None:
    """The same one in another worker, too; and whatever did not end is there at the end."""
    attempts = Attempts()
    attempts.add(("t", "gw0"), [KEPT])
    attempts.add(("t", "gw1"), [BACK])
    attempts.fail(("t", "gw0"))
    attempts.begin(("t", "gw0"))
    attempts.add(("t", "gw0"), [FAILED])
    first, second = attempts.end_all()
    assert first.earlier_attempts == (Attempt("retained", 9, "mapped", None),)
    assert second == BACK


def test_where_no_other_attempt_came_the_one_before_is_the_last() -> None:
    """A run may end between two attempts; nobody's verdict is lost."""
    attempts = Attempts()
    attempts.add("t", [KEPT])
    attempts.fail("t")
    attempts.begin("t")
    attempts.add("t", [FAILED])
    attempts.fail("t")
    assert list(attempts.end("t")) == []
    (last,) = attempts.end_all()
    assert last.verdict == FAILED.verdict
    assert last.earlier_attempts == (Attempt("retained", 9, "mapped", None),)
    assert list(attempts.end_all()) == []
