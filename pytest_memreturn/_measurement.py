"""What one window took and gave back, before it becomes a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._explanation import Explanation
from pytest_memreturn._record import RUNGS, Record

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._ledger import Ledger
    from pytest_memreturn._record import Exclusion, Rounds, Rung, Window
    from pytest_memreturn._settings import Gate
    from pytest_memreturn._snapshot import Peak, Snapshot
    from pytest_memreturn._verdict import Causes, Outcome


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one window took and gave back. All sizes are bytes.

    `retained_bytes` is taken at the gate, or at the rung below it where the memory was already
    back. `readings` are footprints by rung, without those that were not needed. `before`,
    `at_gate` and `ledger` are there for a window that retained and wherever detail was
    asked for; `causes` and `explanation` only for a window that retained.
    """

    outcome: Outcome
    gate: Gate
    retained_bytes: int
    allowance: Allowance
    peak: Peak
    peak_growth_bytes: int
    readings: Mapping[Rung, int]
    hidden_bytes: int = 0
    excluded: tuple[Exclusion, ...] = ()
    examined_bytes: int = 0
    settled_seconds: float = 0.0
    before: Snapshot | None = None
    at_gate: Snapshot | None = None
    ledger: Ledger | None = None
    causes: Causes | None = None
    explanation: Explanation | None = None
    rounds: Rounds | None = None
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
            recorded_bytes=self.allowance.recorded_bytes,
            hidden_bytes=self.hidden_bytes,
            drift_bytes=self.before.drift_bytes if self.before else 0,
            excluded=self.excluded,
            examined_bytes=self.examined_bytes,
            settled_seconds=self.settled_seconds,
            peak_growth_bytes=self.peak_growth_bytes,
            peak_quality=self.peak.quality,
            returned_ratio=self.returned_ratio,
            readings={rung: self.readings.get(rung) for rung in RUNGS},
            ledger=self.ledger.to_dict() if self.ledger else None,
            shown=_shown(self.before, self.at_gate),
            overhead_seconds=self.overhead_seconds,
            rounds=self.rounds,
            explanation=self.explanation,
        )


def _shown(before: Snapshot | None, after: Snapshot | None) -> dict[str, int | None] | None:
    """Growth of what the footprint does not count, by the names of the report schema."""
    if before is None or after is None:
        return None

    def growth(old: int | None, new: int | None) -> int | None:
        return None if old is None or new is None else new - old

    shown = {
        "lazy-free": growth(before.lazy_free_bytes, after.lazy_free_bytes),
        "file": growth(before.file_bytes, after.file_bytes),
        "huge-pages": growth(before.huge_page_bytes, after.huge_page_bytes),
    }
    for one in after.allocators:
        if one.is_elsewhere:
            old = before.allocator(one.name)
            shown[one.name] = (one.held_bytes or 0) - ((old and old.held_bytes) or 0)
    return shown | dict(after.outside.shown)
