"""What a failure message says of other processes."""

from __future__ import annotations

from dataclasses import replace

from pytest_memreturn._processes import WatchedProcess
from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.message import render_message

RECORD = Record(
    nodeid="t",
    verdict="retained",
    gate="trim",
    label="watch 1",
    window="watch",
    cause="mapped",
    causes={"mapped": 20 * MIB},
    retained_bytes=20 * MIB,
    allowed_bytes=MIB,
    allowed_origin="memreturn.watch() in t",
    peak_growth_bytes=30 * MIB,
    peak_quality="at-least",
    readings={"baseline": 10 * MIB, "end": 40 * MIB, "collect": None, "trim": 30 * MIB},
    ledger={"mapped": 20 * MIB, "malloc-live": 0, "unexplained": 0},
    processes=(
        WatchedProcess(3, "nginx", "nginx -g x", 5 * MIB, 30 * MIB, "process 3 takes no script"),
        WatchedProcess(1, "python", "serve", 5 * MIB, 6 * MIB),
        WatchedProcess(2, "python", "serve", 6 * MIB, None),
    ),
)


def lines(record: Record, *, verbosity: int = 0) -> dict[str, list[str]]:
    """The texts of the message by their labels."""
    found: dict[str, list[str]] = {}
    for line in render_message(record, width=200, verbosity=verbosity)[1:]:
        label, _, text = line.strip().partition("  ")
        found.setdefault(label, []).append(text.strip())
    return found


def test_processes() -> None:
    """The first is named, and others whose part matters; the reason why one was not asked."""
    found = lines(RECORD)
    assert found["process"] == [
        "pid 3 +25.0 MiB (5.0 → 30.0 MiB) nginx: nginx -g x",
        "pid 2 -6.0 MiB (ended) python: serve",
    ]
    assert found["more"] == ["1 more process: +1.0 MiB (-vv names them)"]
    assert found["not asked"] == ["process 3 takes no script"]
    assert found["footprint"] == ["10.0 → end 40.0 → trim 30.0 MiB"]


def test_all_processes() -> None:
    """Where everything is wanted, all are named."""
    found = lines(RECORD, verbosity=2)
    assert len(found["process"]) == 3
    assert "more" not in found


def test_many_processes() -> None:
    """Three are named, and the others counted."""
    many = tuple(WatchedProcess(pid, "python", "serve", 0, 5 * MIB) for pid in range(1, 7))
    found = lines(replace(RECORD, processes=many))
    assert len(found["process"]) == 3
    assert found["more"] == ["3 more processes: +15.0 MiB (-vv names them)"]


def test_what_a_cause_means_and_what_to_try() -> None:
    """After a release it is what it is inside a process; before it, nobody could look."""
    assert lines(RECORD)["cause"] == [
        "mapped: 20.0 MiB is in memory mappings that no known allocator owns"
    ]
    assert lines(RECORD)["try"][0].startswith("judge the same work inside the process")
    as_it_is = replace(RECORD, gate="end", ledger={"mapped": 20 * MIB, "unexplained": 0})
    assert lines(as_it_is)["cause"][0].startswith("mapped: 20.0 MiB is in private mappings: arenas")
    assert lines(as_it_is)["try"][0].startswith("release=True, where both sides are CPython 3.14")
