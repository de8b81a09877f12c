"""The same run alone and spread over processes: same verdicts, same report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]

_SUITE = """
import pytest
pytestmark = pytest.mark.returns_memory

@pytest.mark.parametrize("n", range(6))
def test_returns(n): pass
def test_keeps_30(): pass
def test_keeps_9(): pass
@pytest.mark.returns_memory(trim=True)
def test_holds_30(): pass
def test_unreadable(): pass
def test_fails(): assert 0
def test_skips(): pytest.skip("not today")
@pytest.mark.xfail
def test_keeps_40(): pass
@pytest.mark.returns_memory(min_returned="120%")
def test_wrong(): pass
@pytest.mark.returns_memory(enabled=False)
def test_block_keeps_20(memreturn):
    with memreturn("25 MiB", label="inner"): pass
@pytest.mark.returns_memory(enabled=False)
def test_block_keeps_21(memreturn):
    with memreturn(): pass
"""

_OUTCOMES = {"passed": 9, "failed": 4, "skipped": 1, "xfailed": 1, "errors": 1}
_COUNTS = "12 judged: 8 returned, 4 retained (100.0 MiB), 4 unjudged"
_WAYS = {"alone": (), "-n0": ("-p", "xdist", "-n0"), "-n2": ("-p", "xdist", "-n2")}


def _records(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], set[str | None]]:
    report = json.loads((path / "report.json").read_text(encoding="utf-8"))
    workers = {one.pop("worker") for one in report["tests"]}
    tests = sorted(report["tests"], key=lambda one: (one["nodeid"], one["label"] or ""))
    return report["summary"], tests, workers


def test_same_verdicts_on_every_way(pytester: pytest.Pytester, run: Run) -> None:
    """Outcomes, exit status, counts and records don't depend on who runs the tests."""
    pytester.makepyfile(test_app=_SUITE)
    summaries, records, workers, messages = {}, {}, {}, {}
    for way, arguments in _WAYS.items():
        result = run(*arguments, "--memreturn-report")
        result.assert_outcomes(**_OUTCOMES)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines([_COUNTS])
        summaries[way], records[way], workers[way] = _records(pytester.path)
        messages[way] = sorted(line for line in result.outlines if line.startswith("kept "))

    assert summaries["alone"] == summaries["-n0"] == summaries["-n2"]
    assert records["alone"] == records["-n0"] == records["-n2"]
    assert messages["alone"] == messages["-n0"] == messages["-n2"]
    assert workers == {"alone": {None}, "-n0": {None}, "-n2": {"gw0", "gw1"}}


def test_exitfirst_over_processes(pytester: pytest.Pytester, run: Run) -> None:
    """``-x`` under xdist ends early, and the report has the test that ended it."""
    pytester.makepyfile(test_app=_SUITE)

    result = run("-p", "xdist", "-n1", "-x", "-k", "keeps_30 or keeps_9")

    assert result.ret != pytest.ExitCode.OK
    _, tests, _ = _records(pytester.path)
    assert "test_app.py::test_keeps_30" in {one["nodeid"] for one in tests}


def test_wrong_option_is_said_once(pytester: pytest.Pytester, run: Run) -> None:
    """A wrong value is refused by the controller, before any worker starts."""
    pytester.makepyfile(test_app=_SUITE)

    result = run("-p", "xdist", "-n2", "--memreturn-max-retained=much")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if "much" in line]
    assert len(errors) == 1


def test_worker_that_dies(pytester: pytest.Pytester, run: Run) -> None:
    """A crashed worker loses its test's verdict, and nothing else: the report is written."""
    pytester.makepyfile(
        test_app="""
        import os, pytest
        pytestmark = pytest.mark.returns_memory
        def test_keeps_30(): pass
        def test_dies(): os._exit(9)
        def test_returns(): pass
        """
    )

    result = run("-p", "xdist", "-n1")

    result.assert_outcomes(passed=1, failed=2)
    _, tests, _ = _records(pytester.path)
    assert {one["nodeid"]: one["verdict"] for one in tests} == {
        "test_app.py::test_keeps_30": "retained",
        "test_app.py::test_returns": "returned",
    }
