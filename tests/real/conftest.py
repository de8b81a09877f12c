"""Runs that truly allocate: each in a fresh process, judged by its report."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

HERE = Path(__file__).parent
MIB = 1024 * 1024

Judge: TypeAlias = Callable[..., dict[str, Any]]
Needs: TypeAlias = Callable[..., None]
Check: TypeAlias = Callable[[Mapping[str, Any]], None]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Whatever is in this folder is `real`: kept away from tracers, which change readings."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Run one work-load in a fresh pytest with ``--memreturn`` and give its record."""

    def run(
        workload: str,
        *options: str,
        source: str = "workloads.py",
        variables: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        shutil.copy(HERE / source, tmp_path / f"test_{source}")
        report = tmp_path / "report.json"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--memreturn"]
        shown = [f"--memreturn-report={report}", "--show-capture=no"]
        ended = subprocess.run(
            [*command, *shown, *options, f"test_{source}::{workload}"],
            cwd=tmp_path,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert ended.returncode in {0, 1}, ended.stdout + ended.stderr
        (record,) = json.loads(report.read_text(encoding="utf-8"))["tests"]
        assert (ended.returncode == 1) == (record["verdict"] == "retained"), ended.stdout
        return {**record, "stdout": ended.stdout}

    return run


@pytest.fixture
def needs() -> Needs:
    """Leave a test out where a module is not installed, if anything may be left out."""

    def check(*modules: str) -> None:
        missing = [one for one in modules if importlib.util.find_spec(one) is None]
        if missing:
            left_out = f"left out: not installed: {', '.join(missing)}"
            if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
                pytest.fail(left_out)
            pytest.skip(left_out)

    return check


@pytest.fixture
def check_ledger() -> Check:
    """A ledger sums to what was retained, its parts to their accounts, and next to all is named."""

    def check(record: Mapping[str, Any]) -> None:
        ledger, retained = record["ledger"], record["retained_bytes"]
        assert sum(ledger.values()) == retained - record["hidden_bytes"], record
        assert abs(ledger["unexplained"]) <= max(retained * 0.05, MIB // 2), ledger
        for account, parts in record["explanation"]["parts"].items():
            assert sum(parts.values()) == ledger[account], (account, parts)

    return check
