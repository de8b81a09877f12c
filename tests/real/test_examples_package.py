"""The example of a package with an allocator of its own: its tests, and what its plugin is for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

MIB = 1024 * 1024

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "slab_pool"
PAGE = ROOT / "docs" / "how-to" / "add-an-allocator.md"
PLUGIN = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "entry-points"
]["pytest11"]["slab-pool"]

_KEEPS = """
import pytest
from slab_pool import SlabPool

KEPT = []

@pytest.mark.returns_memory
def test_keeps():
    pool = SlabPool(64 * 1024)
    KEPT.append(pool)
    for _ in range(640):
        block = pool.take()
        block[:] = bytes(len(block))
"""

Ended: TypeAlias = "subprocess.CompletedProcess[str]"
RunHere: TypeAlias = Callable[..., Ended]


@pytest.fixture
def run_in() -> RunHere:
    """Run pytest in a fresh process that can import the example, as if it were installed."""

    def run(folder: Path, *arguments: str) -> Ended:
        paths = [str(PROJECT / "src"), os.environ.get("PYTHONPATH", "")]
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture
def keeps(tmp_path: Path) -> Path:
    """A folder with a test that keeps 40 MiB of blocks."""
    (tmp_path / "test_app.py").write_text(_KEEPS, encoding="utf-8")
    return tmp_path


def record_in(folder: Path) -> dict[str, Any]:
    """The one record of the report in this folder."""
    (record,) = json.loads((folder / "report.json").read_text(encoding="utf-8"))["tests"]
    found: dict[str, Any] = record
    return found


def examples_on_the_page() -> list[str]:
    """The blocks of Python on it, in their order."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_its_own_tests_pass(run_in: RunHere) -> None:
    """All of them, with the plugin that its entry point names."""
    ended = run_in(PROJECT, "-p", PLUGIN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    last = ended.stdout.splitlines()[-1]
    assert " passed" in last
    assert "skipped" not in last


def test_with_its_plugin_the_memory_has_a_name(run_in: RunHere, keeps: Path) -> None:
    """The pool's own figures split what the process grew by."""
    ended = run_in(keeps, "-p", PLUGIN, "--memreturn-report=report.json")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    record = record_in(keeps)
    assert record["cause"] == "live-native"
    assert record["ledger"]["slab-pool-live"] == pytest.approx(40 * MIB, rel=0.05)
    assert "slab-pool-live 40.0" in ended.stdout


def test_without_its_plugin_the_memory_is_mapped(run_in: RunHere, keeps: Path) -> None:
    """It is retained as before, and nobody can say by whom."""
    ended = run_in(keeps, "--memreturn-report=report.json")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    record = record_in(keeps)
    assert record["cause"] == "mapped"
    assert record["ledger"]["mapped"] == pytest.approx(40 * MIB, rel=0.05)
    assert "slab-pool-live" not in record["ledger"]


def test_without_this_plugin_its_plugin_does_nothing(
    run_in: RunHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever installs the package without pytest-memreturn still can run their tests."""
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    (tmp_path / "test_app.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert 'slab_pool.pytest_plugin' in sys.modules\n"
        "    assert 'pytest_memreturn' not in sys.modules\n",
        encoding="utf-8",
    )
    ended = run_in(tmp_path, "-p", "no:memreturn", "-p", PLUGIN)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_page_about_it_adds_the_allocator(run_in: RunHere, keeps: Path) -> None:
    """Its first example is a whole ``conftest.py``."""
    (keeps / "conftest.py").write_text(examples_on_the_page()[0], encoding="utf-8")
    ended = run_in(keeps, "--memreturn-report=report.json")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert record_in(keeps)["ledger"]["slab-pool-live"] == pytest.approx(40 * MIB, rel=0.05)


def test_the_page_about_it_adds_an_account(run_in: RunHere, tmp_path: Path) -> None:
    """Its last example is one, too, for a library that says how much it uses."""
    (tmp_path / "conftest.py").write_text(examples_on_the_page()[-1], encoding="utf-8")
    (tmp_path / "gpu_pool.py").write_text(
        "used = 0\ndef used_bytes():\n    return used\n", encoding="utf-8"
    )
    (tmp_path / "test_app.py").write_text(
        "import gpu_pool\ndef test_keeps():\n    gpu_pool.used += 40 << 20\n", encoding="utf-8"
    )
    ended = run_in(tmp_path, "--memreturn", "--memreturn-report=report.json")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    record = record_in(tmp_path)
    assert record["cause"] == "gpu-pool"
    assert record["ledger"]["gpu-pool"] == 40 * MIB
