"""A whole report as text."""

from __future__ import annotations

import textwrap

from pytest_memreturn._explanation import Explanation
from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.message import render_message
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally
from pytest_memreturn.report.text_report import render_text

ENVIRONMENT = {
    "python": "3.13.0",
    "implementation": "cpython",
    "libc": "glibc 2.36",
    "allocators": ["python", "malloc"],
    "unavailable": {"mimalloc": "it does not\nshow its heap"},
    "kernel": "Linux 6.18.0",
    "huge_pages": "madvise",
    "variables": {"MALLOC_ARENA_MAX": "1"},
    "probe": "linux",
    "versions": {"pytest-memreturn": "0.1.0"},
    "others": [],
}


def kept(
    nodeid: str, mib: int, *, location: str | None = None, worker: str | None = None
) -> Record:
    """A test that retained so much."""
    return Record(
        nodeid,
        "retained",
        "collect",
        location=location,
        worker=worker,
        cause="mapped",
        causes={"mapped": mib * MIB},
        retained_bytes=mib * MIB,
        allowed_bytes=2 * MIB,
        allowed_origin="default",
        peak_growth_bytes=mib * MIB,
        readings={"baseline": MIB, "end": mib * MIB, "collect": None, "trim": None},
        ledger={"mapped": mib * MIB, "unexplained": 0},
        explanation=Explanation(),
    )


RECORDS = (
    kept("test_a.py::test_some", 5),
    kept("test_a.py::test_most", 50, location="test_a.py:7", worker="gw1"),
    Record("test_a.py::test_none", "returned", "collect", retained_bytes=0, allowed_bytes=2 * MIB),
    Record("test_a.py::test_gone", "unjudged", "collect", reason="cannot read\x07 it"),
    Record("test_a.py::test_skip", "unjudged", "collect", own_outcome="skipped"),
)


def text(run: Run, *, width: int = 90, verbosity: int = 0) -> str:
    """The report as it is shown."""
    return "\n".join(render_text(run, width=width, verbosity=verbosity))


def test_a_report() -> None:
    """Where it was measured, the table, who has the memory, what could not be judged."""
    some, most, *_ = RECORDS
    head = textwrap.dedent("""\
          measured   cpython 3.13.0 · glibc 2.36 · Linux 6.18.0 · pytest-memreturn 0.1.0
          read by    probe linux · allocators python, malloc · huge pages madvise
          variables  MALLOC_ARENA_MAX=1
          silent     mimalloc: it does not show its heap

        memory returned to the operating system (MiB)
        retained  peak  allowed  cause or verdict  test
            50.0  50.0      2.0  mapped            test_a.py::test_most
             5.0   5.0      2.0  mapped            test_a.py::test_some
             0.0   0.0      2.0  returned          test_a.py::test_none
               -     -        -  unjudged          test_a.py::test_gone
               -     -        -  skipped           test_a.py::test_skip
        3 judged: 1 returned, 2 retained (55.0 MiB), 2 unjudged
    """)
    assert text(Run(RECORDS, Tally.of(RECORDS), ENVIRONMENT)).split("\n") == [
        *head.split("\n"),
        "test_a.py::test_most (test_a.py:7, gw1)",
        *render_message(most, width=90),
        "",
        "test_a.py::test_some",
        *render_message(some, width=90),
        "",
        r"UNJUDGED test_a.py::test_gone - cannot read\x07 it",
    ]


def test_more_of_it() -> None:
    """As pytest shows it with -vv."""
    run = Run(RECORDS[:1], Tally.of(RECORDS[:1]), ENVIRONMENT)
    assert "exact      5,242,880 bytes kept" not in text(run)
    assert "exact      5,242,880 bytes kept" in text(run, verbosity=2)


def test_what_is_missing_comes_first() -> None:
    """A partial report is to be read as one."""
    partial = Partial("the run was interrupted", ("test_a.py::test_x",))
    first, *_ = text(Run((), Tally(), ENVIRONMENT, partial)).split("\n")
    assert first == (
        "  partial    not all is here: the run was interrupted; running then: test_a.py::test_x"
    )


def test_an_empty_report_of_an_unknown_place() -> None:
    """What is not known is not said."""
    assert text(Run((), Tally(), {})) == (
        "  read by    probe none · allocators none · huge pages unknown\n"
        "0 judged: 0 returned, 0 retained"
    )


def test_a_merged_report_says_so() -> None:
    """Its environment is that of a part."""
    one, two = ({**ENVIRONMENT, "others": [{}] * count} for count in (1, 2))
    assert "  and in     another environment: the report is a merged one" in text(
        Run((), Tally(), one)
    )
    assert "  and in     2 other environments: the" in text(Run((), Tally(), two))
