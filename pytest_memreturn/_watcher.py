"""Judging other processes from outside: readings, release, ledger, verdict."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_memreturn._allowance import allowance, with_recorded
from pytest_memreturn._books import Stock
from pytest_memreturn._errors import ReadingUnavailableError, UnreleasableError
from pytest_memreturn._explanation import Explanation
from pytest_memreturn._findings import layout_changes
from pytest_memreturn._processes import (
    ProcessKey,
    ProcessReading,
    bounds_of_growth,
    footprint_of,
    growth_by_process,
    sum_of,
)
from pytest_memreturn._settle import settle
from pytest_memreturn._snapshot import Peak
from pytest_memreturn._tree_ledger import close_tree_ledger, free_parts
from pytest_memreturn._verdict import find_causes, judge
from pytest_memreturn._window import WindowState
from pytest_memreturn.remote.sender import Released

if TYPE_CHECKING:
    from pytest_memreturn._measurement import Measurement
    from pytest_memreturn._processes import WatchedProcess
    from pytest_memreturn._settings import Settings
    from pytest_memreturn._snapshot import AllocatorStatistics
    from pytest_memreturn.probes._contract import TreeProbe


class TreeReleaser(Protocol):
    """Whatever makes other processes give back what is free."""

    def release(self, commands: Mapping[int, str]) -> Released:
        """Make each do so; by pid the command that it was started by."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a watcher sees other processes by, and changes them by."""

    trees: TreeProbe
    releaser: TreeReleaser
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


def _live_bytes(statistics: Iterable[AllocatorStatistics]) -> int:
    return sum(one.live_bytes + one.own_mapping_live_bytes for one in statistics if one.counts)


class Watcher:
    """Watches one process with its descendants: `open`, let it work, `close`.

    With `release`, all of them are made to collect and trim before either reading.
    """

    def __init__(
        self, world: World, settings: Settings, root: ProcessKey, *, release: bool
    ) -> None:
        self._world = world
        self._settings = settings
        self._root = root
        self._release = release
        self._overhead_seconds = 0.0
        self._released = Released()
        self._before: tuple[ProcessReading, ...] = ()

    def open(self) -> None:
        """Take the baseline. `UnwatchableError` for a process that can't be watched."""
        started = self._world.clock()
        if self._release:
            self._released = self._ask(self._world.trees.read(self._root))
            if self._root.pid in self._released.refused:
                raise UnreleasableError(self._released.reasons[self._root.pid])
        self._before = self._read_layout(self._released)
        self._overhead_seconds = self._world.clock() - started

    def close(self) -> tuple[Measurement, tuple[WatchedProcess, ...]]:
        """Read again, and judge. Raises `ReadingUnavailableError` where that can't be."""
        started = self._world.clock()
        window = self._window()
        released = Released()
        if self._release:
            released = self._ask(self._read())
            window.readings["trim"] = footprint_of(self._read())
        if self._wait_while_falling(window) and self._release:
            # What came free meanwhile has not been asked for yet.
            released = self._ask(self._read())
        after = self._read_layout(released)
        window.readings[window.gate] = footprint_of(after)
        processes = growth_by_process(self._before, after, released.reasons)
        ledger = close_tree_ledger(self._before, after)
        window.stock = Stock(sum_of(self._before), sum_of(after), ledger)
        window.allowance = with_recorded(window.allowance, self._settings.limits.recorded)
        self._be_sure(window, processes, released)
        if not window.fits(window.gate):
            parts = free_parts(ledger, self._before, after)
            window.causes = find_causes(ledger, parts, python_in_malloc_bytes=None)
            window.explanation = Explanation(
                parts={**ledger.parts, **parts},
                layout=layout_changes(window.stock.before, window.stock.at_gate),
            )
        seconds = self._overhead_seconds + self._world.clock() - started
        return window.measurement(overhead_seconds=seconds), processes

    def _window(self) -> WindowState:
        before_bytes = footprint_of(self._before)
        at_end = footprint_of(self._read())
        peak_growth = max(0, at_end - before_bytes)
        window = WindowState(
            gate=self._settings.gate.value,
            allowance=allowance(self._settings.limits, peak_growth),
            # No other process can be told to forget its peak without changing it.
            peak=Peak(at_end, "at-least"),
            peak_growth_bytes=peak_growth,
            counts_all_hidden=(
                self._settings.limits.recorded is not None or self._settings.mode.value == "record"
            ),
        )
        window.readings |= {"baseline": before_bytes, "end": at_end}
        return window

    def _wait_while_falling(self, window: WindowState) -> bool:
        """Give what is on its way back the time to arrive; whether it did not, and time passed."""
        if window.fits(window.gate):
            return False

        def read() -> int:
            window.readings[window.gate] = footprint_of(self._read())
            return window.readings[window.gate]

        settled = settle(
            read,
            lambda: self._world.trees.motion(one.key for one in self._read()),
            lambda _: window.fits(window.gate),
            at_most_seconds=self._settings.settle_seconds.value,
            others_alive=True,
            clock=self._world.clock,
            sleep=self._world.sleep,
        )
        window.settled_seconds = settled.seconds
        return settled.waited_seconds > 0 and not window.fits(window.gate)

    def _be_sure(
        self, window: WindowState, processes: tuple[WatchedProcess, ...], released: Released
    ) -> None:
        """Judge nothing that hangs on a process that has not answered both times, or never."""
        silent = released.reasons.keys() - released.refused
        was_silent = self._released.reasons.keys() - self._released.refused
        now_only = self._released.reasons.keys() & released.statistics.keys()
        then_only = self._released.statistics.keys() & released.reasons.keys()
        unsure = silent | (was_silent - released.reasons.keys()) | now_only | then_only
        live_bytes = {pid: _live_bytes(released.statistics[pid]) for pid in now_only}
        less, more = bounds_of_growth(processes, unsure, live_bytes)
        retained = window.retained_bytes(window.gate)
        at_least, at_most = (judge(retained + off, window.allowance) for off in (less, more))
        if at_least != at_most:
            reasons = {**self._released.reasons, **released.reasons}
            msg = "; ".join(reasons[pid] for pid in sorted(unsure))
            raise ReadingUnavailableError(f"release=True did not reach all that matters: {msg}")

    def _ask(self, tree: tuple[ProcessReading, ...]) -> Released:
        return self._world.releaser.release({one.key.pid: one.command for one in tree})

    def _read(self) -> tuple[ProcessReading, ...]:
        return self._world.trees.read(self._root, [one.key for one in self._before])

    def _read_layout(self, released: Released) -> tuple[ProcessReading, ...]:
        """The tree by kinds of mappings, each process with what its allocators said."""
        known = [one.key for one in self._before]
        return tuple(
            dataclasses.replace(
                one,
                snapshot=dataclasses.replace(
                    one.snapshot, allocators=released.statistics.get(one.key.pid, ())
                ),
            )
            for one in self._world.trees.read(self._root, known, layout=True)
        )
