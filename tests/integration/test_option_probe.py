"""The ini option ``memreturn_probe``: what reads memory."""

from __future__ import annotations

import json

import pytest

_SUITE = """
import pytest
KEPT = []

@pytest.mark.returns_memory("4 MiB")
def test_keeps():
    KEPT.append(b"x" * (24 << 20))

@pytest.mark.returns_memory("4 MiB")
def test_returns():
    len(b"x" * (24 << 20))

@pytest.mark.returns_memory("4 MiB")
def test_idle():
    pass
"""


def test_portable_probe_judges_on_every_platform(pytester: pytest.Pytester) -> None:
    """It tells retained from returned by itself, and the report says which probe it was."""
    pytester.makeini("[pytest]\nmemreturn_probe = portable")
    pytester.makepyfile(test_app=_SUITE)

    result = pytester.runpytest_subprocess("--memreturn-report=report.json")

    result.assert_outcomes(failed=1, passed=2)
    report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    assert report["environment"]["probe"] == "portable"
    verdicts = {one["nodeid"].rpartition("::")[2]: one for one in report["tests"]}
    assert verdicts["test_keeps"]["verdict"] == "retained"
    assert verdicts["test_returns"]["verdict"] == "returned"
    assert verdicts["test_idle"]["verdict"] == "returned"
    assert {one["peak_quality"] for one in report["tests"]} <= {"process", "at-least"}
    # A reading that cannot be had is null, never a guess.
    assert verdicts["test_keeps"]["shown"]["lazy-free"] is None


def test_wrong_probe_is_a_usage_error(pytester: pytest.Pytester) -> None:
    """A name that no probe has ends the run before its first test, with the names there are."""
    pytester.makeini("[pytest]\nmemreturn_probe = guess")
    pytester.makepyfile(test_app="def test_it(): print('the test ran')")

    result = pytester.runpytest_inprocess("-s")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: ini option memreturn_probe: 'guess' is not one of auto, linux, portable"]
    )
    result.stdout.no_fnmatch_line("*the test ran*")
