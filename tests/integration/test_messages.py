"""One scenario per verdict, with the whole text that a user sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Failures: TypeAlias = Callable[[pytest.RunResult], str]
Text: TypeAlias = Callable[[str], str]

_STORY = """
from pytest_memreturn import Record, Snapshot
from pytest_memreturn._record import Survivors, SurvivorType
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
            AllocatorStatistics("malloc", live, kinds=("heap", "arena")),
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
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call
                     malloc_trim(0) when such work is done

        test_app.py:3: MemoryNotReturned
    """)  # noqa: E501 - as wide as the terminal


def test_retained_in_full(held: Run, failures: Failures, text: Text) -> None:
    """With ``-vv`` every account, what is not counted and exact bytes are shown as well."""
    assert _without_rule(failures(held("-vv"))) == text("""
        kept 100.2 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak 148.0 → end 145.3 → gc 145.3 → trim 47.3 MiB
          cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
          where      malloc-free 98.0 · malloc-live 1.6 · python-live 0.4 · python-free 0.2 ·
                     unexplained 0.0 (MiB)
          try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call
                     malloc_trim(0) when such work is done
          uncounted  lazy-free +0 B · file +0 B · huge-pages +0 B
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
          survivors  400,000 × dict 23.8 MiB · 4 × list 19.1 MiB · 9 × str 900 B
          try        find what keeps the survivors: a global, a cache, a closure, a thread

        test_app.py:3: MemoryNotReturned
    """)
    assert _without_rule(failures(run("-vv"))) == text("""
        kept 120.0 MiB (allowed 2.0 MiB, default)
          footprint  45.1 → peak ≥ 165.1 → end 165.1 → gc 165.1 → trim 165.1 MiB
          cause      live-python: 100.0 MiB is held by Python objects that are still alive
          where      malloc-live 80.0 · python-live 40.0 · unexplained 0.0 (MiB)
          survivors  400,000 × dict 23.8 MiB · 4 × list 19.1 MiB · 9 × str 900 B · 1 × app.Row 90 B
          try        find what keeps the survivors: a global, a cache, a closure, a thread
          uncounted  lazy-free +0 B · file +0 B · huge-pages +0 B
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
          try        a trim (tried: returns 98.0 MiB): trim=True
                     judges after one; in production call
                     malloc_trim(0) when such work is done

        test_app.py:3: MemoryNotReturned
    """)


@pytest.mark.parametrize("verbosity", [("-q",), (), ("-vv",)])
@pytest.mark.parametrize("name", ["test_returns", "test_keeps_1", "test_cycles_90"])
def test_returned_says_nothing(
    pytester: pytest.Pytester, run: Run, name: str, verbosity: tuple[str, ...]
) -> None:
    """A test that gave its memory back, or kept no more than it may, passes without a word."""
    pytester.makepyfile(test_app=_ONE_TEST.replace("test_parse", name))

    result = run(*verbosity)

    assert result.ret == pytest.ExitCode.OK
    assert not re.search("mem|MiB|footprint|retained", _body(result))


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
