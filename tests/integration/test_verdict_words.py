"""Under ``-v`` the verdict stands beside the outcome of each test."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]

_SUITE = """
import pytest
pytestmark = pytest.mark.returns_memory
def test_returns(): pass
def test_keeps_1(): pass
def test_keeps_30(): pass
def test_unreadable(): pass
def test_fails(): assert 0
def test_skips(): pytest.skip("not today")
@pytest.mark.xfail(reason="known")
def test_keeps_40(): pass
@pytest.mark.returns_memory(enabled=False)
def test_is_not_judged(): pass
@pytest.mark.returns_memory(enabled=False)
def test_block_keeps_20(memreturn):
    with memreturn("25 MiB", label="inner"): pass
"""

_WORDS = {
    "test_returns": "PASSED [returned]",
    "test_keeps_1": "PASSED [returned, kept 1.0 MiB]",
    "test_keeps_30": "FAILED [retained 30.0 MiB, unexplained]",
    "test_unreadable": "PASSED [unjudged]",
    "test_fails": "FAILED",
    "test_skips": "SKIPPED",
    "test_keeps_40": "XFAIL [retained 40.0 MiB, unexplained]",
    "test_is_not_judged": "PASSED",
    "test_block_keeps_20": "PASSED [inner: returned, kept 20.0 MiB]",
}
_OUTCOMES = {"passed": 5, "failed": 2, "skipped": 1, "xfailed": 1}


@pytest.fixture
def bare(pytester: pytest.Pytester, scripted: Path) -> Run:
    """Run the suite with no report."""
    pytester.makepyfile(test_app=_SUITE)
    return pytester.runpytest_inprocess


@pytest.mark.parametrize("more", ["-v", "-vv"])
def test_beside_each_test(bare: Run, more: str) -> None:
    """Outcomes and counts are as they were; what was not judged has its word alone."""
    result = bare(more, "--tb=no")

    result.assert_outcomes(**_OUTCOMES)
    ends = {"test_skips": " (not today)", "test_keeps_40": " (known)"}
    for name, word in _WORDS.items():
        end = ends.get(name, "")
        result.stdout.re_match_lines([rf"test_app.py::{name} {re.escape(word + end)} +\[ *\d+%\]"])
    # The lines of the summary stay as other tools read them.
    result.stdout.fnmatch_lines(["FAILED test_app.py::test_keeps_30 - kept 30.0 MiB*"])


def test_beside_each_test_of_a_worker(bare: Run) -> None:
    """As pytest-xdist writes its lines: the word, then the test."""
    result = bare("-v", "--tb=no", "-p", "xdist", "-n1")

    result.assert_outcomes(**_OUTCOMES)
    for name, word in _WORDS.items():
        result.stdout.re_match_lines(
            [rf"\[gw0\] \[ *\d+%\] {re.escape(word)} test_app.py::{name} ?"]
        )


@pytest.mark.parametrize("arguments", [(), ("-q",), ("--no-header", "-q"), ("-v", "-q")])
def test_not_unless_asked(bare: Run, arguments: tuple[str, ...]) -> None:
    """Without ``-v`` there are letters only, and each is the one that pytest has."""
    result = bare(*arguments, "--tb=no")

    result.assert_outcomes(**_OUTCOMES)
    result.stdout.re_match_lines([r"(test_app.py )?\.\.F\.Fsx\.\. +\[100%\]"])
    assert "[returned" not in result.stdout.str()


def test_words_of_tests_alone(bare: Run, pytester: pytest.Pytester) -> None:
    """How much is said of tests can be set apart from the rest."""
    pytester.makeini("[pytest]\nverbosity_test_cases = 1")
    bare("--tb=no").stdout.fnmatch_lines(["*test_returns PASSED ?returned?*"])


def test_another_plugin_s_word_is_kept(bare: Run, pytester: pytest.Pytester) -> None:
    """Its category, its letter and its colours, too."""
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\ndef pytest_report_teststatus(report):\n"
            "    if report.when == 'call' and 'keeps_1' in report.nodeid:\n"
            "        return 'again', 'A', ('AGAIN', {'blue': True})\n"
        )

    result = bare("-v", "--tb=no", "--color=yes")

    blue, off = "\x1b[34m", "\x1b[0m"
    assert f"test_keeps_1 {blue}AGAIN [returned, kept 1.0 MiB]{off}" in result.stdout.str()
    assert "1 again" in result.stdout.str()


def test_a_retained_verdict_that_only_warns(bare: Run) -> None:
    """The test passes, and its line says what it kept."""
    result = bare("-v", "-Wdefault", "--memreturn-mode=warn", "-k", "keeps_30")

    result.assert_outcomes(passed=1, deselected=8, warnings=1)
    result.stdout.fnmatch_lines(["*test_keeps_30 PASSED ?retained 30.0 MiB, unexplained?*"])


def test_subtests_have_their_own_words(bare: Run, pytester: pytest.Pytester) -> None:
    """The verdict is the test's, and stands beside it alone."""
    pytest.importorskip("_pytest.subtests", reason="a part of pytest from 9.0 on")
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.mark.returns_memory
        def test_keeps_1(subtests):
            with subtests.test("one"): pass
        """
    )

    result = bare("-v")

    result.stdout.fnmatch_lines(["*test_keeps_1 PASSED ?returned, kept 1.0 MiB?*"])
    assert result.stdout.str().count("[returned") == 1
