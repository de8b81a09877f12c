"""What a recorder measures with: probes, allocators, the release ladder, a census, a clock."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn._errors import reading_of
from pytest_memreturn._explanation import HeapPicture, Holding, Pin, Survivors
from pytest_memreturn._ground import Ground, Pulse
from pytest_memreturn._outside import NOTHING_OUTSIDE, Outside
from pytest_memreturn._release import Releaser
from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot
from pytest_memreturn.probes.motion import Motion

if TYPE_CHECKING:
    from pytest_memreturn.allocators._contract import Allocator
    from pytest_memreturn.probes._contract import (
        AccountProbe,
        Capture,
        MemoryProbe,
        OutsideProbe,
    )


class NothingOutside:
    """A process that has nothing beyond its own mappings."""

    def begin(self) -> object:
        """Nothing is there."""
        return None

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """Nothing has come."""
        del state, peak_growth_bytes
        return NOTHING_OUTSIDE


@dataclass(frozen=True, slots=True)
class HeapSurvey:
    """What was seen in malloc's heaps and pymalloc's arenas; `detail` is the examiner's own."""

    picture: HeapPicture | None = None
    detail: object = None


class Headcount:
    """The objects that are there at one time, and those that have come since; this one sees none.

    Made before a window, so that what it needs for itself is there already.
    """

    def begin(self, allocators: Sequence[AllocatorStatistics]) -> None:
        """Remember what is there now."""
        del allocators

    def end(self, allocators: Sequence[AllocatorStatistics], least_count: int = 1) -> Survivors:
        """What has come since; `in_malloc_bytes` is how much more all objects hold of malloc.

        What there are fewer of than `least_count` of a type is none of it.
        """
        del allocators, least_count
        return Survivors()


class Examiner:
    """What looks into the process for a window that seems to retain; this one finds nothing.

    Called only then, so that it may take its time.
    """

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        """The objects that came between two snapshots and are still there."""
        del before, after
        return Survivors()

    def newborn(self, allocators: Sequence[AllocatorStatistics]) -> Survivors:
        """The objects that no full collection has seen yet."""
        del allocators
        return Survivors()

    def python_in_malloc_bytes(self, allocators: Sequence[AllocatorStatistics]) -> int | None:
        """What all Python objects together hold of malloc."""
        del allocators
        return None

    def headcount(self) -> Headcount:
        """What can tell objects that come between two times."""
        return Headcount()

    def survey_heaps(self, now: Snapshot) -> HeapSurvey:
        """What malloc's heaps and pymalloc's arenas look like from within."""
        del now
        return HeapSurvey()

    def pins(self, survey: HeapSurvey, causes: Collection[str]) -> tuple[Pin, ...]:
        """The live blocks that keep free memory in place, where that is among the `causes`."""
        del survey, causes
        return ()

    def tracers(self) -> tuple[str, ...]:
        """What follows the lines that run, and keeps what it notes of them."""
        return ()

    def held_by_pytest(self) -> tuple[Holding, ...]:
        """What the test runner itself keeps for its reports."""
        return ()

    def unwritten_huge_page_bytes(self, before: Snapshot, after: Snapshot) -> int | None:
        """Memory that is resident only because of transparent huge pages."""
        del before, after
        return None

    def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
        """Free memory of malloc's that only huge pages made resident."""
        del before, after
        return 0


class VerdictExaminer(Examiner):
    """What looks only for what a verdict needs, where nobody wants it explained."""

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner

    def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
        """As the other one finds it: no test is charged for it."""
        return self._examiner.filled_up_bytes(before, after)


def say_nothing(text: str) -> None:
    """Nobody is there to be told what takes long."""
    del text


@dataclass(frozen=True, slots=True)
class OutsideBaseline:
    """What was outside when a window opened."""

    state: object
    accounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Instruments:
    """What a recorder measures with.

    `motion` and `sleep` serve to wait for a figure that falls. `progress` is told what takes long,
    and with an empty text that it is over.
    """

    memory: MemoryProbe
    allocators: tuple[Allocator, ...] = ()
    outside: OutsideProbe = field(default_factory=NothingOutside)
    account_probes: tuple[AccountProbe, ...] = ()
    releaser: Releaser = field(default_factory=Releaser)
    examiner: Examiner = field(default_factory=Examiner)
    motion: Callable[[], Motion] = Motion
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    ground: Ground = field(default_factory=Ground)
    progress: Callable[[str], None] = say_nothing

    def statistics(self) -> tuple[AllocatorStatistics, ...]:
        """Every allocator's own figures, as far as they have any."""
        found = []
        for allocator in self.allocators:
            with reading_of("allocator", allocator.name):
                one: object = allocator.statistics()
                if one is None:
                    continue
                if not isinstance(one, AllocatorStatistics) or one.name != allocator.name:
                    msg = f"statistics() gave {one!r}"
                    raise TypeError(msg)
            found.append(one)
        return tuple(found)

    def pulse(self) -> Pulse:
        """What is cheap to read now; the page tables only where the counters are not exact."""
        activity = self.memory.activity()
        allocators = self.statistics()
        # Last, so that what the readings above left behind is not charged to a window.
        counters = self.memory.counters()
        exact = self.memory.exact() if counters.error_bytes else None
        return Pulse(counters, allocators, activity, exact)

    def answering(self) -> list[str]:
        """The allocators that have figures to give; one that fails has none."""
        found = []
        for allocator in self.allocators:
            with contextlib.suppress(Exception):
                alone = dataclasses.replace(self, allocators=(allocator,))
                found += [one.name for one in alone.statistics()]
        return found

    def unavailable(self) -> dict[str, str]:
        """Why allocators that serve give no statistics, by name."""
        reasons = {one.name: one.why_unavailable() for one in self.allocators}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def begin_outside(self) -> OutsideBaseline:
        """Remember what is outside now."""
        return OutsideBaseline(self.outside.begin(), self._read_accounts())

    def outside_since(self, baseline: OutsideBaseline, *, peak_growth_bytes: int) -> Outside:
        """What has come since `baseline`."""
        found = self.outside.since(baseline.state, peak_growth_bytes=peak_growth_bytes)
        if not self.account_probes:
            return found
        grown = {
            account: size - baseline.accounts[account]
            for account, size in self._read_accounts().items()
        }
        counted = {probe.account for probe in self.account_probes if probe.counted}
        return dataclasses.replace(
            found,
            accounts={name: size for name, size in grown.items() if name in counted},
            shown={name: size for name, size in grown.items() if name not in counted},
        )

    def full_reading(
        self, outside: Outside = NOTHING_OUTSIDE, *, baseline: bool = False
    ) -> FullReading:
        """Layout and allocators now, still in the raw, with what is `outside`."""
        capture = self.memory.capture(baseline=baseline)
        return FullReading(capture, self.statistics(), outside)

    def _read_accounts(self) -> dict[str, int]:
        accounts = {}
        for probe in self.account_probes:
            with reading_of("probe", probe.account):
                accounts[probe.account] = probe.read_bytes()
        return accounts


@dataclass(frozen=True, slots=True)
class FullReading:
    """A full reading in the raw: layout and allocators, taken together, and what is outside.

    `drift_bytes`: how far the footprint has moved since the layout, where that is an older one.
    """

    capture: Capture
    allocators: tuple[AllocatorStatistics, ...]
    outside: Outside = NOTHING_OUTSIDE
    drift_bytes: int = 0

    def footprint_bytes(self) -> int:
        """The footprint, without making sense of the layout."""
        return self.capture.footprint_bytes() + self.drift_bytes + self.outside.footprint_bytes

    def snapshot(self) -> Snapshot:
        """The reading as one snapshot."""
        found = self.capture.snapshot()
        if not self.allocators and not self.drift_bytes and self.outside is NOTHING_OUTSIDE:
            return found
        inside_bytes = found.footprint_bytes + self.drift_bytes
        return dataclasses.replace(
            found,
            footprint_bytes=inside_bytes + self.outside.footprint_bytes,
            drift_bytes=self.drift_bytes,
            allocators=(*found.allocators, *self.allocators),
            outside=self.outside,
        )
