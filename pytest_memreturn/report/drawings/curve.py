"""The footprint over time as a curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_memreturn.report.drawings.scale import Scale

# More points than that are more than there are pixels on a small screen.
_POINTS = 300


@dataclass(frozen=True, slots=True)
class Curve:
    """Points as SVG writes them, 0 to 100 to the right and down, and what the edges stand for."""

    points: str
    seconds: float
    lowest_bytes: int
    highest_bytes: int
    first_bytes: int
    last_bytes: int


def curve(timeline: Sequence[tuple[float, int]]) -> Curve | None:
    """The curve of a timeline; ``None`` where it has fewer than two points.

    Where there are too many, each stretch of time shows the highest and the lowest of its own.
    """
    if len(timeline) < 2:  # noqa: PLR2004 - a point is no curve
        return None
    sizes = [size for _, size in timeline]
    lowest, highest = min(sizes), max(sizes)
    across, down = Scale(timeline[0][0], timeline[-1][0]), Scale(highest, lowest)
    return Curve(
        " ".join(f"{across.at(at)},{down.at(size)}" for at, size in _few(timeline)),
        timeline[-1][0] - timeline[0][0],
        lowest,
        highest,
        sizes[0],
        sizes[-1],
    )


def _few(timeline: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    if len(timeline) <= _POINTS:
        return list(timeline)
    stretches = _POINTS // 2
    bounds = [number * len(timeline) // stretches for number in range(stretches + 1)]
    found = []
    for first, last in pairwise(bounds):
        inside = timeline[first:last]
        extremes = (min(inside, key=_size), max(inside, key=_size))
        found += sorted(set(extremes))
    return [timeline[0], *found, timeline[-1]]


def _size(point: tuple[float, int]) -> int:
    return point[1]
