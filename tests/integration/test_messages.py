"""One scenario per verdict, with the whole text that a user sees."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Failures: TypeAlias = Callable[[pytest.RunResult], str]
Text: TypeAlias = Callable[[str], str]

_STORY = """
from pytest_memreturn import Record, Snapshot
from pytest_memreturn._explanation import Survivors, SurvivorType
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage
from pytest_memreturn.testing import Script, play

MIB = 1024 * 1024

def reading(heap, live, arenas, objects, rss=0):
    # All in tenths of a MiB: the brk heap and malloc's live bytes, pymalloc's arenas and blocks.
    heap, live, arenas, objects = (tenths * MIB // 10 for tenths in (heap, live, arenas, objects))
    return Snapshot(
        footprint_bytes=heap + arenas,
        rss_bytes=heap + arenas + 10 * MIB,
        lazy_free_bytes=0,
        file_bytes=9 * MIB,
        huge_page_bytes=2 * MIB,
        kinds={"heap": KindUsage(heap, heap), "anonymous": KindUsage(arenas, arenas)},
        allocators=(
            AllocatorStatistics("malloc", live, live_by_kind={"heap": live}),
            AllocatorStatistics("python", objects, held_bytes=arenas),
        ),
    )

BASELINE = reading(251, 240, 200, 190)
AFTER_GC = reading(1247, 256, 206, 194)
AFTER_TRIM = reading(267, 256, 206, 194)
"""

_HELD = """
HELD = Script(BASELINE, AFTER_GC, trim=AFTER_TRIM, peak_rss_bytes=158 * MIB)

def pytest_configure(config):
    play(config, [HELD])
"""

_LEAKED = """
TYPES = ("dict", 400_000, 25_000_000), ("list", 4, 20_000_000), ("str", 9, 900), ("app.Row", 1, 90)
SURVIVORS = Survivors(tuple(SurvivorType(*one) for one in TYPES), in_malloc_bytes=60 * MIB)
LEAKED = Script(
    BASELINE, reading(1051, 1040, 600, 590), peak_quality="at-least", survivors=SURVIVORS
)

def pytest_configure(config):
    play(config, [LEAKED])
"""

_ONE_TEST = """
import pytest

@pytest.mark.returns_memory
def test_parse():
    pass
"""


@pytest.fixture
def held(pytester: pytest.Pytester, run: Run) -> Run:
    """A marked test whose memory is free inside malloc until a trim."""
    pytester.makeconftest(_STORY + _HELD)
    pytester.makepyfile(test_app=_ONE_TEST)
    return run


def _without_rule(shown: str) -> str:
    """Only one test fails in these runs: the rule with its name goes, the message stays."""
    rule, _, message = shown.partition("\n")
    assert rule.strip("_ ").startswith("test_")
    return message


def _body(result: pytest.RunResult) -> str:
    """Everything after pytest's header, which may name the plugin's folder."""
    return result.stdout.str().partition("collected 1 item")[2] or result.stdout.str()


@pytest.mark.parametrize("verbosity", [("-q",), (), ("-v",)])
def test_retained_says_in_a_few_lines_who_has_the_memory_and_what_returns_it(
    held: Run, failures: Failures, text: Text, verbosity: tuple[str, ...]
) -> None:
    """Up to ``-v`` the message is short: footprint, cause, accounts, and what was tried."""
    result = held(*verbosity)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert _without_rule(failures(result)) == text("""
        kept 100.2 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak 148.0 → end 145.3 → gc 145.3 → trim 47.3 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
          where      malloc-free 98.0 · malloc-live 1.6 · python-live 0.4 · python-free 0.2 ·
                     unexplained 0.0 (MiB)
          malloc     main heap 98.0 trimmable
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call
                     malloc_trim(0) when such work is done

        test_app.py:3: MemoryNotReturned
    """)  # noqa: E501 - as wide as the terminal


def test_retained_in_full(held: Run, failures: Failures, text: Text) -> None:
    """With ``-vv`` every account, what is not counted, allocators' figures and exact bytes too."""
    assert _without_rule(failures(held("-vv"))) == text("""
        kept 100.2 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak 148.0 → end 145.3 → gc 145.3 → trim 47.3 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
          where      malloc-free 98.0 · malloc-live 1.6 · python-live 0.4 · python-free 0.2 ·
                     unexplained 0.0 (MiB)
          malloc     main heap 1.6 live, 98.0 trimmable
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call
                     malloc_trim(0) when such work is done
          uncounted  lazy-free +0 B · file +0 B · huge-pages +0 B
          statistics malloc live +1.6 MiB
          statistics python live +409.6 KiB · held +614.4 KiB
          exact      105,067,315 bytes kept, 2,097,152 allowed

        test_app.py:3: MemoryNotReturned
    """)  # noqa: E501 - as wide as the terminal


def test_retained_objects_are_named(
    pytester: pytest.Pytester, run: Run, failures: Failures, text: Text
) -> None:
    """Memory held by live Python objects is said with the largest types that survived."""
    pytester.makeconftest(_STORY + _LEAKED)
    pytester.makepyfile(test_app=_ONE_TEST)

    assert _without_rule(failures(run())) == text("""
        kept 120.0 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak ≥ 165.1 → end 165.1 → gc 165.1 → trim 165.1 MiB
          cause      live-python: 100.0 MiB is held by Python objects that are still alive
          where      malloc-live 80.0 · python-live 40.0 · unexplained 0.0 (MiB)
          malloc     main heap 80.0 live
          survivors  400,000 × dict 23.8 MiB · 4 × list 19.1 MiB · 9 × str 900 B
          try        find what keeps the survivors: a global, a cache, a closure, a thread
          try        --memreturn-explain, which runs it again: it names the lines that allocated it

        test_app.py:3: MemoryNotReturned
    """)
    assert _without_rule(failures(run("-vv"))) == text("""
        kept 120.0 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak ≥ 165.1 → end 165.1 → gc 165.1 → trim 165.1 MiB
          cause      live-python: 100.0 MiB is held by Python objects that are still alive
          where      malloc-live 80.0 · python-live 40.0 · unexplained 0.0 (MiB)
          malloc     main heap 80.0 live
          survivors  400,000 × dict 23.8 MiB · 4 × list 19.1 MiB · 9 × str 900 B · 1 × app.Row 90 B
          try        find what keeps the survivors: a global, a cache, a closure, a thread
          try        --memreturn-explain, which runs it again: it names the lines that allocated it
          uncounted  lazy-free +0 B · file +0 B · huge-pages +0 B
          statistics malloc live +80.0 MiB
          statistics python live +40.0 MiB · held +40.0 MiB
          exact      125,829,120 bytes kept, 2,097,152 allowed

        test_app.py:3: MemoryNotReturned
    """)


def test_a_narrow_terminal_folds_the_message_between_words(
    held: Run, failures: Failures, text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines fold under their own label, never within a word."""
    monkeypatch.setenv("COLUMNS", "60")

    assert _without_rule(failures(held())) == text("""
        kept 100.2 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak 148.0 → end 145.3 → gc 145.3 →
                     trim 47.3 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc,
                     which has not given it back
          where      malloc-free 98.0 · malloc-live 1.6 ·
                     python-live 0.4 · python-free 0.2 ·
                     unexplained 0.0 (MiB)
          malloc     main heap 98.0 trimmable
          try        a trim (tried: returns 98.0 MiB): trim=True
                     judges after one; in production call
                     malloc_trim(0) when such work is done

        test_app.py:3: MemoryNotReturned
    """)


_SCENES = """
from pytest_memreturn.testing import (
    AllocatorStatistics, ChildProcess, Holding, KindUsage, Outside, Script, Segment, Snapshot,
    SurvivorType, Survivors, play,
)

MIB = 1024 * 1024

def reading(heap, live, arena=0, arena_live=0, tops=0, other=0, own=0, huge=0, outside=Outside()):
    # All in MiB: the brk heap and thread arenas with malloc's live bytes in them, of which some
    # is free at the top of an arena; other mappings, and malloc's blocks with a mapping each.
    heap, live, arena, arena_live, tops, other, own, huge = (
        size * MIB for size in (heap, live, arena, arena_live, tops, other, own, huge)
    )
    inside = heap + arena + other + own
    return Snapshot(
        footprint_bytes=inside + outside.footprint_bytes,
        rss_bytes=inside,
        lazy_free_bytes=0,
        file_bytes=0,
        huge_page_bytes=huge,
        kinds={
            "heap": KindUsage(heap, heap),
            "arena": KindUsage(arena, arena),
            "anonymous": KindUsage(other + own, other + own),
        },
        allocators=(
            AllocatorStatistics(
                "malloc",
                live + arena_live,
                heap + arena,
                live_by_kind={"heap": live, "arena": arena_live},
                own_mapping_live_bytes=own,
                thread_top_bytes=tops,
                arenas=1 + bool(arena),
            ),
        ),
        outside=outside,
    )

BEFORE = reading(25, 24)
"""

_PLACES = """
SCENE = Script(
    BEFORE,
    reading(60, 40, arena=50, arena_live=20, tops=25, own=20),
    trim=reading(50, 40, arena=45, arena_live=20, tops=25, own=20),
    survivors=Survivors(in_malloc_bytes=0),
)
"""

_OUTSIDE = """
CHILDREN = tuple(
    ChildProcess(100 + size, "python3", f"python3 -m worker --queue images {size}", size * MIB)
    for size in (20, 5, 12, 9, 7)
)
SEGMENTS = tuple(
    Segment(kind, name, size * MIB, size * MIB, "app")
    for kind, name, size in (
        ("shm", "psm_1f2e", 30), ("sysv", "327", 5), ("shm", "psm_2a", 1), ("memfd", "pool", 9)
    )
)
SCENE = Script(BEFORE, reading(25, 24, outside=Outside(children=CHILDREN, segments=SEGMENTS)))
"""

_HIDDEN = """
SCENE = Script(
    reading(90, 30),
    reading(90, 80),
    survivors=Survivors((SurvivorType("dict", 400_000, 30 * MIB),), in_malloc_bytes=45 * MIB),
)
"""

_HUGE_PAGES = """
SCENE = Script(BEFORE, reading(25, 24, other=60, huge=58), unwritten_huge_page_bytes=50 * MIB)
"""

_LOGGED = """
SCENE = Script(
    BEFORE,
    reading(85, 84),
    survivors=Survivors(
        (SurvivorType("logging.LogRecord", 9, 40 * MIB),), in_malloc_bytes=60 * MIB
    ),
    held_by_pytest=(Holding("log records that pytest captured", 90_000, 50 * MIB),),
)
"""

_TOPS = """
SCENE = Script(
    BEFORE,
    reading(25, 24, arena=64, arena_live=2, tops=60),
    survivors=Survivors(in_malloc_bytes=0),
)
"""

_PYARROW = """
import dataclasses
from pytest_memreturn._session import INSTRUMENTS

def pooled(rest, live):
    bare = reading(25, 24, other=rest)
    pool = AllocatorStatistics("pyarrow", live * MIB)
    return dataclasses.replace(bare, allocators=(*bare.allocators, pool))

SCENE = Script(pooled(0, 0), pooled(80, 1), trim=pooled(2, 1))

def pytest_sessionstart(session):
    # Asked one after the other: malloc has nothing to give back, the pool has it all.
    plain = session.config.stash[INSTRUMENTS]()
    trims = {"malloc": lambda: None, "pyarrow": plain.releaser.trims["malloc"]}
    releaser = dataclasses.replace(plain.releaser, trims=trims)
    asking = dataclasses.replace(plain, releaser=releaser)
    session.config.stash[INSTRUMENTS] = lambda: asking
"""

_PLAYED = """
def pytest_configure(config):
    play(config, [SCENE])
"""


@pytest.fixture
def scene(
    pytester: pytest.Pytester, run: Run, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """The whole message of a marked test that plays a scene, at 80 columns."""

    def scene(source: str, *args: str) -> str:
        monkeypatch.setenv("COLUMNS", "80")
        pytester.makeconftest(_SCENES + source + _PLAYED)
        pytester.makepyfile(test_app=_ONE_TEST)
        message = _without_rule(failures(run(*args)))
        assert max(map(len, message.splitlines())) <= 80
        return message

    return scene


def test_malloc_by_place(scene: Callable[..., str], text: Text) -> None:
    """Where malloc has it, and what became of what is free: each place has another remedy."""
    assert scene(_PLACES) == text("""
        kept 105.0 MiB (allowed 2.0 MiB, default)
          footprint  25.0 → peak 130.0 → end 130.0 → gc 130.0 → trim 115.0 MiB
          cause      live-native: 56.0 MiB is held by native code: something still open,
                     or never freed
          and        held-by-malloc: 40.0 MiB is free inside malloc, which has not given
                     it back
          where      malloc-live 56.0 · malloc-free 49.0 · unexplained 0.0 (MiB)
          malloc     main heap 16.0 live · thread arenas 20.0 live, 25.0 tops ·
                     own mappings 20.0 live
          try        close or drop its owner (a connection, document, parser, handle);
                     where nothing is left to close, a C extension leaks
          try        a trim (tried: returns 15.0 MiB): trim=True judges after one; in
                     production call malloc_trim(0) when such work is done
          try        MALLOC_ARENA_MAX=1 or MALLOC_TRIM_THRESHOLD_=131072
                     (--memreturn-explain tries them): 25.0 MiB is free at the top of
                     threads' arenas, out of a trim's reach

        test_app.py:3: MemoryNotReturned
    """)


def test_malloc_by_place_in_full(scene: Callable[..., str]) -> None:
    """With ``-vv`` each place has all its parts, and the allocators' own figures follow."""
    lines = scene(_PLACES, "-vv").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  malloc"))
    assert lines[start : start + 3] == [
        "  malloc     main heap 16.0 live, 10.0 trimmable, 9.0 pinned ·",
        "             thread arenas 20.0 live, 5.0 trimmable, 25.0 tops ·",
        "             own mappings 20.0 live",
    ]
    assert "  statistics malloc live +56.0 MiB · held +85.0 MiB · arenas +1" in lines


def test_what_lives_outside(scene: Callable[..., str], text: Text) -> None:
    """Children and segments by name, largest first, and how many more there are."""
    assert scene(_OUTSIDE) == text("""
        kept 98.0 MiB (allowed 2.0 MiB, default)
          footprint  25.0 → peak 123.0 → end 123.0 → gc 123.0 → trim 123.0 MiB
          cause      child-process: 53.0 MiB is held by child processes that are still
                     alive
          and        shared-memory: 45.0 MiB is shared memory that is still there
          where      children 53.0 · shared-memory 45.0 · unexplained 0.0 (MiB)
          child      python3 (pid 120) 20.0 MiB: python3 -m worker --queue images 20
          child      python3 (pid 112) 12.0 MiB: python3 -m worker --queue images 12
          child      python3 (pid 109) 9.0 MiB: python3 -m worker --queue images 9
          segment    psm_1f2e (shm, owner app) 30.0 MiB
          segment    pool (memfd, owner app) 9.0 MiB
          try        end the process and wait for it: shut its pool or server down
          more       2 entries left out (-vv shows them)

        test_app.py:3: MemoryNotReturned
    """)


def test_what_lives_outside_in_full(scene: Callable[..., str]) -> None:
    """With ``-vv`` every one is named, and none is more."""
    shown = scene(_OUTSIDE, "-vv")
    assert (shown.count("\n  child "), shown.count("\n  segment ")) == (5, 4)
    assert "more" not in shown


def test_what_does_not_show_in_the_footprint(scene: Callable[..., str], text: Text) -> None:
    """Growth into memory that was free and resident is retained, and the message says why."""
    assert scene(_HIDDEN) == text("""
        kept 50.0 MiB (allowed 2.0 MiB, default)
          footprint  90.0 → peak 90.0 → end 90.0 → gc 90.0 → trim 90.0 MiB
          hidden     50.0 MiB of it fills memory that was free, and resident, before
          cause      live-python: 45.0 MiB is held by Python objects that are still
                     alive
          where      malloc-live 50.0 · malloc-free -50.0 · unexplained 0.0 (MiB)
          malloc     main heap 50.0 live
          survivors  400,000 × dict 30.0 MiB
          try        find what keeps the survivors: a global, a cache, a closure, a
                     thread
          try        --memreturn-explain, which runs it again: it names the lines that
                     allocated it

        test_app.py:3: MemoryNotReturned
    """)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        pytest.param(
            _HUGE_PAGES,
            """
          cause      mapped: 60.0 MiB is in memory mappings that no known allocator owns
          where      mapped 60.0 · unexplained 0.0 (MiB)
          huge pages 50.0 MiB of it holds only zeros, resident for being in huge pages
            """,
            id="huge pages",
        ),
        pytest.param(
            _LOGGED,
            """
          survivors  9 × logging.LogRecord 40.0 MiB
          pytest     keeps 90,000 log records that pytest captured: about 50.0 MiB
            """,
            id="log records",
        ),
        pytest.param(
            _LOGGED,
            """
          try        log and print less, or -p no:logging (not tried): pytest keeps it
                     for its report
            """,
            id="what to do about log records",
        ),
        pytest.param(
            _TOPS,
            """
          where      malloc-free 62.0 · malloc-live 2.0 · unexplained 0.0 (MiB)
          malloc     thread arenas 60.0 tops
          try        MALLOC_ARENA_MAX=1 or MALLOC_TRIM_THRESHOLD_=131072
                     (--memreturn-explain tries them): 60.0 MiB is free at the top of
                     threads' arenas, out of a trim's reach
            """,
            id="tops of thread arenas",
        ),
        pytest.param(
            _PYARROW,
            """
          cause      held-by-pyarrow: 78.0 MiB is free inside pyarrow, which has not
                     given it back
          where      pyarrow-free 78.0 · pyarrow-live 1.0 · mapped 1.0 ·
                     unexplained 0.0 (MiB)
          try        a trim (tried: returns 78.0 MiB): trim=True judges after one; in
                     production call pyarrow.default_memory_pool().release_unused() when
                     such work is done
            """,
            id="a pool that gives back when it is asked",
        ),
    ],
)
def test_who_else_has_it(scene: Callable[..., str], text: Text, source: str, lines: str) -> None:
    """These lines stand in the message one after the other."""
    assert textwrap.indent(text(lines), "  ") in scene(source)


@pytest.mark.parametrize("verbosity", [("-q",), (), ("-vv",)])
@pytest.mark.parametrize("name", ["test_returns", "test_keeps_1", "test_cycles_90"])
def test_returned_says_nothing(
    pytester: pytest.Pytester, run: Run, name: str, verbosity: tuple[str, ...]
) -> None:
    """A test that gave its memory back, or kept no more than it may, passes without a message."""
    pytester.makepyfile(test_app=_ONE_TEST.replace("test_parse", name))

    result = run(*verbosity)

    assert result.ret == pytest.ExitCode.OK
    without_words_beside = re.sub(r"PASSED \[returned[^]]*\]", "PASSED", _body(result))
    assert not re.search("mem|MiB|footprint|retained", without_words_beside)


@pytest.mark.parametrize("verbosity", [("-q",), (), ("-vv",)])
def test_unjudged_says_why(pytester: pytest.Pytester, run: Run, verbosity: tuple[str, ...]) -> None:
    """A test that could not be judged passes, and the summary has it with the reason."""
    pytester.makepyfile(test_app=_ONE_TEST.replace("test_parse", "test_unreadable"))

    result = run(*verbosity)

    assert result.ret == pytest.ExitCode.OK
    lines = result.outlines
    heading = next(number for number, line in enumerate(lines) if "memory returned" in line)
    assert lines[heading].strip("= ").startswith("memory returned to the operating system")
    assert lines[heading + 1 : heading + 3] == [
        "UNJUDGED test_app.py::test_unreadable - the script has no reading at end",
        "0 judged: 0 returned, 0 retained, 1 unjudged",
    ]


@pytest.mark.parametrize("verbosity", [("-q",), (), ("-vv",)])
def test_unjudged_under_strict(
    pytester: pytest.Pytester, run: Run, failures: Failures, text: Text, verbosity: tuple[str, ...]
) -> None:
    """Where unjudged is a failure, its message is the reason and who asked for it."""
    pytester.makepyfile(test_app=_ONE_TEST.replace("test_parse", "test_unreadable"))

    result = run("--memreturn-strict", *verbosity)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert _without_rule(failures(result)) == text("""
        unjudged: the script has no reading at end (strict: --memreturn-strict)

        test_app.py:3: Unjudged
    """)
