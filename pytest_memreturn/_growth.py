"""How a figure grew from round to round: steadily, or once, or ever less; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeAlias

from pytest_memreturn._sizes import KIB, MIB

# `uneven`: it grew by fits and starts, so that nobody can tell how it will go on.
GrowthKind: TypeAlias = Literal["none", "one-time", "fading", "uneven", "steady"]

# Of figures without any trend, in any order, one series in 300,000 looks like growth by so many
# standard deviations of Kendall's statistic; and of 15 points one may lie anywhere.
_DEVIATIONS = 4.5
# With fewer points than this even a series that only rises may be chance: of 7 points in any
# order, one in 5,000 does.
_FEWEST_POINTS = 8
_FEWEST_TO_COMPARE = 4
# The first rounds fill caches: of a run of them this part tells nothing of how it goes on.
_FIRST_PART = 4
# Of growth that is as much per round late as it was early, so much shows late at the least.
_STEADY_SHARE = 2 / 3
# What grows by steps has grown between so many of the points, and so often: of 7 figures that are
# not alike one order in 5,000 only rises.
_OFTEN_SHARE, _FEWEST_STEPS = 1 / 2, 6
# So many parts of all growth must have come after the first rounds to be more than their rest.
_ONCE_PARTS = 10

# A verdict of growth wants three quarters of the rounds that were asked for, since a cache that
# still fills grows as steadily as any leak; that nothing grows may be said after half of them.
_ENOUGH_FOR_LEAK = 3 / 4
_ENOUGH_FOR_NONE = 1 / 2
_ENOUGH_POINTS = 12
# But for what would soon take the machine with it.
_RUNAWAY_BYTES = 256 * MIB


@dataclass(frozen=True, slots=True)
class Noise:
    """What a figure moves by without anything having grown, in bytes.

    `few_bytes` is for few points, where only size can tell growth from chance.
    """

    bytes: int
    few_bytes: int


# Live bytes are exact. What comes and goes with the first rounds are free lists of the
# interpreter and thread caches of malloc, of a few KiB.
OF_LIVE_BYTES = Noise(bytes=0, few_bytes=16 * KIB)
# Two hundred empty tests in a row each moved the footprint by up to 16 KiB.
OF_FOOTPRINT = Noise(bytes=32 * KIB, few_bytes=64 * KIB)


@dataclass(frozen=True, slots=True)
class Growth:
    """What is made of a series. `per_round_bytes`: the median slope after the first rounds.

    `least_bytes`: so much per round it grows, as good as certainly. `since_round`: where the part
    begins that was judged. `whole_bytes`: the growth over all rounds.
    """

    kind: GrowthKind
    per_round_bytes: float
    least_bytes: float
    since_round: int
    whole_bytes: int

    def exceeds(self, allowed_bytes: int) -> bool:
        """Whether it grows steadily, and by more per round than is allowed."""
        return self.kind == "steady" and self.least_bytes > allowed_bytes


def growth(rounds: Sequence[int], figures: Sequence[int], noise: Noise) -> Growth:
    """What is made of `figures` in bytes, each read after so many of the `rounds`, in order.

    The first one is the baseline, after round 0.
    """
    whole_bytes = figures[-1] - figures[0]
    first = sum(one * _FIRST_PART < rounds[-1] for one in rounds)
    first = min(max(1, first), len(rounds) - 1)
    judged_rounds, judged = rounds[first:], figures[first:]
    if len(judged) == 1:
        # A single round: it may have grown, and nobody knows whether it goes on.
        kind: GrowthKind = "none" if whole_bytes <= noise.few_bytes else "one-time"
        return Growth(kind, 0.0, 0.0, rounds[first], whole_bytes)
    slopes = _slopes(judged_rounds, judged)
    slope, least = median(slopes), _lower_bound(slopes, len(judged))
    is_few = len(judged) < _FEWEST_POINTS
    grown_bytes = judged[-1] - judged[0]
    is_sure = grown_bytes > (noise.few_bytes if is_few else noise.bytes)
    kind = "steady" if least > 0 and is_sure else "uneven"
    by_steps = 0.0
    if least <= 0 and not is_few and grown_bytes > noise.few_bytes:
        by_steps = _least_by_steps(judged_rounds, judged)
    if by_steps > 0:
        kind, least = "steady", min(slope, by_steps)
    elif kind == "steady":
        # Of few rounds the first ones tell as well: there is nothing else to compare with.
        start = first if len(judged) >= _FEWEST_TO_COMPARE else first - 1
        if not _goes_on(rounds[start:], figures[start:]):
            kind = "fading"
    elif whole_bytes <= noise.few_bytes:
        kind = "none"
    elif grown_bytes <= max(noise.bytes, whole_bytes // _ONCE_PARTS):
        kind = "one-time"
    elif not _goes_on(judged_rounds, judged):
        kind = "fading"
    return Growth(kind, slope, least, rounds[first], whole_bytes)


def is_certain_of_leak(
    found: Growth, allowed_bytes: int, *, rounds: int, asked: int, points: int
) -> bool:
    """Whether more rounds would only tell the same of a figure that grows by too much."""
    if not found.exceeds(allowed_bytes) or points < _ENOUGH_POINTS:
        return False
    return rounds >= asked * _ENOUGH_FOR_LEAK or found.whole_bytes >= _RUNAWAY_BYTES


def is_certain_of_none(  # noqa: PLR0913 - how it grew, and how far it has come
    found: Growth, allowed_bytes: int, noise: Noise, *, rounds: int, asked: int, points: int
) -> bool:
    """Whether enough rounds have shown no more growth than is allowed."""
    if rounds < asked * _ENOUGH_FOR_NONE or points < _ENOUGH_POINTS:
        return False
    most_bytes = allowed_bytes + noise.bytes / rounds
    return found.kind in {"none", "one-time"} and found.per_round_bytes <= most_bytes


def _slopes(rounds: Sequence[int], figures: Sequence[int]) -> list[float]:
    """The slope between each two points, sorted: their median is the estimate of Theil and Sen."""
    return sorted(
        (figures[late] - figures[early]) / (rounds[late] - rounds[early])
        for late in range(len(figures))
        for early in range(late)
    )


def _lower_bound(slopes: Sequence[float], points: int) -> float:
    """Sen's lower bound of the median slope: that of a rank that chance does not reach."""
    variance = points * (points - 1) * (2 * points + 5) / 18
    rank = (len(slopes) - _DEVIATIONS * math.sqrt(variance)) / 2
    return slopes[max(0, math.floor(rank))]


def _least_by_steps(rounds: Sequence[int], figures: Sequence[int]) -> float:
    """The slope of the lesser half of what only rises, about as much late as early; or nothing.

    A buffer that grows takes room for more, an eighth of what it has: some of its steps are as wide
    as the points are apart, and a slope of nothing between two points says nothing of it.
    """
    rises = [figures[late] - figures[late - 1] for late in range(1, len(figures))]
    often = max(_FEWEST_STEPS, len(rises) * _OFTEN_SHARE)
    if min(rises) < 0 or sum(one > 0 for one in rises) < often:
        return 0.0
    middle = len(figures) // 2
    early = (figures[middle] - figures[0]) / (rounds[middle] - rounds[0])
    late = (figures[-1] - figures[middle]) / (rounds[-1] - rounds[middle])
    return min(early, late) if late >= early * _STEADY_SHARE else 0.0


def _goes_on(rounds: Sequence[int], figures: Sequence[int]) -> bool:
    """Whether the last third grows about as much as the first one, and its end still does."""
    third = max(1, (len(figures) - 1) // 3)
    early = median(_slopes(rounds[: third + 1], figures[: third + 1]))
    late = median(_slopes(rounds[-third - 1 :], figures[-third - 1 :]))
    last = len(figures) - 1 - max(1, len(figures) // 5)
    return late >= early * _STEADY_SHARE and figures[-1] > figures[last]
