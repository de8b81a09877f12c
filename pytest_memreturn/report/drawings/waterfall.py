"""The release ladder as a waterfall: how the footprint rose in a window and fell after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_memreturn.report.drawings.scale import Scale

if TYPE_CHECKING:
    from pytest_memreturn._record import Record

# Was there before; grew, and is there; grew, and is back.
BarKind: TypeAlias = Literal["before", "kept", "back"]

_WORDS = (("end", "end"), ("collect", "gc"), ("trim", "trim"))


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a step, in percent of the room."""

    kind: BarKind
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Step:
    """The footprint at one rung, and how it moved since the step before; ``None`` for the first."""

    words: str
    bytes: int
    change_bytes: int | None
    is_gate: bool
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Steps from above to below; bars begin at `first_bytes`, which is 0 where there is room.

    `baseline` and `limit`, what may stay on top of it, are lines through all steps, in percent.
    """

    steps: tuple[Step, ...]
    first_bytes: int
    baseline: float
    limit: float


def waterfall(record: Record) -> Waterfall | None:
    """The steps of a record with readings: the peak, and each rung that was climbed."""
    readings = record.readings or {}
    baseline = readings.get("baseline")
    if baseline is None:
        return None
    levels = [("baseline", baseline), ("peak", baseline + (record.peak_growth_bytes or 0))]
    judged = None
    for rung, words in _WORDS:
        size = readings.get(rung)
        if size is not None:
            # The gate, or the rung before it at which the memory was back.
            if rung == record.gate or readings.get(record.gate) is None:
                judged = words
            levels.append((words, size))
    limit = baseline + (record.allowed_bytes or 0)
    lowest = min(size for _, size in levels)
    highest = max(limit, *(size for _, size in levels))
    # What was there before is no news: no more than a third of the room is for it.
    first = max(0, lowest - (highest - lowest) // 2)
    scale = Scale(first, highest)
    before = tuple(_bars(scale, baseline, baseline))
    steps = [Step("baseline", baseline, None, is_gate=False, bars=before)]
    for (_, last), (words, size) in pairwise(levels):
        bars = tuple(_bars(scale, baseline, size, last))
        steps.append(Step(words, size, size - last, words == judged, bars))
    return Waterfall(tuple(steps), first, scale.at(baseline), scale.at(limit))


def _bars(scale: Scale, baseline: int, size: int, last: int = 0) -> Iterator[Bar]:
    """What is there of the baseline, what on top of it, and what has gone since the last step."""
    stretches: tuple[tuple[BarKind, float, int], ...] = (
        ("before", scale.first, min(baseline, size)),
        ("kept", baseline, size),
        ("back", size, last),
    )
    for kind, start, end in stretches:
        if end > start:
            yield Bar(kind, *scale.span(start, end))
