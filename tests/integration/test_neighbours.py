"""Verdicts don't depend on which of pytest's own plugins are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]

_SUITE = """
import pytest
pytestmark = pytest.mark.returns_memory
def test_keeps_30(): print("said in passing")
def test_returns(): pass
def test_fails(): assert 0
"""

_VERDICTS = {"test_keeps_30": "retained", "test_returns": "returned", "test_fails": "unjudged"}


@pytest.mark.parametrize(
    "absent",
    [
        "assertion",
        "cacheprovider",
        "capture",
        "debugging",
        "doctest",
        "faulthandler",
        "junitxml",
        "logging",
        "nose",
        "pastebin",
        "recwarn",
        "setuponly",
        "skipping",
        "stepwise",
        "subtests",
        "threadexception",
        "tmpdir",
        "unittest",
        "unraisableexception",
        "warnings",
    ],
)
def test_without_a_plugin(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts, absent: str
) -> None:
    """Whatever is switched off by ``-p no:...``, failure, message and report are the same."""
    pytester.makepyfile(test_app=_SUITE)

    result = run("-p", f"no:{absent}")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["kept 30.0 MiB (allowed 2.0 MiB, default)"])
    assert verdicts() == _VERDICTS


def test_without_terminal(pytester: pytest.Pytester, run: Run, verdicts: Verdicts) -> None:
    """Without a terminal reporter there is no table to show, and the report file is written."""
    pytester.makepyfile(test_app=_SUITE)

    result = run("-p", "no:terminal", "--memreturn-report")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdicts() == _VERDICTS


@pytest.mark.parametrize(
    "flags",
    [
        ("-s",),
        ("--capture=sys",),
        ("--capture=tee-sys",),
        ("--showlocals",),
        ("--assert=plain",),
        ("--import-mode=importlib",),
        ("-p", "no:randomly"),
        ("--no-header", "--no-summary", "-q"),
        ("--color=yes",),
        ("--durations=3", "-vv"),
        ("--setup-show",),
        ("--full-trace",),
    ],
)
def test_with_flags(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts, flags: tuple[str, ...]
) -> None:
    """Common flags change nothing about verdicts or the message."""
    pytester.makepyfile(test_app=_SUITE)

    result = run(*flags)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdicts() == _VERDICTS
    if "--no-summary" not in flags:
        result.stdout.fnmatch_lines(["*kept 30.0 MiB (allowed 2.0 MiB, default)*"])


def test_what_the_test_said_follows_the_message(pytester: pytest.Pytester, run: Run) -> None:
    """Captured output is shown with a retaining test, as with any that fails."""
    pytester.makepyfile(test_app=_SUITE)

    run().stdout.fnmatch_lines(
        [
            "kept 30.0 MiB (allowed 2.0 MiB, default)",
            "test_app.py:3: MemoryNotReturned",
            "-* Captured stdout call -*",
            "said in passing",
        ]
    )
