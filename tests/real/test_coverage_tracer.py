"""A test whose lines are followed by coverage.py, which keeps what it notes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_FUNCTIONS, _LINES = 1500, 50
_TESTS = """
import many_lines
import pytest

@pytest.mark.returns_memory("256 KiB")
def test_first():
    many_lines.run()

@pytest.mark.returns_memory("256 KiB")
def test_second():
    many_lines.run()
"""


@pytest.mark.parametrize("is_traced", [True, False])
def test_a_tracer_is_named_where_its_memory_counts(tmp_path: Path, is_traced: bool) -> None:
    """The first test that runs many new lines keeps what is noted of them; the next one does not.

    The message of the first says that the tracer was on; without one, nothing is kept.
    """
    body = "".join(f"    x = x + {number}\n" for number in range(_LINES))
    functions = "".join(f"def f{n}(x):\n{body}    return x\n\n" for n in range(_FUNCTIONS))
    calls = "".join(f"    f{n}(0)\n" for n in range(_FUNCTIONS))
    (tmp_path / "many_lines.py").write_text(f"{functions}def run():\n{calls}", encoding="utf-8")
    (tmp_path / "test_lines.py").write_text(_TESTS, encoding="utf-8")

    traced = ("-p", "pytest_cov.plugin", "--cov=many_lines", "--cov-report=") if is_traced else ()
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *("--memreturn-report=report.json", *traced),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    first, second = report["tests"]
    assert second["verdict"] == "returned", ended.stdout
    if not is_traced:
        assert first["verdict"] == "returned", ended.stdout
        return
    assert first["verdict"] == "retained", ended.stdout
    assert first["explanation"]["tracers"] == ["coverage"]
    assert "tracer     coverage was on: what it notes of lines that run for the" in ended.stdout
