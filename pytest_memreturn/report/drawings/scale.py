"""Figures along a line, as percentages of its length."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """From `first` at 0 % to `last` at 100 %; where both are one, everything is at 0 %."""

    first: float
    last: float

    def at(self, figure: float) -> float:
        """Where a figure lies, rounded as finely as a screen can show."""
        length = self.last - self.first
        # Nothing is added so that no place is called -0.0.
        return round(100 * (figure - self.first) / length, 3) + 0.0 if length else 0.0

    def span(self, start: float, end: float) -> tuple[float, float]:
        """Where a stretch begins, and how wide it is."""
        left = self.at(start)
        return left, round(self.at(end) - left, 3)
