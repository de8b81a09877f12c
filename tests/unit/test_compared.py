"""Two reports against each other, as data and as text."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.report.compared import compared
from pytest_memreturn.report.comparison_text import render_comparison
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally


def record(nodeid: str, mib: float = 0, **more: Any) -> Record:  # noqa: ANN401 - any field
    """A record of a test that kept so much, judged by the default allowance."""
    values: dict[str, Any] = {
        "verdict": "returned" if mib <= 2 else "retained",
        "gate": "collect",
        "cause": None if mib <= 2 else "live-python",
        "retained_bytes": int(mib * MIB),
        "allowed_bytes": 2 * MIB,
    }
    if more.get("verdict") == "unjudged":
        values |= {"retained_bytes": None, "allowed_bytes": None}
    return Record(nodeid, **(values | more))


def unread(nodeid: str) -> Record:
    """A test that could not be judged."""
    return record(nodeid, verdict="unjudged", reason="cannot read\n/proc/self/smaps")


def skipped(nodeid: str) -> Record:
    """A test with an outcome of its own."""
    return record(nodeid, verdict="unjudged", own_outcome="skipped", reason="skipped")


def run(*records: Record, partial: Partial | None = None, **facts: object) -> Run:
    """A run with these records."""
    return Run(records, Tally.of(records), {"python": "3.13.0", **facts}, partial)


def text(old: Run, new: Run, *, width: int = 100, verbose: bool = False) -> str:
    """The comparison as it is shown, with the default tolerance."""
    lines = render_comparison(compared(old, new), tolerance_bytes=MIB, width=width, verbose=verbose)
    return "\n".join(lines)


def block(expected: str) -> str:
    """What is expected, as it stands in a test."""
    return textwrap.dedent(expected).strip("\n")


@pytest.mark.parametrize(
    ("old", "new", "is_worse"),
    [
        (record("t", 0), record("t", 1), False),
        (record("t", 0), record("t", 1.1), True),
        (record("t", 9), record("t", 10), False),
        (record("t", 9), record("t", 11), True),
        (record("t", 11), record("t", 9), False),
        # Memory that was given back once is no reason to complain that none is now.
        (record("t", -8), record("t", 0), False),
        # The same amount under a narrower allowance.
        (record("t", 2), record("t", 2, verdict="retained"), True),
        (record("t", 0), unread("t"), True),
        (record("t", 9), unread("t"), False),
        (unread("t"), record("t", 2), False),
        (unread("t"), record("t", 3), True),
        (unread("t"), unread("t"), False),
        (record("t", 0), skipped("t"), False),
        (skipped("t"), record("t", 2), False),
        (skipped("t"), record("t", 3), True),
        (skipped("t"), unread("t"), False),
        (None, record("t", 2), False),
        (None, record("t", 3), True),
        (None, unread("t"), False),
        (record("t", 3), None, False),
    ],
)
def test_what_is_worse(old: Record | None, new: Record | None, *, is_worse: bool) -> None:
    """More than is tolerated, or a worse verdict; not what tells nothing of memory."""
    found = compared(run(*filter(None, [old])), run(*filter(None, [new])))
    assert bool(found.worse(MIB)) == is_worse


def test_the_worst_of_several_records_counts() -> None:
    """On either side, with how many there were; blocks are told apart by their labels."""
    old = run(record("t", 0), record("t", 5), record("t", 7, label="b", window="block"))
    new = run(record("t", 8), record("t", 1), record("t", 2), record("t", 7, label="b"))
    found = compared(old, new)
    assert [(str(one.key), one.growth_bytes) for one in found.changes] == [
        # A block is not the call of the same label, should a test be called so.
        ("t [b]", 7 * MIB),
        ("t", 3 * MIB),
        ("t [b]", -7 * MIB),
    ]
    assert "t (worst of 2 → 3)" in text(old, new)


def test_what_changed() -> None:
    """Most growth first; what stayed is counted, what came or went is named."""
    old = run(
        record("test_a.py::test_grows", 1),
        record("test_a.py::test_shrinks", 50),
        record("test_a.py::test_stays", 30),
        record("test_a.py::test_is_read", 0),
        record("test_a.py::test_goes", 9),
        record("test_a.py::test_runs", 0),
    )
    new = run(
        record("test_a.py::test_grows", 41, cause="held-by-malloc"),
        record("test_a.py::test_shrinks", 0),
        record("test_a.py::test_stays", 30.5),
        unread("test_a.py::test_is_read"),
        record("test_a.py::test_comes", 3),
        skipped("test_a.py::test_runs"),
    )
    assert text(old, new) == block("""
          old        6 judged: 3 returned, 3 retained (89.0 MiB)
          new        4 judged: 1 returned, 3 retained (74.5 MiB), 2 unjudged

        memory retained (MiB)
         old   new  change  cause or verdict           test
         1.0  41.0   +40.0  returned → held-by-malloc  test_a.py::test_grows
           -   3.0       -  came: live-python          test_a.py::test_comes
         0.0     -       -  returned → unjudged        test_a.py::test_is_read
         0.0     -       -  returned → skipped         test_a.py::test_runs
        50.0   0.0   -50.0  live-python → returned     test_a.py::test_shrinks

        WORSE test_a.py::test_grows - keeps 41.0 MiB (held-by-malloc), 40.0 MiB more than before
        WORSE test_a.py::test_comes - keeps 3.0 MiB (live-python), and was not there before
        WORSE test_a.py::test_is_read - cannot be judged any more: cannot read /proc/self/smaps

          came       test_a.py::test_comes
          went       test_a.py::test_goes
        1 test within 1.0 MiB of before (-v lists them)
        5 in both reports, 1 came, 1 went: 3 worse
    """)


def test_nothing_changed() -> None:
    """Said in a few lines; with -v every test has its own."""
    old = run(record("a", 0.25), record("b", 9), skipped("c"))
    new = run(record("a", 0.5), record("b", 9), skipped("c"))
    assert text(old, new) == block("""
          old        2 judged: 1 returned, 1 retained (9.0 MiB), 1 unjudged
          new        2 judged: 1 returned, 1 retained (9.0 MiB), 1 unjudged

        3 tests within 1.0 MiB of before (-v lists them)
        3 in both reports, 0 came, 0 went: none is worse
    """)
    assert text(old, new, verbose=True).split("\n")[3:8] == [
        "memory retained (MiB)",
        "old  new  change  cause or verdict  test",
        "0.2  0.5    +0.2  returned          a",
        "9.0  9.0    +0.0  live-python       b",
        "  -    -       -  skipped           c",
    ]


def test_a_test_that_went_has_a_row_where_every_test_has_one() -> None:
    """With what it kept."""
    shown = text(run(record("a", 9)), run(), verbose=True)
    assert "9.0    -       -  went: live-python  a" in shown


def test_what_makes_reports_hard_to_compare_is_said_first() -> None:
    """A part that is missing, and each fact in which the environments differ."""
    old = run(
        record("a"),
        partial=Partial("interrupted\x1b[2J", ("test_x", "test_y")),
        variables={"LD_PRELOAD": "libjemalloc.so.2"},
        allocators=["malloc", "python"],
    )
    new = run(record("a"), partial=Partial("a worker died"), allocators=["python", "malloc"])
    assert text(old, new).split("\n")[:3] == [
        (
            "  partial    the old report: not all is here: interrupted\\x1b[2J; running then: "
            "test_x · test_y"
        ),
        "  partial    the new report: not all is here: a worker died",
        "  differs    variable LD_PRELOAD: libjemalloc.so.2 → not set",
    ]


def test_why_it_is_worse_where_the_size_is_not() -> None:
    """What was allowed, or that it was not judged before."""
    old = run(record("a", 9, verdict="returned", cause=None, allowed_bytes=10 * MIB), skipped("b"))
    new = run(record("a", 9), record("b", 3))
    lines = text(old, new, width=120).split("\n")
    assert [one for one in lines if one.startswith("WORSE")] == [
        "WORSE b - keeps 3.0 MiB (live-python), and was skipped before",
        (
            "WORSE a - keeps 9.0 MiB (live-python), no more than before; 2.0 MiB is allowed, "
            "10.0 MiB was"
        ),
    ]


def test_few_of_many_names() -> None:
    """Ten tests that came are named, all of them with -v."""
    many = run(*(record(f"test_{number:02}", 0) for number in range(12)))
    shown = text(run(), many)
    assert "  came       test_00\n             test_01\n" in shown
    assert "             test_09\n             2 more (-v names them)\n" in shown
    assert "             test_11\n" in text(run(), many, verbose=True)


def test_names_are_shown_and_not_obeyed() -> None:
    """A node id is anybody's text."""
    shown = text(run(), run(record("a\x1b]0;b", 3)))
    assert "\x1b" not in shown
    assert r"WORSE a\x1b]0;b - keeps" in shown


def test_a_small_difference_is_no_negative_zero() -> None:
    """-0.0 is 0."""
    old, new = run(record("a", 1)), run(record("a", 1 - 4 * KIB / MIB))
    assert "+0.0" in text(old, new, verbose=True)
