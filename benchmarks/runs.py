"""One run of pytest in a process of its own: what it took, and how its tests ended."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.watcher import FOOTPRINT_AFTER, OUT

ROOT = Path(__file__).parents[1]
PACKAGE = "pytest_memreturn"
PLUGIN = ("-p", f"{PACKAGE}.plugin")

_INSTRUCTIONS = re.compile(r"guest instrs: +([0-9,]+)")

_LEFT_OUT = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"})

# pytest's exit statuses for a run that came to its end: all passed, some failed.
ENDED = (0, 1)


class RunFailedError(Exception):
    """A run of pytest that did not come to its end."""


@dataclass(frozen=True)
class Run:
    """What one process took, and what was watched inside it."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    loop_seconds: float = 0.0
    loop_cpu_seconds: float = 0.0
    test_seconds: tuple[float, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    footprint_bytes: tuple[int, ...] = ()


def assert_passed(runs: Iterable[Run]) -> None:
    """All their tests must have passed, or something else was measured than is said."""
    for run in runs:
        for nodeid, outcome in run.outcomes.items():
            assert outcome == "passed", f"{nodeid} ended otherwise: {outcome}"


def alarms(runs: Iterable[Run]) -> str:
    """What is to be added to a name if tests failed that are known to keep nothing."""
    outcomes = [outcome for run in runs for outcome in run.outcomes.values()]
    # A check that skips what it is to check would look cheap.
    assert "skipped" not in outcomes, "nothing was measured"
    wrong = len(outcomes) - outcomes.count("passed")
    return f" (fails {wrong:,} of {len(outcomes):,})" if wrong else ""


class Place:
    """A folder with the packages that measured processes can import beside installed ones.

    Links to single packages: with a whole checkout on the path, its `tests` would stand in the
    way of another project's.
    """

    def __init__(self, folder: Path, checkout: Path) -> None:
        if not (checkout / PACKAGE / "plugin.py").is_file():
            msg = f"{checkout} is no checkout of this project"
            raise RunFailedError(msg)
        self._path = Path(tempfile.mkdtemp(dir=folder))
        self._said = self._path / "said.txt"
        (self._path / PACKAGE).symlink_to(checkout / PACKAGE)
        for name in ("watcher", "stopwatch"):
            plugin = ROOT / "benchmarks" / f"{name}.py"
            (self._path / f"benchmark_{name}.py").symlink_to(plugin)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables of a measured process: no plugin is loaded that is not named."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            # No tracer follows into a process that is timed, and nothing is compiled anew in each:
            # it takes 9 ms for what pytest loads of this plugin in every run.
            if not name.startswith(("PYTEST_", "COVERAGE_")) and name not in _LEFT_OUT
        }
        return {
            **inherited,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(self._path),
            # Sets and their memory are laid out alike in the two runs of a pair.
            "PYTHONHASHSEED": "0",
            **(extra or {}),
        }

    def pytest(
        self,
        arguments: Sequence[str],
        folder: Path,
        extra: Mapping[str, str] | None = None,
        footprint_after: Sequence[int] = (),
    ) -> Run:
        """Run tests in `folder`, watched."""
        out = self._path / "watched.json"
        out.unlink(missing_ok=True)
        environment = self.environment(extra) | {
            OUT: str(out),
            FOOTPRINT_AFTER: " ".join(map(str, footprint_after)),
        }
        run = self._run(("-p", "benchmark_watcher", *arguments), folder, environment)
        found = json.loads(out.read_text("utf-8"))
        return dataclasses.replace(
            run,
            loop_seconds=found["loop_seconds"],
            loop_cpu_seconds=found["loop_cpu_seconds"],
            test_seconds=tuple(found["seconds"]),
            outcomes=found["outcomes"],
            footprint_bytes=tuple(found["footprint_bytes"]),
        )

    def instructions(self, arguments: Sequence[str], folder: Path) -> int:
        """How many instructions a run of pytest takes: the same, however busy the machine is."""
        counter = ("valgrind", "--tool=lackey", "--basic-counts=yes")
        self._run(arguments, folder, self.environment(), counter)
        found = _INSTRUCTIONS.search(self._said.read_text("utf-8", "replace"))
        if found is None:
            msg = "valgrind counted no instructions"
            raise RunFailedError(msg)
        return int(found[1].replace(",", ""))

    def start(self, arguments: Sequence[str], folder: Path) -> Run:
        """Run pytest where it ends without a test, so that there is nothing to watch."""
        return self._run(arguments, folder, self.environment())

    def _run(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        under: Sequence[str] = (),
    ) -> Run:
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command = [*under, *pytest, *arguments]
        with self._said.open("wb") as stream:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall_seconds = time.perf_counter() - started
        # Popen did not wait itself, and would warn of a child that it takes for running.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in ENDED:
            tail = self._said.read_text("utf-8", "replace")[-2_000:]
            msg = f"{' '.join(command)} ended with {process.returncode}:\n{tail}"
            raise RunFailedError(msg)
        return Run(wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@functools.cache
def place(folder: Path, checkout: Path = ROOT) -> Place:
    """The place for measured processes in `folder`: one, so that what they compile is kept."""
    return Place(folder, checkout)
