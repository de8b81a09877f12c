"""Medians with their spread, of figures that were taken in pairs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """A median, and the quartiles around it."""

    low: float
    median: float
    high: float

    def text(self, digits: int) -> str:
        """The median, and in brackets between what the middle half of the figures lay."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(figures: Iterable[float]) -> Spread:
    """Median and quartiles; of a single figure, three times that figure."""
    found = list(figures)
    if len(found) == 1:
        return Spread(found[0], found[0], found[0])
    return Spread(*statistics.quantiles(found, n=4, method="inclusive"))


def percentile(figures: Sequence[float], percent: int) -> float:
    """The figure below which so many of a hundred lie."""
    if len(figures) == 1:
        return figures[0]
    return statistics.quantiles(figures, n=100, method="inclusive")[percent - 1]


def in_turn(subjects: Sequence[Callable[[], T]], rounds: int) -> list[list[T]]:
    """What each subject gave in each round; every other round runs backwards.

    A machine that slows down meanwhile disturbs neighbours alike, and whoever comes second is
    not always the same.
    """
    found: list[list[T]] = [[] for _ in subjects]
    for number in range(rounds):
        order = range(len(subjects)) if number % 2 == 0 else reversed(range(len(subjects)))
        for which in order:
            found[which].append(subjects[which]())
    return found
