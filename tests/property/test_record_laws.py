"""Laws of records: on their way, in files, and as text."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TypeVar, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_memreturn import _xdist
from pytest_memreturn._explanation import (
    AllocatorGrowth,
    Explanation,
    HeapPicture,
    Holding,
    Line,
    MappingChange,
    Pin,
    PooledArenas,
    Region,
    RegionKind,
    Remedy,
    SizeClass,
    SurvivorType,
)
from pytest_memreturn._growth import GrowthKind
from pytest_memreturn._outside import ChildProcess, Segment, SegmentKind
from pytest_memreturn._record import RUNGS, Attempt, Exclusion, Record, Rounds, Window
from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import MappingKind, PeakQuality
from pytest_memreturn._verdict import Outcome
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.message import render_message
from pytest_memreturn.report.run import Run
from pytest_memreturn.report.table import render_table, summary_line, unjudged_line
from pytest_memreturn.report.tally import Tally

T = TypeVar("T")

BYTES = st.integers(0, 2**45)
GROWTHS = st.integers(-(2**45), 2**45)
COUNTS = st.integers(0, 10**9)
HEAPS = st.sampled_from(["main heap", "thread heap 1", "thread heap 22"])
# A surrogate alone is no text that a file or another process could take.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.one_of(
    TEXTS, st.from_regex(r"[a-z_/]{1,80}\.py::[a-zA-Z_]{1,20}(\[[a-z-]{1,10}\])?", fullmatch=True)
)
# Words that fit in any line, however figures and marks are put around them.
SHORT = (
    st.text("abc é\n\t", max_size=60)
    .map(lambda text: " ".join(word[:15] for word in text.split(" ")))
    .filter(lambda text: all(len(word) <= 15 for word in text.split()))
)
SLUGS = st.sampled_from(
    [
        "live-python",
        "live-native",
        "held-by-malloc",
        "pinned-malloc",
        "pinned-python",
        "held-by-my-pool",
        "mapped",
        "shared-memory",
        "unexplained",
        "something-new",
    ]
)
ACCOUNTS = st.sampled_from(["malloc-live", "malloc-free", "python-live", "mapped", "unexplained"])


def survivors(names: st.SearchStrategy[str]) -> st.SearchStrategy[SurvivorType]:
    """Objects of a type of such a name."""
    return st.builds(SurvivorType, names, st.integers(0, 10**9), BYTES, maybe(names))


def explanations(names: st.SearchStrategy[str]) -> st.SearchStrategy[Explanation]:
    """Any explanation, every field of it filled."""
    return st.builds(
        Explanation,
        parts=st.dictionaries(
            st.sampled_from(["malloc-live", "malloc-free"]),
            st.dictionaries(
                st.sampled_from(["main-heap", "main-heap-pinned", "own-mappings"]), GROWTHS
            ),
            max_size=2,
        ),
        released=st.dictionaries(st.sampled_from(["malloc", "jemalloc"]), GROWTHS),
        survivors=few(survivors(names)),
        children=few(st.builds(ChildProcess, st.integers(1, 2**22), names, names, BYTES)),
        segments=few(
            st.builds(
                Segment,
                st.sampled_from(get_args(SegmentKind)),
                names,
                BYTES,
                BYTES,
                st.sampled_from(["root", "1000"]),
            )
        ),
        held_by_pytest=few(
            st.builds(
                Holding,
                # A wording of this package's own, never a user's.
                st.sampled_from(["log records that pytest captured", "characters of output"]),
                st.integers(1, 10**9),
                BYTES,
            )
        ),
        tracers=few(st.sampled_from(["coverage", "pydevd"])),
        unwritten_huge_page_bytes=maybe(BYTES),
        allocators=few(
            st.builds(
                AllocatorGrowth,
                st.sampled_from(["malloc", "python", "pool"]),
                GROWTHS,
                maybe(GROWTHS),
                maybe(st.integers(-9, 9)),
            )
        ),
        layout=few(
            st.builds(
                MappingChange,
                st.sampled_from(get_args(MappingKind)),
                BYTES,
                BYTES,
                maybe(COUNTS),
                maybe(COUNTS),
            )
        ),
        heap=maybe(heaps()),
        pins=few(st.builds(Pin, names, COUNTS, BYTES, HEAPS, BYTES, BYTES, maybe(names))),
        one_time=st.sampled_from([None, False, True]),
        lines=few(st.builds(Line, names, COUNTS, GROWTHS, maybe(names), st.booleans())),
        remedies=few(st.builds(Remedy, names, names, maybe(GROWTHS), maybe(GROWTHS), maybe(names))),
        timeline=few(st.tuples(st.floats(0, 1e6), BYTES)),
        incomplete=few(names),
    )


def heaps() -> st.SearchStrategy[HeapPicture]:
    """Any picture of heaps."""
    return st.builds(
        HeapPicture,
        proven=st.booleans(),
        partial=st.booleans(),
        reason=maybe(st.sampled_from(["there was no time to look at all of it"])),
        regions=few(
            st.builds(Region, HEAPS, st.sampled_from(get_args(RegionKind)), BYTES, BYTES, BYTES)
        ),
        live_bytes=BYTES,
        free_bytes=BYTES,
        returned_bytes=BYTES,
        live_sizes=few(st.builds(SizeClass, BYTES, COUNTS, BYTES)),
        arenas=maybe(st.builds(PooledArenas, st.just(MIB), few(st.integers(0, MIB)))),
    )


def few(values: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    """None, one or some."""
    return st.lists(values, max_size=3).map(tuple)


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """The values, or nothing."""
    return st.one_of(st.none(), values)


ROUNDS = st.builds(
    Rounds,
    asked=st.integers(1, 1000),
    run=st.integers(1, 1000),
    warmup=st.integers(0, 1000),
    allowed_per_round_bytes=BYTES,
    allowed_origin=st.sampled_from(["default", "marker on t.py::t"]),
    growth=maybe(st.sampled_from(get_args(GrowthKind))),
    exceeds=st.booleans(),
    figure=st.sampled_from(["live", "footprint", "malloc"]),
    per_round_bytes=GROWTHS,
    since_round=st.integers(0, 1000),
    points=few(st.tuples(st.integers(0, 1000), BYTES, BYTES)),
)


def records(names: st.SearchStrategy[str], *verdicts: Outcome) -> st.SearchStrategy[Record]:
    """Any record of one of these verdicts, with texts and names of such a kind."""
    return st.builds(
        Record,
        nodeid=names,
        verdict=st.sampled_from(verdicts),
        gate=st.sampled_from(["collect", "trim"]),
        window=st.sampled_from(get_args(Window)),
        label=maybe(names),
        location=maybe(names),
        cause=maybe(SLUGS),
        causes=maybe(st.dictionaries(SLUGS, BYTES)),
        retained_bytes=GROWTHS,
        allowed_bytes=BYTES,
        reserve_bytes=BYTES,
        recorded_bytes=maybe(BYTES),
        hidden_bytes=BYTES,
        excluded=few(
            st.builds(Exclusion, names, st.sampled_from(["session", "module", "class"]), GROWTHS)
        ),
        settled_seconds=st.floats(0, 1e3),
        allowed_origin=maybe(names),
        peak_growth_bytes=maybe(BYTES),
        peak_quality=maybe(st.sampled_from(get_args(PeakQuality))),
        returned_ratio=maybe(st.floats(0, 1)),
        readings=maybe(st.dictionaries(st.sampled_from(RUNGS), maybe(BYTES))),
        ledger=maybe(st.dictionaries(ACCOUNTS, GROWTHS)),
        shown=maybe(
            st.dictionaries(st.sampled_from(["lazy-free", "file", "huge-pages"]), maybe(GROWTHS))
        ),
        overhead_seconds=st.floats(0, 1e6),
        worker=maybe(st.sampled_from(["gw0", "gw11"])),
        reason=maybe(names),
        own_outcome=maybe(st.sampled_from(["failed", "skipped", "raised"])),
        test_count=st.integers(0, 9),
        torn_down_bytes=maybe(BYTES),
        earlier_attempts=few(
            st.builds(
                Attempt,
                st.sampled_from(get_args(Outcome)),
                maybe(GROWTHS),
                maybe(SLUGS),
                maybe(names),
            )
        ),
        rounds=maybe(ROUNDS),
        explanation=maybe(explanations(names)),
    )


ANY = records(NAMES, "returned", "retained", "unjudged")
WIDTHS = st.integers(20, 200)


@given(ANY)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """As plain data, and as JSON text."""
    assert Record.from_dict(record.to_dict()) == record
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@given(ANY, st.data())
def test_a_record_of_another_version_is_read(record: Record, data: st.DataObject) -> None:
    """What it lacks is as if it had not been read; what nobody knows yet is passed over."""
    plain = record.to_dict()
    lost = data.draw(st.sets(st.sampled_from(sorted(plain.keys() - {"nodeid", "verdict", "gate"}))))
    keys = data.draw(st.permutations([key for key in plain if key not in lost]))
    other = {"colour": "red", **{key: plain[key] for key in keys}}
    found = Record.from_dict(json.loads(json.dumps(other)))
    for one in fields(Record):
        expected = one.default if one.name in lost else getattr(record, one.name)
        assert getattr(found, one.name) == expected


@given(st.lists(ANY, max_size=5))
def test_a_report_comes_back_as_it_was(found: list[Record]) -> None:
    """Every record, in its order; and the summary counts each of them once."""
    report = json.loads("".join(json_report(Run(found, Tally.of(found), {}))))
    assert [Record.from_dict(one) for one in report["tests"]] == found
    summary = report["summary"]
    assert summary["judged"] == summary["returned"] + summary["retained"]
    assert summary["judged"] + summary["unjudged"] == len(found)


@given(st.lists(ANY, max_size=3))
def test_records_cross_the_border_between_processes(found: list[Record]) -> None:
    """As they were, but for the worker, which is known where they arrive."""
    report = pytest.TestReport("t", ("t", 0, "t"), {}, "passed", None, "call")
    _xdist.attach(report, found)
    arrived = _xdist.detach(pytest.TestReport._from_json(report._to_json()))
    assert [one.to_dict() | {"worker": None} for one in arrived] == [
        one.to_dict() | {"worker": None} for one in found
    ]


@given(records(SHORT, "retained"), st.integers(70, 200), st.integers(-2, 3))
def test_a_message_keeps_to_its_width(record: Record, width: int, verbosity: int) -> None:
    """As long as every word is shorter than a line, so is every line."""
    for line in render_message(record, width=width, verbosity=verbosity):
        assert len(line) <= width


ADVISED = Record(
    nodeid="t",
    verdict="retained",
    gate="collect",
    window="call",
    cause="pinned-malloc",
    causes={"pinned-malloc": 10 * MIB},
    retained_bytes=10 * MIB,
    allowed_bytes=0,
    allowed_origin="default",
    readings={"baseline": 0, "collect": 10 * MIB, "trim": 5 * MIB},
    explanation=Explanation(
        parts={"malloc-free": {"thread-arenas-tops": 2 * MIB}},
        released={"malloc": 5 * MIB},
        held_by_pytest=(Holding("log records that pytest captured", 9, 2 * MIB),),
        unwritten_huge_page_bytes=2 * MIB,
        one_time=True,
    ),
)


@given(records(SHORT, "retained"), st.integers(-2, 1))
@example(ADVISED, 0)
def test_a_message_is_a_page(record: Record, verbosity: int) -> None:
    """Of twelve lines, as long as names are short; and something to try is among them."""
    lines = render_message(record, width=100, verbosity=verbosity)
    assert len(lines) <= 12
    whole = render_message(record, width=100, verbosity=2)
    tried = [any(line.startswith("  try  ") for line in found) for found in (lines, whole)]
    assert tried[0] or not tried[1]


# What is drawn to fit: a line each, whatever the width.
PICTURES = ("  heap       ", "  arenas     ")

DRAWN = Record(
    nodeid="t",
    verdict="retained",
    gate="collect",
    window="call",
    cause="held-by-malloc",
    causes={"held-by-malloc": 60 * MIB},
    retained_bytes=60 * MIB,
    allowed_bytes=0,
    explanation=Explanation(
        heap=HeapPicture(
            regions=(
                Region("main heap", "live", 0, 10 * MIB, 10 * MIB),
                Region("main heap", "free", 10 * MIB, 60 * MIB, 0),
                Region("main heap", "live", 70 * MIB, MIB, MIB),
            ),
            arenas=PooledArenas(MIB, (0, MIB)),
        )
    ),
)


@given(records(NAMES, "retained"), WIDTHS, st.integers(-2, 3))
@example(DRAWN, 40, 0)
@example(DRAWN, 40, 2)
def test_a_message_loses_no_word(record: Record, width: int, verbosity: int) -> None:
    """At any width the words are the same but in pictures, and each line is a line."""
    narrow = render_message(record, width=width, verbosity=verbosity)
    wide = render_message(record, width=100_000, verbosity=verbosity)
    assert all(len(line.splitlines()) == 1 for line in narrow)
    assert words(narrow) == words(wide)


def words(lines: list[str]) -> list[str]:
    """All words of some lines, but of a picture only what it is called."""
    shown = (line[: len(PICTURES[0])] if line.startswith(PICTURES) else line for line in lines)
    return [word for line in shown for word in line.split()]


@given(st.lists(ANY, max_size=6), WIDTHS)
def test_a_table_keeps_to_its_width(found: list[Record], width: int) -> None:
    """A line for each record under one of headings; too wide only where a name has its least."""
    heading, *rows = [row.text for row in render_table(found, width)]
    assert len(rows) == len(found)
    assert heading.endswith("test")
    column = heading.rindex("test")
    for row in rows:
        assert len(row.splitlines()) <= 1
        assert len(row) <= width or len(row) - column <= 20


@given(st.lists(ANY, max_size=6))
def test_a_table_is_sorted_and_loses_nobody(found: list[Record]) -> None:
    """Most retained first; what was not judged last, as it came."""
    rows = list(render_table(found, 200))[1:]
    figures = [float(row.text.split()[0]) for row in rows if row.verdict != "unjudged"]
    assert figures == sorted(figures, reverse=True)
    assert sorted(row.verdict or "" for row in rows) == sorted(one.verdict for one in found)
    tail = [row.verdict for row in rows][len(figures) :]
    assert tail == ["unjudged"] * len(tail)


@given(st.lists(ANY, max_size=6))
def test_the_lines_beneath_the_table(found: list[Record]) -> None:
    """One line of summary, and one for each reading that could not be had."""
    assert "\n" not in summary_line(Tally.of(found))
    for one in found:
        line = unjudged_line(one)
        assert (line is not None) == (one.verdict == "unjudged" and one.own_outcome is None)
        assert line is None or len(line.splitlines()) == 1
