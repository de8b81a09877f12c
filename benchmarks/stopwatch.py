"""A pytest plugin for one measured run: how long the parts of judging a test took in it.

Loaded in child processes, like the watcher; only there it imports what it puts clocks around.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

OUT = "BENCHMARK_PARTS_OUT"

# By what a table calls it: the module, what holds it there, its name. What begins with "of it" is
# inside the part above.
PARTS = {
    "settings, asked twice": ("_session", "Session", "settings_or_fail"),
    "opening the window": ("_recorder", "Recorder", "open"),
    "of it, statistics of allocators": ("_instruments", "Instruments", "statistics"),
    "of it, pages touched and lazily freed": ("probes.linux", "LinuxProbe", "activity"),
    "of it, children and segments": ("_instruments", "Instruments", "begin_outside"),
    "of it, resetting the peak": ("probes.linux", "LinuxProbe", "open_peak"),
    "of it, collections that a pulse asked for": ("_release", "", "_GC_COLLECT"),
    "of it, layouts that a pulse asked for": ("_recorder", "", "take_baseline"),
    "closing it": ("_recorder", "Recorder", "close"),
    "of it, reading the peak": ("probes.linux", "LinuxProbe", "close_peak"),
    "of it, children and segments again": ("_instruments", "Instruments", "outside_since"),
    "making a record": ("_measurement", "Measurement", "to_record"),
    "sending it with the report": ("_test_report", "", "finish_report"),
    "taking it from there": ("_run_report", "RunReport", "collect"),
}


class Stopwatch:
    """Adds up the time of each part over all tests."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: defaultdict[str, int] = defaultdict(int)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Put a clock around every part, when the plugin has made itself ready."""
        for title, (module, holder, name) in PARTS.items():
            where: Any = import_module(f"pytest_memreturn.{module}")
            where = getattr(where, holder) if holder else where
            setattr(where, name, self._timed(title, getattr(where, name)))

    def _timed(self, title: str, part: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(part)
        def timed(*arguments: object, **keywords: object) -> object:
            started = time.perf_counter()
            try:
                return part(*arguments, **keywords)
            finally:
                self._seconds[title] += time.perf_counter() - started
                self._calls[title] += 1

        return timed

    def pytest_unconfigure(self) -> None:
        """Write everything down."""
        found = {title: (self._seconds[title], self._calls[title]) for title in PARTS}
        self._out.write_text(json.dumps(found), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Begin, if this process is to be measured so."""
    if OUT in os.environ:
        config.pluginmanager.register(Stopwatch(Path(os.environ[OUT])), "benchmark-stopwatch")
