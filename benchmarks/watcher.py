"""A pytest plugin for measured runs: writes down what each test took, and how it ended.

It stands alone, because it is loaded in child processes, with the plugin and without it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest

# Where to write; and after how many tests to read the footprint, if at all.
OUT = "BENCHMARK_OUT"
FOOTPRINT_AFTER = "BENCHMARK_FOOTPRINT_AFTER"


class Watcher:
    """Clocks around the loop over the tests, and around each of them."""

    def __init__(self, out: Path, footprint_after: frozenset[int]) -> None:
        self._out = out
        self._footprint_after = footprint_after
        self._seconds: list[float] = []
        self._outcomes: dict[str, str] = {}
        self._footprint_bytes: list[int] = []
        self._loop_seconds = 0.0
        self._loop_cpu_seconds = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """The whole loop, from when everything is collected."""
        self._read_footprint_at(0)
        cpu, started = time.process_time(), time.perf_counter()
        result = yield
        self._loop_seconds = time.perf_counter() - started
        self._loop_cpu_seconds = time.process_time() - cpu
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """One test, from before its set-up until after its tear-down."""
        started = time.perf_counter()
        result = yield
        self._seconds.append(time.perf_counter() - started)
        self._read_footprint_at(len(self._seconds))
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The worst that was reported of a test stands for it."""
        known = self._outcomes.get(report.nodeid, "passed")
        if known == "passed":
            known = report.outcome
            if hasattr(report, "wasxfail"):
                known = "x" + known
            elif report.failed and report.when != "call":
                known = "error"
        self._outcomes[report.nodeid] = known

    def pytest_unconfigure(self) -> None:
        """Write everything down."""
        found = {
            "loop_seconds": self._loop_seconds,
            "loop_cpu_seconds": self._loop_cpu_seconds,
            "seconds": self._seconds,
            "outcomes": self._outcomes,
            "footprint_bytes": self._footprint_bytes,
        }
        self._out.write_text(json.dumps(found), encoding="utf-8")

    def _read_footprint_at(self, tests: int) -> None:
        if tests in self._footprint_after:
            # Garbage and free memory are nobody's weight.
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            rollup = Path("/proc/self/smaps_rollup").read_text("utf-8")
            (line,) = [one for one in rollup.splitlines() if one.startswith("Anonymous:")]
            self._footprint_bytes.append(int(line.split()[1]) * 1024)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch, if this process is to be watched."""
    if OUT in os.environ:
        after = os.environ.get(FOOTPRINT_AFTER, "")
        watcher = Watcher(Path(os.environ[OUT]), frozenset(int(one) for one in after.split()))
        config.pluginmanager.register(watcher, "benchmark-watcher")
