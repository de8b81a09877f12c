"""Windows wider than a body, on memory that is truly allocated."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Judge = Callable[..., dict[str, Any]]

HERE = Path(__file__).parent
SIZE = 40_000_000
SOURCE = "workloads_windows.py"


def judged(judge: Judge, workload: str) -> dict[str, Any]:
    """The record of one test, or class, run alone."""
    return judge(workload, source=SOURCE)


@pytest.mark.parametrize("workload", ["test_whole", "TestClears"])
def test_what_ends_inside_the_window_is_returned(judge: Judge, workload: str) -> None:
    """Whatever fixtures held, pytest's own references to their values included."""
    record = judged(judge, workload)
    assert record["verdict"] == "returned"
    assert record["peak_growth_bytes"] >= 0.9 * SIZE


@pytest.mark.parametrize(("workload", "tests"), [("test_leak", 1), ("TestKeeps", 1)])
def test_what_outlives_the_window_is_retained(judge: Judge, workload: str, tests: int) -> None:
    """By a fixture, or by one of many tests; who keeps it is named."""
    record = judged(judge, workload)
    assert (record["verdict"], record["cause"]) == ("retained", "live-python")
    assert record["test_count"] == tests
    assert 0.9 * SIZE <= record["retained_bytes"] <= 1.2 * SIZE
    chain = record["explanation"]["survivors"][0]["chain"]
    assert {"test_leak": "kept (list)", "TestKeeps": "TestKeeps.cache"}[workload] in chain


def test_a_window_inside_another() -> None:
    """The work-load checks its own figures."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"{HERE / SOURCE}::test_nested"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout


def test_what_comes_back_with_a_body_s_fixtures(judge: Judge) -> None:
    """It is in the record."""
    record = judged(judge, "test_body")
    assert record["verdict"] == "retained"
    assert 0.9 * SIZE <= record["torn_down_bytes"] <= record["retained_bytes"]
