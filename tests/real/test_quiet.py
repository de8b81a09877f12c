"""What keeps nothing is never called retained, however often it is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

KIB = 1024

EMPTY_TESTS = """
import pytest

@pytest.mark.returns_memory
@pytest.mark.parametrize("number", range(200))
def test_empty(number):
    pass
"""


def test_200_empty_tests_in_one_run(tmp_path: Path) -> None:
    """Each of 200 empty tests is returned and moves the footprint by no more than 64 KiB."""
    (tmp_path / "test_empty.py").write_text(EMPTY_TESTS, encoding="utf-8")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", f"--memreturn-report={report}"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
    assert [one["verdict"] for one in tests] == ["returned"] * 200
    assert max(abs(one["retained_bytes"]) for one in tests) <= 64 * KIB
