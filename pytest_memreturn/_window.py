"""What is known of one window while its ladder is climbed; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn._explanation import Explanation, Survivors
from pytest_memreturn._measurement import Measurement
from pytest_memreturn._outside import NOTHING_OUTSIDE, Outside
from pytest_memreturn._record import Exclusion
from pytest_memreturn._verdict import judge

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._books import Span, Stock
    from pytest_memreturn._by_rounds import ByRounds
    from pytest_memreturn._record import Rung
    from pytest_memreturn._settings import Gate
    from pytest_memreturn._snapshot import Peak
    from pytest_memreturn._verdict import Causes


@dataclass(frozen=True, slots=True)
class Excluded:
    """What a fixture that outlives the window brought into it."""

    fixture: str
    scope: str
    span: Span

    def exclusion(self) -> Exclusion:
        """The same as plain data."""
        return Exclusion(self.fixture, self.scope, self.span.footprint_bytes())


@dataclass(slots=True)
class WindowState:
    """What is gathered on the way up the ladder, and how the window stands by it.

    `counts_all_hidden`: the figure is compared with that of another run, which must not depend on
    what either was held against. `by_rounds`: what rounds say, where there are any.
    `examined_bytes`: what was left by examining windows inside this one, or counting objects.
    """

    gate: Gate
    allowance: Allowance
    peak: Peak
    peak_growth_bytes: int
    outside: Outside = NOTHING_OUTSIDE
    counts_all_hidden: bool = False
    by_rounds: ByRounds | None = None
    excluded: list[Exclusion] = field(default_factory=list)
    examined_bytes: int = 0
    readings: dict[Rung, int] = field(default_factory=dict)
    newborn: Survivors = field(default_factory=Survivors)
    released: Mapping[str, int] | None = None
    settled_seconds: float = 0.0
    stock: Stock | None = None
    causes: Causes | None = None
    explanation: Explanation | None = None

    def grown_bytes(self, rung: Rung) -> int:
        """How far the footprint grew, but for what was excluded or is ours."""
        not_its_own = sum(one.bytes for one in self.excluded) + self.examined_bytes
        return self.readings[rung] - self.readings["baseline"] - not_its_own

    def hidden_bytes(self, rung: Rung) -> int:
        """What grew without showing in the footprint, where it counts; known with the ledger.

        It counts where it is more than what shows, and where it decides. The little that any
        growth leaves in old holes stays out, so that a ledger sums to what was retained.
        """
        hidden = 0 if self.stock is None else self.stock.ledger.hidden_bytes
        grown = max(0, self.grown_bytes(rung))
        decides = judge(grown, self.allowance) != judge(grown + hidden, self.allowance)
        return hidden if decides or hidden > grown or self.counts_all_hidden else 0

    def retained_bytes(self, rung: Rung) -> int:
        """What of the growth is retained: memory given back elsewhere hides no growth."""
        grown, hidden = self.grown_bytes(rung), self.hidden_bytes(rung)
        return max(0, grown) + hidden if hidden else grown

    def fits(self, rung: Rung) -> bool:
        """Whether what is retained there may be, as far as is known."""
        if self.by_rounds is not None and self.by_rounds.decides:
            return self.by_rounds.outcome == "returned"
        return judge(self.retained_bytes(rung), self.allowance) == "returned"

    def grant(self, rung: Rung, allowance: Allowance) -> None:
        """Allow more, if that lets the window pass; where it would not, nothing is said of it."""
        before, self.allowance = self.allowance, allowance
        # What is hidden counts or not by the allowance that it is held against.
        if not self.fits(rung):
            self.allowance = before

    def measurement(self, *, overhead_seconds: float) -> Measurement:
        """What came of it."""
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
            hidden_bytes=self.hidden_bytes(judged_at),
            excluded=tuple(self.excluded),
            examined_bytes=self.examined_bytes,
            settled_seconds=self.settled_seconds,
            before=self.stock.before if self.stock else None,
            at_gate=self.stock.at_gate if self.stock else None,
            ledger=self.stock.ledger if self.stock else None,
            causes=self.causes,
            explanation=self.explanation,
            rounds=self.by_rounds.told if self.by_rounds else None,
            overhead_seconds=overhead_seconds,
        )
