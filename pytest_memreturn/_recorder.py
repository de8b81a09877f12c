"""The one orchestrator: level ground, window, release ladder, ledger, verdict."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn._allowance import allowance, with_reserve
from pytest_memreturn._ledger import close_ledger
from pytest_memreturn._record import RUNGS, Explanation, Record, Survivors
from pytest_memreturn._verdict import find_causes, judge

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._instruments import FullReading, Instruments
    from pytest_memreturn._ledger import Ledger
    from pytest_memreturn._record import Rung, SurvivorType, Window
    from pytest_memreturn._settings import Gate, Settings
    from pytest_memreturn._snapshot import Counters, Peak, Snapshot
    from pytest_memreturn._verdict import Causes, Outcome


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
        if not self._detailed:
            if not window.fits("end") and not self._settings.limits.chosen:
                # Two arenas of reserve are common after many small objects; a collection and a
                # ledger to learn just that would cost a passing test some tens of milliseconds.
                window.grant("end", with_reserve(window.allowance, self._reserve_now_bytes()))
            if window.fits("end"):
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

    def _reserve_now_bytes(self) -> int:
        """How much free memory allocators have taken up as working stock, by their own figures."""
        before = {one.name: one for one in self._before.allocators}
        return sum(
            max(0, min(one.reserve_bytes, one.free_bytes - before[one.name].free_bytes))
            for one in self._instruments.statistics()
            if one.name in before
        )

    def _close_books(self, window: _Window) -> None:
        """Close the ledger at the gate; for memory that was retained, find who has it."""
        reading = self._instruments.full_reading()
        window.readings[window.gate] = reading.capture.footprint_bytes()
        before, at_gate = self._before.snapshot(), reading.snapshot()
        ledger = close_ledger(before, at_gate)
        window.before, window.at_gate, window.ledger = before, at_gate, ledger
        if not window.fits(window.gate) and not self._settings.limits.chosen:
            granted = with_reserve(window.allowance, _reserve_bytes(ledger, at_gate))
            window.grant(window.gate, granted)
        if not window.fits(window.gate):
            trimmed = at_gate if window.gate == "trim" else self._after_trim(window)
            # Last, since it disturbs most. The verdict stands, whether anybody can look or not.
            with contextlib.suppress(Exception):
                window.survivors = self._instruments.census(before, at_gate)
                # The census had millions of small numbers in hand; a window around this one
                # must not find them free inside malloc.
                self._instruments.releaser.trim()
            # Without a reading after the trim nothing is known to be pinned.
            trimmed = trimmed or before
            window.causes = find_causes(
                ledger,
                close_ledger(before, trimmed),
                python_in_malloc_bytes=window.survivors.in_malloc_bytes,
                returnable={one.name: one.thread_top_bytes for one in trimmed.allocators},
            )

    def _after_trim(self, window: _Window) -> Snapshot | None:
        """What a trim leaves; ``None`` if that can't be read, which takes no verdict back."""
        with contextlib.suppress(Exception):
            self._instruments.releaser.trim()
            reading = self._instruments.full_reading()
            window.readings["trim"] = reading.capture.footprint_bytes()
            return reading.snapshot()
        return None


def _reserve_bytes(ledger: Ledger, at_gate: Snapshot) -> int:
    """How much of the growth is free memory that allocators keep as working stock."""
    return sum(
        max(0, min(one.reserve_bytes, ledger.accounts.get(f"{one.name}-free", 0)))
        for one in at_gate.allocators
    )


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

    def grant(self, rung: Rung, allowance: Allowance) -> None:
        """Allow more, if that lets the window pass; where it would not, nothing is said of it."""
        if judge(self.retained_bytes(rung), allowance) == "returned":
            self.allowance = allowance

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
