"""The failure message, as text."""

from __future__ import annotations

import textwrap
from dataclasses import replace

import pytest

from pytest_memreturn._record import Explanation, Record, SurvivorType
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.report.causes import advice_for, cause_in_words
from pytest_memreturn.report.message import headline, render_message

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
    explanation=Explanation(),
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
        (
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


def entry(record: Record, label: str) -> list[str]:
    """The texts of the message that stand under one label."""
    lines = render_message(record, width=1000)
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


TRIM = "a trim (tried: returns 98.0 MiB): trim=True judges after one"
LATER = "MALLOC_TRIM_THRESHOLD_=131072 at process start (not tried)"


@pytest.mark.parametrize(
    ("record", "advice"),
    [
        pytest.param(HELD, [TRIM], id="a trim returned it"),
        pytest.param(
            replace(HELD, readings={"collect": 145 * MIB, "trim": 141 * MIB}),
            [LATER],
            id="a trim returned next to nothing of what is free: tops of thread arenas",
        ),
        pytest.param(
            replace(HELD, readings={"collect": 145 * MIB, "trim": 97 * MIB}),
            ["a trim (tried: returns 48.0 MiB): trim=True judges after one", LATER],
            id="a trim returned a part",
        ),
        pytest.param(
            replace(HELD, gate="trim", readings={"collect": 145 * MIB, "trim": 145 * MIB}),
            [LATER],
            id="judged after a trim",
        ),
        pytest.param(
            replace(HELD, readings={"baseline": 45 * MIB, "collect": 145 * MIB, "trim": None}),
            [],
            id="the trim could not be read",
        ),
        pytest.param(replace(HELD, readings=None), [], id="nothing could be read"),
        pytest.param(
            replace(
                HELD,
                cause="mapped",
                causes={"mapped": 90 * MIB},
                readings={"collect": 145 * MIB, "trim": 146 * MIB},
            ),
            ["unmap or close it"],
            id="a trim that took memory is not worth naming",
        ),
        pytest.param(
            replace(HELD, cause=None, causes=None, readings=None),
            ["judge where more can be read"],
            id="without a cause",
        ),
    ],
)
def test_what_is_advised(record: Record, advice: list[str]) -> None:
    """Bytes are promised only for what was tried; the rest is said to be untried."""
    found = entry(record, "try")
    assert [text[: len(start)] for text, start in zip(found, advice, strict=True)] == advice


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


SLUGS = {
    "live-python": ("held by Python objects", "find what keeps"),
    "live-native": ("held by native code", "close or drop its owner"),
    "held-by-malloc": ("free inside malloc, which has not given it back", None),
    "held-by-jemalloc": ("free inside jemalloc, which has not given it back", None),
    "pinned-malloc": ("free inside malloc, but live blocks sit on its pages", "build what stays"),
    "pinned-my-pool": ("free inside my-pool, but live blocks sit on its", "build what stays"),
    "pinned-python": ("free room in pymalloc arenas", "build what stays"),
    "mapped": ("in memory mappings that no known", "unmap or close it"),
    "shared-memory": ("shared memory that is still there", "close and unlink"),
    "unexplained": ("in no account that could be read here", "judge where more can be read"),
}


@pytest.mark.parametrize(("slug", "words"), SLUGS.items())
def test_every_cause_is_explained(slug: str, words: tuple[str, str | None]) -> None:
    """In words that follow a size, and with advice where trying does not tell more."""
    meaning, advice = words
    assert cause_in_words(slug).startswith(meaning)
    found = advice_for(slug)
    assert found is None if advice is None else (found or "").startswith(advice)
