"""Runs that truly allocate: each in a fresh process, judged by its report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

HERE = Path(__file__).parent

Judge: TypeAlias = Callable[..., dict[str, Any]]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Whatever is in this folder is `real`: kept away from tracers, which change readings."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Run one work-load in a fresh pytest with ``--memreturn`` and give its record."""

    def run(workload: str, *options: str) -> dict[str, Any]:
        shutil.copy(HERE / "workloads.py", tmp_path / "test_workloads.py")
        report = tmp_path / "report.json"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--memreturn"]
        chosen = [f"--memreturn-report={report}", *options, f"test_workloads.py::{workload}"]
        ended = subprocess.run(
            [*command, *chosen],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode in {0, 1}, ended.stdout + ended.stderr
        (record,) = json.loads(report.read_text(encoding="utf-8"))["tests"]
        assert (ended.returncode == 1) == (record["verdict"] == "retained"), ended.stdout
        return dict(record)

    return run
