"""A scripted probe: readings are played, so that verdicts can be tested without allocating.

For this package's own tests and for those of its users: a suite that reacts to verdicts, a
report tool, a hook.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._explanation import Holding, Survivors, SurvivorType
from pytest_memreturn._instruments import Examiner, Instruments
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment
from pytest_memreturn._release import Releaser
from pytest_memreturn._session import INSTRUMENTS
from pytest_memreturn._snapshot import (
    Activity,
    AllocatorStatistics,
    Counters,
    KindUsage,
    MappedRange,
    Peak,
    PeakQuality,
    Snapshot,
)
from pytest_memreturn.allocators._contract import Allocator

if TYPE_CHECKING:
    import pytest

    from pytest_memreturn._record import Rung

__all__ = [
    "AllocatorStatistics",
    "ChildProcess",
    "Holding",
    "KindUsage",
    "MappedRange",
    "Outside",
    "Script",
    "ScriptedProbe",
    "Segment",
    "Snapshot",
    "SurvivorType",
    "Survivors",
    "play",
]


@dataclass(frozen=True, slots=True)
class Script:
    """What one window reads at each rung: a `Snapshot`, or a footprint in bytes.

    A rung that is left out reads as the one before it. `peak_rss_bytes` is the highest RSS in
    the window, by default the highest RSS of the readings. `error_bytes` is how far the cheap
    counters claim to be off. `unreadable` is a rung at which every reading fails.
    `survivors`, `held_by_pytest`, `tracers`, `unwritten_huge_page_bytes` and `filled_up_bytes` are
    what a look into the process finds.
    """

    baseline: Snapshot | int
    end: Snapshot | int | None = None
    collect: Snapshot | int | None = None
    trim: Snapshot | int | None = None
    peak_rss_bytes: int | None = None
    peak_quality: PeakQuality = "exact"
    error_bytes: int = 0
    unreadable: Rung | None = None
    survivors: Survivors = field(default_factory=Survivors)
    held_by_pytest: tuple[Holding, ...] = ()
    tracers: tuple[str, ...] = ()
    unwritten_huge_page_bytes: int | None = None
    filled_up_bytes: int = 0

    def readings(self) -> Mapping[Rung, Snapshot]:
        """A snapshot for every rung."""
        found: dict[Rung, Snapshot] = {}
        latest = self.baseline
        rungs: Sequence[tuple[Rung, Snapshot | int | None]] = (
            ("baseline", self.baseline),
            ("end", self.end),
            ("collect", self.collect),
            ("trim", self.trim),
        )
        for rung, reading in rungs:
            latest = latest if reading is None else reading
            found[rung] = (
                latest if isinstance(latest, Snapshot) else Snapshot(latest, rss_bytes=latest)
            )
        return found


@dataclass(frozen=True, slots=True)
class _ScriptedCapture:
    played: Snapshot

    def lazy_free_bytes(self) -> int:
        return 0

    def footprint_bytes(self) -> int:
        return self.played.footprint_bytes

    def snapshot(self) -> Snapshot:
        return self.played


class _ScriptedAllocator(Allocator):
    """Says what the snapshot that is played says of the allocator of this name."""

    def __init__(self, name: str, played: Callable[[], Snapshot]) -> None:
        self.name = name
        self._played = played

    def statistics(self) -> AllocatorStatistics | None:
        return self._played().allocator(self.name)


class _ScriptedExaminer(Examiner):
    """Finds what the script that has ended says."""

    def __init__(self, ended: Callable[[], Script]) -> None:
        self._ended = ended

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        del before, after
        return self._ended().survivors

    def held_by_pytest(self) -> tuple[Holding, ...]:
        return self._ended().held_by_pytest

    def tracers(self) -> tuple[str, ...]:
        return self._ended().tracers

    def unwritten_huge_page_bytes(self, before: Snapshot, after: Snapshot) -> int | None:
        del before, after
        return self._ended().unwritten_huge_page_bytes

    def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
        del before, after
        return self._ended().filled_up_bytes


@dataclass(slots=True)
class _PlayedWindow:
    script: Script
    rung: Rung


class ScriptedProbe:
    """A memory probe that plays one `Script` per window, the last one for ever after.

    What a snapshot says of allocators, and of what is outside, is played by instruments of
    their own, as in a real process.
    """

    name = "scripted"

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = list(scripts)
        self._windows: list[_PlayedWindow] = []
        self._ended = _PlayedWindow(self._scripts[0], "trim")
        self._climbing = False
        self._opening = False

    def instruments(self) -> Instruments:
        """This probe, with a releaser that only moves it up the ladder."""
        names = {
            one.name: None
            for script in self._scripts
            for reading in script.readings().values()
            for one in reading.allocators
        }
        return Instruments(
            memory=self,
            allocators=tuple(_ScriptedAllocator(name, self._read) for name in names),
            outside=self,
            releaser=Releaser(
                collect=lambda: self._climb_to("collect"),
                collect_once=lambda: self._climb_to("collect"),
                collect_young=lambda: None,
                trims={"malloc": lambda: self._climb_to("trim")},
            ),
            examiner=_ScriptedExaminer(lambda: self._ended.script),
            clock=lambda: 0.0,
            sleep=lambda _: None,
        )

    def begin(self) -> None:
        """Nothing to remember: snapshots say what has come."""

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """What the reading at this rung has outside."""
        del state, peak_growth_bytes
        return self._read().outside

    def counters(self) -> Counters:
        """The reading at this rung; the first one in a window is its baseline."""
        # A window that climbs its ladder asks for counters no more: this is one around it.
        self._climbing = False
        read, window = self._read_inside(), self._playing()
        if window.rung == "baseline" and not self._opening:
            window.rung = "end"
        return Counters(read.footprint_bytes, read.rss_bytes, window.script.error_bytes)

    def activity(self) -> Activity | None:
        """Unknown, so that each window has a layout of its own.

        Asked when a window is about to open: until it does, its baseline is read.
        """
        self._opening = True
        return None

    def exact(self) -> Counters:
        """The reading at this rung without an error."""
        read = self._read_inside()
        return Counters(read.footprint_bytes, read.rss_bytes)

    def capture(self, *, baseline: bool = False) -> _ScriptedCapture:
        """The reading at this rung."""
        del baseline
        return _ScriptedCapture(self._read_inside())

    def open_peak(self) -> int:
        """Begin the next script."""
        self._climbing = self._opening = False
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self._windows.append(_PlayedWindow(script, "baseline"))
        return len(self._windows) - 1

    def close_peak(self, token: int) -> Peak:
        """The peak of the script; what is read from here on is up its ladder."""
        self._ended = self._windows[token]
        del self._windows[token:]
        self._climbing = True
        script = self._ended.script
        highest = max(one.rss_bytes for one in script.readings().values())
        peak = highest if script.peak_rss_bytes is None else script.peak_rss_bytes
        return Peak(peak, script.peak_quality)

    def _climb_to(self, rung: Rung) -> None:
        if self._climbing:
            self._ended.rung = rung

    def _read_inside(self) -> Snapshot:
        """The reading at this rung without what other instruments tell."""
        read = self._read()
        inside = read.footprint_bytes - read.outside.footprint_bytes
        return dataclasses.replace(
            read, footprint_bytes=inside, allocators=(), outside=NOTHING_OUTSIDE
        )

    def _playing(self) -> _PlayedWindow:
        if self._opening:
            return _PlayedWindow(self._scripts[0], "baseline")
        return self._ended if self._climbing or not self._windows else self._windows[-1]

    def _read(self) -> Snapshot:
        window = self._playing()
        if window.rung == window.script.unreadable:
            msg = f"the script has no reading at {window.rung}"
            raise ReadingUnavailableError(msg)
        return window.script.readings()[window.rung]


def play(config: pytest.Config, scripts: Sequence[Script]) -> None:
    """Judge the tests of this run by scripts, one per window in order: for a ``conftest.py``."""
    instruments = ScriptedProbe(scripts).instruments()
    config.stash[INSTRUMENTS] = lambda: instruments
