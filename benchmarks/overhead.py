"""What the plugin costs: each case beside its twin without it, in turn, in fresh processes.

    python benchmarks/overhead.py [RUNS]

Prints medians of CPU time per process, and the median of the ratios run by run: the two runs
of a pair are neighbours in time, so that a machine which changes its speed disturbs the ratio
little.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SMALL_OBJECTS = """
import pytest

{mark}
def test_200_mib_of_small_objects():
    objects = [(number, str(number)) for number in range(1_300_000)]
    del objects
"""

TRIVIAL = """
import pytest

{mark}
@pytest.mark.parametrize("number", range(2_000))
def test_trivial(number):
    pass
"""

MARK = "@pytest.mark.returns_memory"
PLUGIN = ("-p", "pytest_memreturn.plugin")
CLOSED = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
CLOSED.pop("PYTEST_PLUGINS", None)


@dataclass(frozen=True)
class Case:
    """Two command lines for pytest that differ in what the plugin does."""

    title: str
    with_plugin: tuple[str, ...]
    without: tuple[str, ...]


CASES = (
    Case("pytest --version", (*PLUGIN, "--version"), ("--version",)),
    Case("pytest --version --version", (*PLUGIN, "-VV"), ("-VV",)),
    Case("2,000 unmarked trivial tests", (*PLUGIN, "trivial.py"), ("trivial.py",)),
    Case("200 MiB of small objects, marked", (*PLUGIN, "marked.py"), (*PLUGIN, "unmarked.py")),
    Case("2,000 marked trivial tests", (*PLUGIN, "trivial_marked.py"), ("trivial.py",)),
)


def cpu_seconds(arguments: tuple[str, ...], folder: Path) -> float:
    """User and system time of one pytest run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    subprocess.run(command, cwd=folder, env=CLOSED, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every case."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "trivial.py").write_text(TRIVIAL.format(mark=""), encoding="utf-8")
        (folder / "trivial_marked.py").write_text(TRIVIAL.format(mark=MARK), encoding="utf-8")
        (folder / "unmarked.py").write_text(SMALL_OBJECTS.format(mark=""), encoding="utf-8")
        (folder / "marked.py").write_text(SMALL_OBJECTS.format(mark=MARK), encoding="utf-8")
        print(f"{'case':36} {'with ms':>9} {'without ms':>10} {'ratio':>7}")
        for case in CASES:
            cpu_seconds(case.with_plugin, folder)  # fills file caches
            pairs = [
                (cpu_seconds(case.with_plugin, folder), cpu_seconds(case.without, folder))
                for _ in range(runs)
            ]
            with_plugin = statistics.median(first for first, _ in pairs) * 1_000
            without = statistics.median(second for _, second in pairs) * 1_000
            ratio = statistics.median(first / second for first, second in pairs)
            print(f"{case.title:36} {with_plugin:9.0f} {without:10.0f} {ratio:7.3f}", flush=True)


if __name__ == "__main__":
    main()
