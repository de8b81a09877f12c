"""Heaps and arenas as strips: what is live, free and given back, in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from pytest_memreturn._regions import few, joined
from pytest_memreturn.report.drawings.scale import Scale

if TYPE_CHECKING:
    from pytest_memreturn._explanation import PooledArenas, Region, RegionKind

# More than that nobody can tell apart on a strip: a region has 10 pixels of 320 then.
_REGIONS = 32
# What is next to nothing beside the rest.
_SMALLEST_PART = 1000
_COLUMNS = 48


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a heap, `offset_bytes` from its beginning; `left` and `width` in percent."""

    kind: RegionKind
    offset_bytes: int
    bytes: int
    live_bytes: int
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class HeapStrip:
    """One heap from its beginning to its end."""

    name: str
    bytes: int
    free_bytes: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class ArenaColumn:
    """Arenas `first` to `last`, counted from 1, and how much of them is live; the rest percent."""

    first: int
    last: int
    live_bytes: int
    left: float
    width: float
    height: float


def heap_strips(regions: Sequence[Region]) -> Iterator[HeapStrip]:
    """A strip for each heap; what is too small to be seen is part of its neighbours."""
    for name, found in groupby(regions, lambda one: one.heap):
        inside = list(found)
        whole_bytes = sum(one.bytes for one in inside)
        scale = Scale(0, whole_bytes)
        stretches = []
        offset = 0
        for one in few(joined(inside, whole_bytes // _SMALLEST_PART), _REGIONS):
            span = scale.span(offset, offset + one.bytes)
            stretches.append(Stretch(one.kind, offset, one.bytes, one.live_bytes, *span))
            offset += one.bytes
        free_bytes = sum(one.bytes for one in inside if one.kind == "free")
        yield HeapStrip(name, whole_bytes, free_bytes, tuple(stretches))


def arena_columns(arenas: PooledArenas) -> Iterator[ArenaColumn]:
    """Arenas by address, and how full they are; several in one column where there are many."""
    count = len(arenas.live_bytes)
    columns = min(count, _COLUMNS)
    scale = Scale(0, columns)
    bounds = [number * count // max(1, columns) for number in range(columns + 1)]
    for number, (first, last) in enumerate(pairwise(bounds)):
        live_bytes = sum(arenas.live_bytes[first:last])
        full = Scale(0, (last - first) * arenas.arena_bytes).at(live_bytes)
        span = scale.span(number, number + 1)
        yield ArenaColumn(first + 1, last, live_bytes, *span, full)
