"""The one orchestrator: level ground, window, release ladder, ledger, verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn._allowance import allowance
from pytest_memreturn._ledger import close_ledger
from pytest_memreturn._record import RUNGS, Explanation, Record
from pytest_memreturn._release import Releaser
from pytest_memreturn._verdict import find_causes, judge

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._ledger import Ledger
    from pytest_memreturn._record import Rung, SurvivorType, Window
    from pytest_memreturn._settings import Gate, Settings
    from pytest_memreturn._snapshot import AllocatorStatistics, Counters, Peak, Snapshot
    from pytest_memreturn._verdict import Causes, Outcome
    from pytest_memreturn.probes._contract import AllocatorProbe, Capture, MemoryProbe


@dataclass(frozen=True, slots=True)
class Survivors:
    """Python objects a window left behind: by type, and their bytes that malloc holds.

    `in_malloc_bytes` is ``None`` where nobody could look.
    """

    types: tuple[SurvivorType, ...] = ()
    in_malloc_bytes: int | None = 0


def _no_census(before: Snapshot, after: Snapshot) -> Survivors:
    del before, after
    return Survivors()


@dataclass(frozen=True, slots=True)
class Instruments:
    """What a recorder measures with.

    `census` looks for the objects that survived between two snapshots; it is called only for a
    window that retained.
    """

    memory: MemoryProbe
    allocators: tuple[AllocatorProbe, ...] = ()
    releaser: Releaser = field(default_factory=Releaser)
    census: Callable[[Snapshot, Snapshot], Survivors] = _no_census
    clock: Callable[[], float] = time.perf_counter

    def statistics(self) -> tuple[AllocatorStatistics, ...]:
        """Every allocator's own figures, as far as they have any."""
        return tuple(
            found for probe in self.allocators if (found := probe.statistics()) is not None
        )

    def full_reading(self, *, baseline: bool = False) -> FullReading:
        """Layout and allocators now, still in the raw."""
        return FullReading(self.memory.capture(baseline=baseline), self.statistics())


@dataclass(frozen=True, slots=True)
class FullReading:
    """A full reading in the raw: layout and allocators, taken together."""

    capture: Capture
    allocators: tuple[AllocatorStatistics, ...]

    def snapshot(self) -> Snapshot:
        """The reading as one snapshot."""
        found = self.capture.snapshot()
        if not self.allocators:
            return found
        return dataclasses.replace(found, allocators=(*found.allocators, *self.allocators))


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one window took and gave back. All sizes are bytes.

    `retained_bytes` is taken at the gate, or at the rung below it where the memory was already
    back. `readings` are footprints by rung, without those that were not needed. `before`,
    `at_gate` and `ledger` are there for a window that retained and wherever detail was
    asked for; `causes` and `survivors` only for a window that retained.
    """

    outcome: Outcome
    gate: Gate
    retained_bytes: int
    allowance: Allowance
    peak: Peak
    peak_growth_bytes: int
    readings: Mapping[Rung, int]
    before: Snapshot | None = None
    at_gate: Snapshot | None = None
    ledger: Ledger | None = None
    causes: Causes | None = None
    survivors: tuple[SurvivorType, ...] = ()
    overhead_seconds: float = 0.0

    @property
    def returned_ratio(self) -> float | None:
        """The share of the peak growth that came back, 0 to 1; ``None`` where nothing grew."""
        if self.peak_growth_bytes <= 0:
            return None
        kept = max(0, self.retained_bytes) / self.peak_growth_bytes
        return max(0.0, 1.0 - kept)

    def to_record(
        self, nodeid: str, *, window: Window, label: str | None, location: str | None
    ) -> Record:
        """The same as plain data, for reports and for the way to another process."""
        retained = self.outcome == "retained"
        return Record(
            nodeid=nodeid,
            window=window,
            label=label,
            location=location,
            verdict=self.outcome,
            gate=self.gate,
            cause=self.causes.first if self.causes else None,
            causes=self.causes.listed if self.causes else None,
            retained_bytes=self.retained_bytes,
            allowed_bytes=self.allowance.allowed_bytes,
            allowed_origin=self.allowance.origin,
            reserve_bytes=self.allowance.reserve_bytes,
            peak_growth_bytes=self.peak_growth_bytes,
            peak_quality=self.peak.quality,
            returned_ratio=self.returned_ratio,
            readings={rung: self.readings.get(rung) for rung in RUNGS},
            ledger=self.ledger.to_dict() if self.ledger else None,
            shown=_shown(self.before, self.at_gate),
            overhead_seconds=self.overhead_seconds,
            explanation=Explanation(self.survivors) if retained else None,
        )


def _shown(before: Snapshot | None, after: Snapshot | None) -> dict[str, int | None] | None:
    """Growth of what the footprint does not count, by the names of the report schema."""
    if before is None or after is None:
        return None

    def growth(old: int | None, new: int | None) -> int | None:
        return None if old is None or new is None else new - old

    return {
        "lazy-free": growth(before.lazy_free_bytes, after.lazy_free_bytes),
        "file": growth(before.file_bytes, after.file_bytes),
        "huge-pages": growth(before.huge_page_bytes, after.huge_page_bytes),
    }


class Recorder:
    """Measures one window: `open`, run what is to be judged, `close`.

    `detailed` climbs to the gate and closes the ledger for every window, also for one that
    has clearly returned its memory.
    """

    def __init__(
        self, instruments: Instruments, settings: Settings, *, detailed: bool = False
    ) -> None:
        self._instruments = instruments
        self._memory = instruments.memory
        self._settings = settings
        self._detailed = detailed
        self._overhead_seconds = 0.0
        self._before: FullReading
        self._counters: Counters
        self._peak_token: int

    def open(self) -> None:
        """Bring the process to level ground and take the baseline.

        Raises `ReadingUnavailableError` where the probe cannot read.
        """
        started = self._instruments.clock()
        self._instruments.releaser.collect()
        self._instruments.releaser.trim()
        self._peak_token = self._memory.open_peak()
        try:
            self._before = self._instruments.full_reading(baseline=True)
            # Last, so that what the readings above left behind is not charged to the window.
            self._counters = self._memory.counters()
        except BaseException:
            self.abandon()
            raise
        self._overhead_seconds = self._instruments.clock() - started

    def abandon(self) -> None:
        """End the window without a verdict."""
        self._memory.close_peak(self._peak_token)

    def close(self) -> Measurement:
        """Read, climb the ladder only as far as needed, judge.

        Raises `ReadingUnavailableError` where the probe cannot read any more.
        """
        started = self._instruments.clock()
        try:
            at_end = self._memory.counters()
        finally:
            peak = self._memory.close_peak(self._peak_token)
        peak_growth = max(0, peak.rss_bytes - self._counters.rss_bytes)
        window = _Window(
            gate=self._settings.gate.value,
            allowance=allowance(self._settings.limits, peak_growth),
            peak=peak,
            peak_growth_bytes=peak_growth,
        )
        if self._detailed or not self._clearly_fine(at_end, window):
            self._climb(window)
        measured = window.measurement()
        seconds = self._overhead_seconds + self._instruments.clock() - started
        return dataclasses.replace(measured, overhead_seconds=seconds)

    def _clearly_fine(self, at_end: Counters, window: _Window) -> bool:
        """Whether the cheap counters alone show that the memory was returned."""
        lazy_free = self._before.capture.lazy_free_bytes()
        window.readings["baseline"] = self._counters.footprint_bytes - lazy_free
        window.readings["end"] = at_end.footprint_bytes
        off_by = at_end.error_bytes + self._counters.error_bytes
        return judge(window.retained_bytes("end") + off_by, window.allowance) == "returned"

    def _climb(self, window: _Window) -> None:
        window.readings["baseline"] = self._before.capture.footprint_bytes()
        window.readings["end"] = self._memory.exact().footprint_bytes
        if window.fits("end") and not self._detailed:
            return
        self._instruments.releaser.collect()
        window.readings["collect"] = self._memory.exact().footprint_bytes
        if window.fits("collect") and not self._detailed:
            return
        if window.gate == "trim":
            self._instruments.releaser.trim()
            window.readings["trim"] = self._memory.exact().footprint_bytes
            if window.fits("trim") and not self._detailed:
                return
        self._close_books(window)

    def _close_books(self, window: _Window) -> None:
        """Ledger at the gate; for memory that was retained, who has it."""
        at_gate = self._instruments.full_reading()
        window.readings[window.gate] = at_gate.capture.footprint_bytes()
        if not window.fits(window.gate) and not self._settings.limits.chosen:
            self._grant_reserves(window, at_gate)
        retained = not window.fits(window.gate)
        after_trim = at_gate if window.gate == "trim" else None
        # From here on the verdict stands: what fails to explain it must not take it back.
        if retained and after_trim is None:
            with contextlib.suppress(Exception):
                after_trim = self._after_trim(window)
        window.before, window.at_gate = self._before.snapshot(), at_gate.snapshot()
        window.ledger = close_ledger(window.before, window.at_gate)
        if not retained:
            return
        window.survivors = Survivors(in_malloc_bytes=None)
        with contextlib.suppress(Exception):
            window.survivors = self._instruments.census(window.before, window.at_gate)
        # Without a reading after the trim nothing is known to be pinned.
        trimmed = after_trim.snapshot() if after_trim is not None else window.before
        window.causes = find_causes(
            window.ledger,
            close_ledger(window.before, trimmed),
            python_in_malloc_bytes=window.survivors.in_malloc_bytes,
            returnable={one.name: one.thread_top_bytes for one in trimmed.allocators},
        )

    def _grant_reserves(self, window: _Window, at_gate: FullReading) -> None:
        """Raise the default allowance by free memory that allocators keep as working stock."""
        after = at_gate.snapshot()
        ledger = close_ledger(self._before.snapshot(), after)
        reserve = sum(
            max(0, min(one.reserve_bytes, ledger.accounts.get(f"{one.name}-free", 0)))
            for one in after.allocators
        )
        window.allowance = dataclasses.replace(window.allowance, reserve_bytes=reserve)

    def _after_trim(self, window: _Window) -> FullReading:
        """What a trim leaves."""
        self._instruments.releaser.trim()
        reading = self._instruments.full_reading()
        window.readings["trim"] = reading.capture.footprint_bytes()
        return reading


@dataclass(slots=True)
class _Window:
    """What `Recorder.close` gathers on its way up the ladder."""

    gate: Gate
    allowance: Allowance
    peak: Peak
    peak_growth_bytes: int
    readings: dict[Rung, int] = field(default_factory=dict)
    before: Snapshot | None = None
    at_gate: Snapshot | None = None
    ledger: Ledger | None = None
    causes: Causes | None = None
    survivors: Survivors = field(default_factory=Survivors)

    def retained_bytes(self, rung: Rung) -> int:
        return self.readings[rung] - self.readings["baseline"]

    def fits(self, rung: Rung) -> bool:
        return judge(self.retained_bytes(rung), self.allowance) == "returned"

    def measurement(self) -> Measurement:
        # Nobody climbed further than needed: the last rung below the gate is the one judged.
        climbed: tuple[Rung, ...] = (self.gate, "collect", "end")
        judged_at = next(rung for rung in climbed if rung in self.readings)
        return Measurement(
            outcome="returned" if self.fits(judged_at) else "retained",
            gate=self.gate,
            retained_bytes=self.retained_bytes(judged_at),
            allowance=self.allowance,
            peak=self.peak,
            peak_growth_bytes=self.peak_growth_bytes,
            readings=dict(self.readings),
            before=self.before,
            at_gate=self.at_gate,
            ledger=self.ledger,
            causes=self.causes,
            survivors=self.survivors.types,
        )
