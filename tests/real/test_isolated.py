"""Isolated tests have the verdict that each has alone, whatever runs before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MIB = 1024 * 1024
SOURCE = Path(__file__).with_name("workloads_orders.py")
NAMES = ("test_parses", "test_frees_an_array", "test_looks_up", "test_looks_up_too")

RunOrder = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def run_order(tmp_path: Path) -> RunOrder:
    """Run the tests in an order, and give their records by name."""

    def run(names: tuple[str, ...], *options: str) -> dict[str, dict[str, Any]]:
        (tmp_path / "test_orders.py").write_bytes(SOURCE.read_bytes())
        report = tmp_path / "report.json"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--memreturn"]
        ended = subprocess.run(
            [
                *(*command, *options, f"--memreturn-report={report}"),
                *(f"test_orders.py::{name}" for name in names),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode in {0, 1}, ended.stdout + ended.stderr
        tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
        return {one["nodeid"].rpartition("::")[2]: one for one in tests}

    return run


@pytest.mark.extended
@pytest.mark.parametrize("allocator", ["malloc", "jemalloc", "tcmalloc", "mimalloc"])
def test_an_allocator_serves_an_isolated_test(tmp_path: Path, allocator: str) -> None:
    """Its library is loaded there; malloc has none."""
    (tmp_path / "test_served.py").write_text(
        "import pytest\nfrom pathlib import Path\n"
        f"@pytest.mark.returns_memory(allocator={allocator!r})\n"
        "def test_x():\n"
        "    maps = Path('/proc/self/maps').read_text()\n"
        "    found = [one for one in ('jemalloc', 'tcmalloc', 'mimalloc') if f'lib{one}' in maps]\n"
        f"    assert found == [one for one in [{allocator!r}] if one != 'malloc']\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def verdicts(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The verdicts by name."""
    return {name: one["verdict"] for name, one in records.items()}


def test_verdicts_do_not_depend_on_the_order(run_order: RunOrder) -> None:
    """Where they do, they are those of each test alone."""
    backward = tuple(reversed(NAMES))
    assert verdicts(run_order(NAMES)) != verdicts(run_order(backward))

    isolated = run_order(NAMES, "--memreturn-isolate")
    assert verdicts(isolated) == {
        "test_parses": "returned",
        "test_frees_an_array": "returned",
        "test_looks_up": "retained",
        "test_looks_up_too": "retained",
    }
    assert verdicts(run_order(backward, "--memreturn-isolate")) == verdicts(isolated)
    # In a process of its own, that no other has made.
    for name in ("test_parses", "test_looks_up"):
        alone = run_order((name,))[name]
        assert alone["verdict"] == isolated[name]["verdict"]
        assert abs(alone["retained_bytes"] - isolated[name]["retained_bytes"]) <= MIB // 4
