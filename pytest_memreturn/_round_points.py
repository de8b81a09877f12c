"""What is read between rounds, in room that is taken once and never grows; pure."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

# Enough to tell a trend, and so few that the pairs of them are compared in 0.2 ms.
MOST_POINTS = 24

FOOTPRINT = "footprint"


class RoundPoints:
    """Some figures after some of the rounds, evenly spread however many rounds there are.

    Where there is no more room every other point goes, and from then on half as many come. What a
    verdict looks at must not grow by being looked at: the room is taken beforehand.
    """

    def __init__(self) -> None:
        self._rounds = array("q", bytes(8 * MOST_POINTS))
        self._figures: dict[str, array[int]] = {}
        self._count = 0
        self._stride = 1

    def __len__(self) -> int:
        return self._count

    def is_due(self, number: int) -> bool:
        """Whether this round is one of those after which there is to be a point."""
        if self._count == MOST_POINTS:
            self._thin_out()
        return number % self._stride == 0

    def add(self, number: int, figures: Mapping[str, int]) -> None:
        """Keep `figures` in bytes, read after so many rounds. What is new was nothing before."""
        for name in figures.keys() - self._figures.keys():
            self._figures[name] = array("q", bytes(8 * MOST_POINTS))
        for name, series in self._figures.items():
            series[self._count] = figures.get(name, 0)
        self._rounds[self._count] = number
        self._count += 1

    @property
    def rounds(self) -> Sequence[int]:
        """After how many rounds each point was read."""
        return self._rounds[: self._count]

    @property
    def names(self) -> Sequence[str]:
        """What has figures."""
        return tuple(self._figures)

    def of(self, name: str) -> Sequence[int]:
        """The figures of that name, one for each point."""
        return self._figures[name][: self._count]

    def live(self) -> Sequence[int]:
        """The live bytes of all allocators together, one sum for each point."""
        names = [name for name in self._figures if name != FOOTPRINT]
        return [sum(self._figures[name][place] for name in names) for place in range(self._count)]

    def _thin_out(self) -> None:
        kept = range(0, self._count, 2)
        for series in (self._rounds, *self._figures.values()):
            for place, old in enumerate(kept):
                series[place] = series[old]
        self._count, self._stride = len(kept), 2 * self._stride
