"""Memory that is resident only because the kernel hands it out in huge pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_memreturn._ranges import grown_ranges
from pytest_memreturn.probes.zero_pages import zero_bytes_in_huge_blocks

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappedRange, MappingKind, Snapshot

# Where malloc hands out small blocks; what else is mapped grows by someone's wish.
_HEAPS: frozenset[MappingKind] = frozenset({"heap", "arena"})


def unwritten_huge_page_bytes(before: Snapshot, after: Snapshot) -> int | None:
    """Bytes of new huge pages whose small pages hold nothing but zeros: most likely never written.

    One byte written makes 2 MiB resident. ``None`` where the layout does not tell huge pages.
    """
    growth = _growth_bytes(before, after)
    if growth is None:
        return None
    return _zeros(grown_ranges(before.ranges, _with_huge_pages(after)), growth)


def filled_hole_bytes(before: Snapshot, after: Snapshot) -> int:
    """Bytes of zeros that huge pages brought into holes of malloc's heaps.

    Where huge pages are wanted (numpy wants them for large arrays, wherever malloc puts these)
    the kernel gathers small pages into huge ones, when it sees fit. A hole among them then is
    resident again, though nobody asked for it.
    """
    heaps = [one for one in _with_huge_pages(after) if one.kind in _HEAPS]
    starts = {one.start for one in before.ranges}
    ends = {one.end for one in before.ranges}
    holes = (
        part
        for part in grown_ranges(before.ranges, heaps)
        if part.start in ends and part.end in starts
    )
    return _zeros(holes, _growth_bytes(before, after) or 0)


def _with_huge_pages(layout: Snapshot) -> list[MappedRange]:
    return [one for one in layout.ranges if one.huge_page_bytes]


def _growth_bytes(before: Snapshot, after: Snapshot) -> int | None:
    if before.huge_page_bytes is None or after.huge_page_bytes is None:
        return None
    return after.huge_page_bytes - before.huge_page_bytes


def _zeros(parts: Iterable[MappedRange], growth_bytes: int) -> int:
    """What of `parts` is zero and may be in huge pages: no more than these have grown by."""
    if growth_bytes <= 0:
        return 0
    zero_bytes = sum(zero_bytes_in_huge_blocks(part.start, part.end) for part in parts)
    return min(growth_bytes, zero_bytes)
