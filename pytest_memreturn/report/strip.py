"""Heaps drawn as strips of text: what is live, free and given back, in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_memreturn._regions import few, joined
from pytest_memreturn._sizes import MIB, format_mib, format_size

if TYPE_CHECKING:
    from pytest_memreturn._explanation import PooledArenas, Region, RegionKind

# Told apart by their shapes alone, and by the words behind them.
_SHADES: Mapping[RegionKind, str] = {"live": "█", "free": "░", "returned": "·"}
# What would print as 0.0, and what is next to nothing beside the rest.
_SMALLEST_BYTES = MIB // 20
_SMALLEST_PART = 500
# Of a region that there is room for at all: a bar of two, and a word such as "49.0 returned".
_LEAST_COLUMNS = 17
_LEVELS = "▁▂▃▄▅▆▇█"


def heap_strip(regions: Sequence[Region], columns: int) -> str:
    """The regions of one heap, in MiB, in no more columns than these but for one region."""
    whole_bytes = sum(one.bytes for one in regions)
    least_bytes = max(_SMALLEST_BYTES, whole_bytes // _SMALLEST_PART)
    shown = few(joined(regions, least_bytes), max(1, (columns - 1) // _LEAST_COLUMNS))
    while (room := columns - 1 - sum(len(_word(one)) + 1 for one in shown)) < 0 and len(shown) > 1:
        shown = few(shown, len(shown) - 1)
    lengths = [1 + max(0, room) * one.bytes // max(1, whole_bytes) for one in shown]
    return "|" + "".join(
        _SHADES[one.kind] * length + _word(one) for one, length in zip(shown, lengths, strict=True)
    )


def _word(region: Region) -> str:
    return f" {format_mib(region.bytes)} {region.kind}|"


def arena_strip(arenas: PooledArenas, columns: int) -> str:
    """Arenas by address, and how full they are; several in one column where there are many."""
    count = len(arenas.live_bytes)
    live_bytes, held_bytes = sum(arenas.live_bytes), count * arenas.arena_bytes
    share = f"{live_bytes / max(1, held_bytes):.0%}"
    words = f"{count} × {format_size(arenas.arena_bytes)}, {share} live "
    marks = min(count, max(1, columns - len(words) - 2))
    bounds = [number * count // max(1, marks) for number in range(marks + 1)]
    levels = [
        sum(arenas.live_bytes[first:last]) / ((last - first) * arenas.arena_bytes)
        for first, last in pairwise(bounds)
    ]
    drawn = "".join(_LEVELS[min(len(_LEVELS) - 1, int(level * len(_LEVELS)))] for level in levels)
    return f"{words}|{drawn}|"
