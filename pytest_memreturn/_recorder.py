"""The one orchestrator: level ground, window, release ladder, ledger, verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._allowance import (
    Tolerated,
    allowance,
    tolerated,
    with_filled_up,
    with_recorded,
    with_reserve,
)
from pytest_memreturn._books import Span, filled_up_bytes, take_stock
from pytest_memreturn._findings import Evidence, explain
from pytest_memreturn._opening import stand_level, take_baseline
from pytest_memreturn._settle import settle
from pytest_memreturn._verdict import judge
from pytest_memreturn._window import Excluded, WindowState

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._books import Stock
    from pytest_memreturn._by_rounds import ByRounds
    from pytest_memreturn._instruments import FullReading, Instruments, OutsideBaseline
    from pytest_memreturn._measurement import Measurement
    from pytest_memreturn._opening import LeftGarbage
    from pytest_memreturn._outside import Outside
    from pytest_memreturn._record import Rung
    from pytest_memreturn._settings import Settings
    from pytest_memreturn._snapshot import Counters, Peak


class Recorder:
    """Measures one window: `open`, run what is to be judged, `close`.

    `detailed` climbs to the gate and closes the ledger for every window, also for one that
    has clearly returned its memory. `around`: the recorders of the windows around this one, which
    are not charged for what it takes to examine it.
    """

    def __init__(
        self,
        instruments: Instruments,
        settings: Settings,
        *,
        detailed: bool = False,
        around: Sequence[Recorder] = (),
    ) -> None:
        self._instruments = instruments
        self._memory = instruments.memory
        self._settings = settings
        self._detailed = detailed
        self._overhead_seconds = 0.0
        self._around = around
        self._excluded: list[Excluded] = []
        self._examined: list[Span] = []
        self._examined_from: FullReading | None = None
        self._outside_baseline: OutsideBaseline
        self._before: FullReading
        self._counters: Counters
        self._peak_token: int
        self._peak_before: Peak | None = None
        self._left_garbage: LeftGarbage
        self._full_collections: int

    def open(self) -> None:
        """Bring the process to level ground and take the baseline.

        Raises `ReadingUnavailableError` where the probe cannot read.
        """
        started = self._instruments.clock()
        # Whoever wants every figure wants them from one moment, and so do rounds their first one.
        limits = self._settings.limits
        is_exact = self._detailed or limits.max_per_round is not None
        may_be_left = Tolerated() if is_exact else tolerated(limits)
        pulse, self._left_garbage = stand_level(self._instruments, may_be_left)
        self._outside_baseline = self._instruments.begin_outside()
        self._peak_token = self._memory.open_peak()
        try:
            self._before, self._counters = take_baseline(self._instruments, pulse, may_be_left)
        except BaseException:
            self.abandon()
            raise
        self._full_collections = self._instruments.releaser.full_collections()
        self._overhead_seconds = self._instruments.clock() - started

    def abandon(self) -> None:
        """End the window without a verdict."""
        self._memory.close_peak(self._peak_token)

    def begin_exclusion(self) -> FullReading:
        """Mark where something begins that may keep its memory; for `end_exclusion`."""
        return self._level_reading()

    def end_exclusion(self, begun: FullReading, fixture: str, scope: str) -> None:
        """Take what grew since `begun` out of the window: it is the fixture's, by right."""
        self._excluded.append(Excluded(fixture, scope, Span(begun, self._level_reading())))

    def begin_examination(self) -> None:
        """Mark where somebody looks closer inside this window, with all trimmed."""
        self._examined_from = self._level_reading()

    def end_examination(self) -> None:
        """Take what grew since then out of the window: it is ours."""
        begun, self._examined_from = self._examined_from, None
        if begun is not None:
            self._instruments.releaser.trim()
            self._examined.append(Span(begun, self._level_reading()))

    def _level_reading(self) -> FullReading:
        started = self._instruments.clock()
        self._instruments.releaser.collect()
        if self._settings.gate.value == "trim":
            # At the other gate, what the window has freed so far is still to be judged.
            self._instruments.releaser.trim()
        reading = self._instruments.full_reading(self._outside(peak_growth_bytes=0))
        self._overhead_seconds += self._instruments.clock() - started
        return reading

    def outside_bytes(self) -> int:
        """What is outside now that was not there when the window opened."""
        return self._outside(peak_growth_bytes=0).footprint_bytes

    def aside(self, act: Callable[[], object]) -> None:
        """Do something of ours inside the window: neither what it takes nor its peak counts.

        With all trimmed, as it is afterwards: this is for where free memory does not count.
        """
        self._peak_before = self._close_peak()
        try:
            self.begin_examination()
            try:
                act()
            finally:
                self.end_examination()
        finally:
            self._peak_token = self._memory.open_peak()

    def _close_peak(self) -> Peak:
        found, before = self._memory.close_peak(self._peak_token), self._peak_before
        return found if before is None or before.rss_bytes < found.rss_bytes else before

    def close(self, by_rounds: ByRounds | None = None) -> Measurement:
        """Read, climb the ladder only as far as needed, judge.

        `by_rounds`: what rounds say, where there were any. Raises `ReadingUnavailableError` where
        the probe cannot read any more.
        """
        started = self._instruments.clock()
        try:
            at_end = self._memory.counters()
        finally:
            peak = self._close_peak()
        peak_growth = max(0, peak.rss_bytes - self._counters.rss_bytes)
        self._instruments.ground.sinks_to(at_end.footprint_bytes)
        outside = self._outside(peak_growth_bytes=peak_growth)
        # What lives outside is in no RSS, and was there together with the rest at the end.
        grown = at_end.footprint_bytes + outside.footprint_bytes - self._counters.footprint_bytes
        peak_growth = max(peak_growth, grown)
        window = WindowState(
            gate=self._settings.gate.value,
            allowance=self._allowance(peak_growth, by_rounds),
            peak=peak,
            peak_growth_bytes=peak_growth,
            outside=outside,
            counts_all_hidden=(
                self._settings.limits.recorded is not None
                or self._settings.mode.value == "record"
                or (by_rounds is not None and by_rounds.decides)
            ),
            by_rounds=by_rounds,
            excluded=[one.exclusion() for one in self._excluded],
            examined_bytes=sum(one.footprint_bytes() for one in self._examined),
        )
        if self._detailed or not self._clearly_fine(at_end, window):
            self._climb(window)
        seconds = self._overhead_seconds + self._instruments.clock() - started
        return window.measurement(overhead_seconds=seconds)

    def _allowance(self, peak_growth_bytes: int, by_rounds: ByRounds | None) -> Allowance:
        if by_rounds is not None and by_rounds.decides:
            return by_rounds.allowance
        return allowance(self._settings.limits, peak_growth_bytes)

    def _outside(self, *, peak_growth_bytes: int) -> Outside:
        return self._instruments.outside_since(
            self._outside_baseline, peak_growth_bytes=peak_growth_bytes
        )

    def _clearly_fine(self, at_end: Counters, window: WindowState) -> bool:
        """Whether the cheap counters alone show that the memory was returned."""
        # Counters count lazily freed pages, which the baseline leaves out: never too little.
        window.readings["baseline"] = self._before.footprint_bytes()
        window.readings["end"] = at_end.footprint_bytes + window.outside.footprint_bytes
        return self._surely_fits(window, "end", at_end.error_bytes + self._garbage_taken_bytes())

    def _garbage_taken_bytes(self) -> int:
        """At most so much of what the window gave back was garbage before it."""
        if self._instruments.releaser.full_collections() == self._full_collections:
            return self._left_garbage.young_bytes
        return self._left_garbage.old_bytes

    def _surely_fits(self, window: WindowState, rung: Rung, off_by: int = 0) -> bool:
        """Whether the window fits even if all that may hide in resident memory does."""
        if window.by_rounds is not None and window.by_rounds.decides:
            return window.by_rounds.outcome == "returned"
        grown = window.grown_bytes(rung) + off_by
        if judge(grown, window.allowance) != "returned":
            return False
        headroom = window.allowance.allowed_bytes - max(0, grown)
        return self._may_hide_bytes(headroom) <= headroom

    def _may_hide_bytes(self, worth_asking: int) -> int:
        """At most so much grew where free memory that was resident before hides it.

        Either live bytes filled it, or it went back while something else grew. Allocators are only
        asked where they had more room than is `worth_asking`.
        """
        live = {one.name: one.live_bytes for one in self._before.allocators if one.counts}
        free = {one.name: one.free_bytes for one in self._before.allocators if one.counts}
        rooms = dict(free)
        for span in self._spans():
            for name, (live_growth, free_growth) in span.growth_by_allocator().items():
                live[name] = live.get(name, 0) + live_growth
                free[name] = free.get(name, 0) + free_growth
                rooms[name] = rooms.get(name, 0) + max(0, free_growth)
        if sum(rooms.values()) <= worth_asking:
            return sum(rooms.values())
        return sum(
            min(
                rooms[one.name],
                max(0, one.live_bytes - live[one.name], free[one.name] - one.free_bytes),
            )
            for one in self._instruments.statistics()
            if one.counts and one.name in rooms
        )

    def _climb(self, window: WindowState) -> None:
        window.readings["baseline"] = self._before.footprint_bytes()
        self._read_rung(window, "end")
        if not self._detailed:
            self._grant_reserve(window, "end")
            if self._surely_fits(window, "end", self._garbage_taken_bytes()):
                return
            if window.fits("end") or self._may_hide_bytes(0) > window.allowance.allowed_bytes:
                # What hides lies among older objects; only the garbage collector still knows
                # which ones are new, and only until its next full collection.
                # Without it the verdict is the same, and the cause may be less exact.
                with contextlib.suppress(Exception):
                    window.newborn = self._instruments.examiner.newborn(self._before.allocators)
        if self._collect(window):
            return
        if window.gate == "trim":
            window.released = self._instruments.releaser.trim_measured(self._footprint_bytes)
            self._read_rung(window, "trim")
            if not self._detailed and self._surely_fits(window, "trim"):
                return
        self._wait_while_falling(window)
        if not self._detailed and self._surely_fits(window, window.gate):
            return
        self._close_books(window)

    def _collect(self, window: WindowState) -> bool:
        """Climb the rung `collect`; whether nothing more need be known."""
        releaser = self._instruments.releaser
        if not self._detailed:
            # One pass finds nearly all of it, and a pass takes 20 to 80 ms.
            releaser.collect_once()
            self._read_rung(window, "collect")
            self._grant_reserve(window, "collect")
            if self._surely_fits(window, "collect"):
                return True
        releaser.collect()
        self._read_rung(window, "collect")
        if self._detailed:
            return False
        self._grant_reserve(window, "collect")
        return self._surely_fits(window, "collect")

    def _read_rung(self, window: WindowState, rung: Rung) -> None:
        if window.outside.footprint_bytes:
            now = self._outside(peak_growth_bytes=window.peak_growth_bytes)
            window.outside = window.outside.still_there(now)
        exact = self._memory.exact().footprint_bytes
        window.readings[rung] = exact + window.outside.footprint_bytes

    def _footprint_bytes(self) -> int:
        # What hooks count may be what an allocator of theirs releases.
        outside = self._outside(peak_growth_bytes=0)
        return self._memory.exact().footprint_bytes + sum(outside.accounts.values())

    def _grant_reserve(self, window: WindowState, rung: Rung) -> None:
        """Let the default allowance grow by the allocators' working stock, if that is enough.

        Two arenas of reserve are common after many small objects; a ledger to learn just that
        would cost a passing test some tens of milliseconds.
        """
        if window.fits(rung) or self._settings.limits.chosen:
            return
        before = {one.name: one for one in self._before.allocators}
        reserve = sum(
            max(0, min(one.reserve_bytes, one.free_bytes - before[one.name].free_bytes))
            for one in self._instruments.statistics()
            if one.name in before
        )
        window.grant(rung, with_reserve(window.allowance, reserve))

    def _wait_while_falling(self, window: WindowState) -> None:
        """Give what is on its way back the time to arrive."""

        def read() -> int:
            self._read_rung(window, window.gate)
            return window.readings[window.gate]

        if window.fits(window.gate):
            return
        settled = settle(
            read,
            self._instruments.motion,
            lambda _: window.fits(window.gate),
            at_most_seconds=self._settings.settle_seconds.value,
            others_alive=bool(window.outside.children),
            clock=self._instruments.clock,
            sleep=self._instruments.sleep,
        )
        window.readings[window.gate] = settled.footprint_bytes
        window.settled_seconds = settled.seconds
        if settled.waited_seconds and not window.fits(window.gate):
            # What came free meanwhile has not been asked for yet: a thread that ended may have
            # left garbage, and free memory.
            self._instruments.releaser.collect()
            if window.gate == "trim":
                self._instruments.releaser.trim()
            self._read_rung(window, window.gate)

    def _spans(self) -> list[Span]:
        """What of the window is not its own."""
        return [*(one.span for one in self._excluded), *self._examined]

    def _close_books(self, window: WindowState) -> None:
        """Close the ledger at the gate; for memory that was retained, find who has it."""
        reading = self._instruments.full_reading(window.outside)
        window.readings[window.gate] = reading.footprint_bytes()
        spans = self._spans()
        window.stock = take_stock(self._before, reading, spans)
        # What was granted on the way up was granted without the ledger.
        window.allowance = self._allowance(window.peak_growth_bytes, window.by_rounds)
        if window.fits(window.gate):
            return
        filled_up = 0
        if window.by_rounds is None or not window.by_rounds.decides:
            filled_up = self._grant_by_ledger(window, window.stock, spans)
        if window.fits(window.gate):
            return
        evidence = Evidence(
            self._before, reading, spans, window.newborn, window.released, filled_up
        )
        if window.released is not None:
            self._begin_examination()
        self._examine(window, evidence)
        for one in self._around:
            with contextlib.suppress(Exception):  # then they are charged for it
                one.end_examination()

    def _begin_examination(self) -> None:
        # Once memory has been trimmed: that it went back is for those around to be seen, too.
        for one in self._around:
            with contextlib.suppress(Exception):
                one.begin_examination()

    def _examine(self, window: WindowState, evidence: Evidence) -> None:
        findings = explain(self._instruments, evidence, lambda: self._read_after_trim(window))
        window.stock = findings.stock
        window.causes, window.explanation = findings.causes, findings.explanation
        if window.by_rounds is not None:
            # Last of all: it disturbs what is measured.
            with contextlib.suppress(Exception):
                found = window.by_rounds.growers()
                window.causes = found.causes or window.causes
                window.explanation = found.added_to(findings.explanation)
        if findings.after_trim_bytes is not None:
            window.readings["trim"] = findings.after_trim_bytes

    def _grant_by_ledger(self, window: WindowState, stock: Stock, spans: Sequence[Span]) -> int:
        """Let pass what no test took, if that is enough: what allocators or huge pages bring.

        Gives the latter, where it was needed to know.
        """
        granted = window.allowance
        if not self._settings.limits.chosen:
            granted = with_reserve(granted, stock.reserve_bytes())
            window.grant(window.gate, granted)
        if window.fits(window.gate):
            return 0
        # Only now, so that a test is measured as it was when that was recorded. It is said of a
        # window that does not pass, too: that is what it was held against.
        recorded = self._settings.limits.recorded
        window.allowance = with_recorded(window.allowance, recorded)
        granted = with_recorded(granted, recorded)
        if window.fits(window.gate):
            return 0
        filled_bytes = filled_up_bytes(self._instruments, stock, spans)
        window.grant(window.gate, with_filled_up(granted, filled_bytes))
        return filled_bytes

    def _read_after_trim(self, window: WindowState) -> tuple[Mapping[str, int], FullReading]:
        given_back = self._instruments.releaser.trim_measured(self._footprint_bytes)
        reading = self._instruments.full_reading(window.outside)
        self._begin_examination()
        return given_back, reading
