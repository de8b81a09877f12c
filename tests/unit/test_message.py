"""The failure message, as text."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_memreturn._explanation import AllocatorGrowth, Explanation, Holding, Line, SurvivorType
from pytest_memreturn._outside import ChildProcess, Segment
from pytest_memreturn._record import Exclusion, Record
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.report.message import headline, render_message

if TYPE_CHECKING:
    from pytest_memreturn._settings import Gate

HELD = Record(
    nodeid="tests/test_parse.py::test_parse",
    verdict="retained",
    gate="collect",
    cause="held-by-malloc",
    causes={"held-by-malloc": 98 * MIB},
    retained_bytes=100 * MIB + 307 * KIB,
    allowed_bytes=2 * MIB,
    allowed_origin="default",
    peak_growth_bytes=103 * MIB,
    peak_quality="exact",
    readings={"baseline": 45 * MIB, "end": 146 * MIB, "collect": 145 * MIB, "trim": 47 * MIB},
    ledger={
        "malloc-free": 98 * MIB,
        "malloc-live": 3 * MIB // 2,
        "python-live": 52_429,
        "python-free": 52_428,
        "mapped": 0,
        "unexplained": 307 * KIB,
        "stacks": -MIB,
    },
    shown={"lazy-free": 0, "file": 3 * MIB // 2, "huge-pages": None},
    explanation=Explanation(released={"malloc": 98 * MIB}),
)
LIVE = replace(
    HELD,
    label="block 1",
    cause="live-python",
    causes={"live-python": 60 * MIB, "pinned-python": 38 * MIB},
    peak_quality="at-least",
    readings={"baseline": 45 * MIB, "end": 146 * MIB, "collect": None, "trim": 145 * MIB},
    gate="trim",
    explanation=Explanation(
        survivors=(
            SurvivorType("app.Row", 12_345, 40 * MIB),
            SurvivorType("list", 300, 15 * MIB),
            SurvivorType("dict", 7, 5 * MIB),
            SurvivorType("str", 1, 60),
        )
    ),
)

MESSAGES = {
    "80 columns": (
        HELD,
        80,
        0,
        """\
        kept 100.3 MiB (allowed 2.0 MiB, default)
          footprint  45.0 → peak 148.0 → end 146.0 → gc 145.0 → trim 47.0 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given
                     it back
          where      malloc-free 98.0 · malloc-live 1.5 · python-live 0.1 ·
                     stacks -1.0 · unexplained 0.3 (MiB)
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in
                     production call malloc_trim(0) when such work is done
        """,
    ),
    "120 columns": (
        HELD,
        120,
        0,
        """\
        kept 100.3 MiB (allowed 2.0 MiB, default)
          footprint  45.0 → peak 148.0 → end 146.0 → gc 145.0 → trim 47.0 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
          where      malloc-free 98.0 · malloc-live 1.5 · python-live 0.1 · stacks -1.0 · unexplained 0.3 (MiB)
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call malloc_trim(0) when such
                     work is done
        """,  # noqa: E501 - the width is the point
    ),
    "one more v changes nothing": (
        HELD,
        120,
        1,
        """\
        kept 100.3 MiB (allowed 2.0 MiB, default)
          footprint  45.0 → peak 148.0 → end 146.0 → gc 145.0 → trim 47.0 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
          where      malloc-free 98.0 · malloc-live 1.5 · python-live 0.1 · stacks -1.0 · unexplained 0.3 (MiB)
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call malloc_trim(0) when such
                     work is done
        """,  # noqa: E501
    ),
    "two v": (
        HELD,
        80,
        2,
        """\
        kept 100.3 MiB (allowed 2.0 MiB, default)
          footprint  45.0 → peak 148.0 → end 146.0 → gc 145.0 → trim 47.0 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given
                     it back
          where      malloc-free 98.0 · malloc-live 1.5 · python-live 0.1 ·
                     python-free 0.0 · stacks -1.0 · unexplained 0.3 (MiB)
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in
                     production call malloc_trim(0) when such work is done
          uncounted  lazy-free +0 B · file +1.5 MiB · huge-pages unknown
          exact      105,171,968 bytes kept, 2,097,152 allowed
        """,
    ),
    "survivors": (
        LIVE,
        80,
        0,
        """\
        block 1: kept 100.3 MiB (allowed 2.0 MiB, default)
          footprint  45.0 → peak ≥ 148.0 → end 146.0 → trim 145.0 MiB
          cause      live-python: 60.0 MiB is held by Python objects that are still
                     alive
          and        pinned-python: 38.0 MiB is free room in pymalloc arenas, each kept
                     by a live object
          where      malloc-free 98.0 · malloc-live 1.5 · python-live 0.1 ·
                     stacks -1.0 · unexplained 0.3 (MiB)
          survivors  12,345 × app.Row 40.0 MiB · 300 × list 15.0 MiB · 7 × dict 5.0 MiB
          try        find what keeps the survivors: a global, a cache, a closure, a
                     thread
          try        --memreturn-explain, which runs it again: it names the lines that
                     allocated it
        """,
    ),
    "every survivor": (
        replace(LIVE, shown=None),
        120,
        2,
        """\
        block 1: kept 100.3 MiB (allowed 2.0 MiB, default)
          footprint  45.0 → peak ≥ 148.0 → end 146.0 → trim 145.0 MiB
          cause      live-python: 60.0 MiB is held by Python objects that are still alive
          and        pinned-python: 38.0 MiB is free room in pymalloc arenas, each kept by a live object
          where      malloc-free 98.0 · malloc-live 1.5 · python-live 0.1 · python-free 0.0 · stacks -1.0 ·
                     unexplained 0.3 (MiB)
          survivors  12,345 × app.Row 40.0 MiB · 300 × list 15.0 MiB · 7 × dict 5.0 MiB · 1 × str 60 B
          try        find what keeps the survivors: a global, a cache, a closure, a thread
          try        --memreturn-explain, which runs it again: it names the lines that allocated it
          exact      105,171,968 bytes kept, 2,097,152 allowed
        """,  # noqa: E501
    ),
}


@pytest.mark.parametrize(
    ("record", "width", "verbosity", "text"), MESSAGES.values(), ids=MESSAGES.keys()
)
def test_the_message(record: Record, width: int, verbosity: int, text: str) -> None:
    """What was measured, how much stayed, what was allowed, who has it, and what to try."""
    lines = render_message(record, width=width, verbosity=verbosity)
    assert "\n".join(lines) + "\n" == textwrap.dedent(text)
    assert max(map(len, lines)) <= width


def entry(record: Record, label: str, verbosity: int = 0) -> list[str]:
    """The texts of the message that stand under one label."""
    lines = render_message(record, width=1000, verbosity=verbosity)
    return [line[13:] for line in lines if line[2:13].rstrip() == label]


def test_objects_that_keep_arenas_pin_them() -> None:
    """Where live objects only keep free room, they are no mass of survivors but pins."""
    pinned = replace(LIVE, cause="pinned-python", causes={"pinned-python": 38 * MIB})
    assert entry(pinned, "pinned by") == [
        "12,345 × app.Row 40.0 MiB · 300 × list 15.0 MiB · 7 × dict 5.0 MiB"
    ]
    assert entry(pinned, "survivors") == []


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            replace(LIVE, cause="mapped", causes={"mapped": 1}), id="Python has no part in it"
        ),
        pytest.param(replace(LIVE, explanation=Explanation()), id="none was found"),
        pytest.param(replace(LIVE, explanation=None), id="nobody looked"),
    ],
)
def test_without_need_no_survivors_are_named(record: Record) -> None:
    """Objects are named only where they explain something."""
    assert entry(record, "survivors") == []
    assert entry(record, "pinned by") == []


def test_without_readings_there_is_still_a_message() -> None:
    """A record from somebody else's report may lack what ours would have."""
    bare = Record("t", "retained", "collect", retained_bytes=5 * MIB, allowed_bytes=0)
    lines = render_message(bare, verbosity=2)
    assert lines[0] == "kept 5.0 MiB (allowed 0 B, None)"
    assert lines[-1] == "  exact      5,242,880 bytes kept, 0 allowed"


def test_a_long_origin_is_wrapped() -> None:
    """The first line is no wider than the others."""
    origin = "marker on tests/test_of_a_module.py::test_of_a_function: 95 % of the peak growth"
    lines = render_message(replace(HELD, allowed_origin=origin), width=80)
    assert lines[:2] == [
        "kept 100.3 MiB (allowed 2.0 MiB, marker on",
        "  tests/test_of_a_module.py::test_of_a_function: 95 % of the peak growth)",
    ]


def test_a_name_is_never_broken() -> None:
    """What is copied from a message must be whole, even where it is too wide."""
    name = "tests/" + "x" * 100
    lines = render_message(replace(HELD, allowed_origin=f"marker on {name}"), width=60)
    assert f"  {name})" in lines


def test_the_headline_is_one_line() -> None:
    """It also stands in a summary; whatever a label holds."""
    record = replace(HELD, label="two\nlines  of text")
    assert headline(record) == "two lines of text: kept 100.3 MiB (allowed 2.0 MiB, default)"


def explained(**found: object) -> Record:
    """A record that retained 100 MiB for no reason of Python's, with this in its explanation."""
    return replace(
        HELD,
        cause="mapped",
        causes={"mapped": 100 * MIB},
        retained_bytes=100 * MIB,
        readings={"baseline": 45 * MIB, "end": 146 * MIB, "collect": 145 * MIB},
        ledger={"mapped": 100 * MIB, "unexplained": 0},
        explanation=Explanation(**found),  # type: ignore[arg-type]
    )


# Worth naming is what has more than a tenth of what was retained.
SMALL, ENOUGH = 10 * MIB, 10 * MIB + 1

MALLOC = explained(
    parts={
        "malloc-live": {
            "main-heap": 11 * MIB,
            "thread-arenas": SMALL,
            "own-mappings": ENOUGH,
        },
        "malloc-free": {
            "main-heap-trimmable": 40 * MIB,
            "main-heap-pinned": ENOUGH,
            "thread-arenas-trimmable": -5 * MIB,
            "thread-arenas-pinned": 0,
            "thread-arenas-tops": 20 * MIB,
        },
        "jemalloc-free": {"trimmable": 50 * MIB, "pinned": 0},
    }
)


def test_parts_of_malloc_are_told_by_place() -> None:
    """Where one is worth naming: what lives there, and what became of its free memory."""
    [text] = entry(MALLOC, "malloc")
    assert text.split(" · ") == [
        "main heap 11.0 live, 40.0 trimmable, 10.0 pinned",
        "own mappings 10.0 live",
        "thread arenas 20.0 tops",
    ]


def test_every_part_of_malloc_is_told_who_wants_it() -> None:
    """Also what is small, or was given back; nothing is said of nothing."""
    [text] = entry(MALLOC, "malloc", verbosity=2)
    assert text.split(" · ") == [
        "main heap 11.0 live, 40.0 trimmable, 10.0 pinned",
        "thread arenas 10.0 live, 20.0 tops",
        "own mappings 10.0 live",
    ]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"malloc-live": {"main-heap": SMALL}, "malloc-free": {}},
        {"jemalloc-live": {"a-place": 50 * MIB}},
    ],
)
def test_without_a_part_worth_naming_there_is_no_line(parts: dict[str, dict[str, int]]) -> None:
    """The accounts have said it all."""
    assert entry(explained(parts=parts), "malloc") == []


def test_a_part_in_no_known_place_is_told_by_its_name() -> None:
    """As a later version may split further."""
    parts = {"malloc-free": {"trimmable": 50 * MIB}}
    assert entry(explained(parts=parts), "malloc") == ["trimmable 50.0"]


CHILDREN = tuple(
    ChildProcess(100 + number, "python3", f"python3 -m worker {number}", number * MIB)
    for number in (3, 1, 5, 2, 4)
)
SEGMENTS = tuple(Segment("shm", f"psm_{number}", number * MIB, 0, "app") for number in (1, 4, 2, 3))


@pytest.mark.parametrize(
    ("children", "segments", "more"),
    [
        (5, 4, "2 more children, 1 more segment"),
        (5, 0, "2 more children"),
        (3, 4, "1 more segment"),
        (4, 3, "1 more child"),
        (3, 3, ""),
        (1, 0, ""),
        (0, 0, ""),
    ],
)
def test_what_lives_outside_is_named_largest_first(children: int, segments: int, more: str) -> None:
    """Up to three of each; how many more there are is said once."""
    record = explained(
        children=tuple(sorted(CHILDREN, key=lambda one: -one.pid))[:children][::-1],
        segments=tuple(sorted(SEGMENTS, key=lambda one: -one.size_bytes))[:segments][::-1],
    )
    assert (
        entry(record, "child")
        == [
            "python3 (pid 105) 5.0 MiB: python3 -m worker 5",
            "python3 (pid 104) 4.0 MiB: python3 -m worker 4",
            "python3 (pid 103) 3.0 MiB: python3 -m worker 3",
        ][:children]
    )
    assert (
        entry(record, "segment")
        == [
            "psm_4 (shm, owner app) 4.0 MiB",
            "psm_3 (shm, owner app) 3.0 MiB",
            "psm_2 (shm, owner app) 2.0 MiB",
        ][:segments]
    )
    assert entry(record, "more") == [f"{more} (-vv names them)"] * bool(more)


def test_everything_outside_is_named_who_wants_it() -> None:
    """And then there are no more."""
    record = explained(children=CHILDREN, segments=SEGMENTS)
    names = [text.partition(" ")[0] for text in entry(record, "segment", verbosity=2)]
    assert names == ["psm_4", "psm_3", "psm_2", "psm_1"]
    assert len(entry(record, "child", verbosity=2)) == len(CHILDREN)
    assert entry(record, "", verbosity=2) == []


def test_what_hides_in_old_memory_is_said() -> None:
    """The footprint alone would not add up to what was kept."""
    assert entry(replace(HELD, hidden_bytes=60 * MIB), "hidden") == [
        "60.0 MiB of it fills memory that was free, and resident, before"
    ]
    assert entry(replace(HELD, hidden_bytes=9 * MIB), "hidden") == []


def test_what_pytest_keeps_is_said() -> None:
    """As a large log, which no code of the program's will ever free."""
    kept = (Holding("log records", 12_345, 60 * MIB), Holding("characters", 9, SMALL))
    assert entry(explained(held_by_pytest=kept), "pytest") == [
        "keeps 12,345 log records: about 60.0 MiB"
    ]


@pytest.mark.parametrize(
    ("unwritten", "said"),
    [
        (40 * MIB, ["40.0 MiB of it holds only zeros, resident for being in huge pages"]),
        (SMALL, []),
        (0, []),
        (None, []),
    ],
)
def test_what_huge_pages_keep_is_said(unwritten: int | None, said: list[str]) -> None:
    """Memory that nobody has written to, and that is resident all the same."""
    assert entry(explained(unwritten_huge_page_bytes=unwritten), "huge pages") == said


@pytest.mark.parametrize(
    ("tracers", "said"),
    [
        ((), []),
        (
            ("coverage",),
            ["coverage was on: what it notes of lines that run for the first time counts"],
        ),
    ],
)
def test_a_tracer_is_said(tracers: tuple[str, ...], said: list[str]) -> None:
    """Its own memory is not told apart from the test's, and nobody shall look for it in vain."""
    assert entry(explained(tracers=tracers), "tracer") == said


def test_what_is_excluded_is_said() -> None:
    """One line for each fixture that keeps much; it is not part of what was kept."""
    excluded = (
        Exclusion("server", "session", 30 * MIB),
        Exclusion("cache", "module", 9 * MIB),
        Exclusion("pool", "package", ENOUGH * 2),
    )
    assert entry(replace(HELD, excluded=excluded), "excluded") == [
        "30.0 MiB of session fixture server, first set up in this test",
        "20.0 MiB of package fixture pool, first set up in this test",
    ]


def test_what_it_took_to_examine_others_is_said() -> None:
    """Where all is to be said: it is ours."""
    examined = replace(HELD, examined_bytes=30 * MIB)
    assert entry(examined, "excluded") == []
    assert entry(examined, "excluded", verbosity=2) == [
        "30.0 MiB that it took to look closer inside this window"
    ]


@pytest.mark.parametrize(
    ("gate", "steps"),
    [
        ("collect", "end 146.0 → gc 145.0 (still falling for 1.2 s) → trim 47.0 MiB"),
        ("trim", "end 146.0 → gc 145.0 → trim 47.0 (still falling for 1.2 s) MiB"),
    ],
)
def test_waiting_is_said_where_it_happened(gate: Gate, steps: str) -> None:
    """At the rung that was judged, so that a reader knows why a test took its time."""
    record = replace(HELD, gate=gate, settled_seconds=1.234)
    assert entry(record, "footprint") == [f"45.0 → peak 148.0 → {steps}"]


def test_allocators_own_figures_are_for_who_wants_them() -> None:
    """Growth, signed; an allocator that does not say what it holds has only live bytes."""
    record = explained(
        allocators=(
            AllocatorGrowth("malloc", 3 * MIB, -MIB, 2),
            AllocatorGrowth("jemalloc", 0, 5000 * MIB, None),
            AllocatorGrowth("pyarrow", -512, None, None),
        )
    )
    assert entry(record, "statistics") == []
    assert entry(record, "statistics", verbosity=2) == [
        "malloc live +3.0 MiB · held -1.0 MiB · arenas +2",
        "jemalloc live +0 B · held +4.9 GiB",
        "pyarrow live -512 B",
    ]


EVERYTHING = replace(
    HELD,
    label="block 1",
    cause="live-python",
    causes={"live-python": 60 * MIB, "held-by-pyarrow": 38 * MIB},
    hidden_bytes=20 * MIB,
    settled_seconds=0.4,
    drift_bytes=-40_000,
    excluded=(Exclusion("database_with_a_schema", "session", 30 * MIB),),
    explanation=Explanation(
        parts=MALLOC.explanation.parts if MALLOC.explanation else {},
        released={"malloc": 50 * MIB, "pyarrow": 48 * MIB},
        survivors=LIVE.explanation.survivors if LIVE.explanation else (),
        children=CHILDREN,
        segments=SEGMENTS,
        held_by_pytest=(Holding("log records that pytest captured", 9000, 30 * MIB),),
        tracers=("coverage",),
        unwritten_huge_page_bytes=40 * MIB,
        allocators=(AllocatorGrowth("malloc", 3 * MIB, -MIB, 2),),
    ),
)


@pytest.mark.parametrize("verbosity", [0, 2])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_lines_fold_between_words(width: int, verbosity: int) -> None:
    """No line is wider than the terminal, and folding adds and loses nothing but blanks."""
    folded = render_message(EVERYTHING, width=width, verbosity=verbosity)
    whole = render_message(EVERYTHING, width=10_000, verbosity=verbosity)
    assert max(map(len, folded)) <= width
    assert " ".join(folded).split() == " ".join(whole).split()
    assert "\N{NO-BREAK SPACE}" not in "".join(folded)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_figure_stays_with_its_words(width: int) -> None:
    """No line begins or ends in the midst of one part of a list."""
    lines = render_message(EVERYTHING, width=width)
    for line in lines:
        assert not line.rstrip().endswith(("×", "→ peak", "→ gc", "malloc-free"))
        assert not line.strip().startswith(("·", "MiB"))


def test_every_label_stands_clear_of_its_text() -> None:
    """Texts begin in one column, whatever label is before them."""
    lines = render_message(EVERYTHING, width=10_000, verbosity=2)
    assert {line[2:13].strip() for line in lines[1:]} == {
        *("footprint", "hidden", "cause", "and", "where", "malloc", "child", "segment"),
        *("survivors", "pytest", "tracer", "huge pages", "excluded", "try"),
        *("uncounted", "statistics", "drift", "exact"),
    }
    assert all(line.startswith("  ") and line[12] == " " != line[13] for line in lines[1:])


def test_the_line_that_somebody_waited_for_is_on_the_page() -> None:
    """However much else there is to say; of several the first."""
    lines = (Line("a.py", 1, 90 * MIB), Line("b.py", 2, 9 * MIB), Line("c.py", 3, 9 * MIB))
    assert EVERYTHING.explanation is not None
    crowded = replace(EVERYTHING, explanation=replace(EVERYTHING.explanation, lines=lines))
    said = render_message(crowded, width=100)
    assert len(said) <= 12
    assert [line for line in said if line.startswith("  line ")] == ["  line       90.0 MiB a.py:1"]
    assert any(line.startswith("  try ") for line in said)
