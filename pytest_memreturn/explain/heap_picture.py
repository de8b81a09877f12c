"""A picture of malloc's heaps: stretches of live and free, and the sizes of what is live."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._explanation import HeapPicture, PooledArenas, Region, SizeClass
from pytest_memreturn._regions import few, joined
from pytest_memreturn.explain.arenas import ARENA_BYTES
from pytest_memreturn.probes.residency import PAGE_BYTES, resident_pages

if TYPE_CHECKING:
    from pytest_memreturn._explanation import RegionKind
    from pytest_memreturn.explain.arenas import Arena
    from pytest_memreturn.explain.heap_walk import HeapWalk, WalkedHeap

# Of one heap in a report: as many as can be told apart in a picture of 1,600 pixels.
_MOST_REGIONS = 200
# A stretch that is a smaller part of its heap would not be seen in such a picture.
_SMALLEST_SHARE = 1 / 2000

_HOLES = re.compile(rb"\x00+")


def picture_of(walk: HeapWalk | None, arenas: Sequence[Arena]) -> HeapPicture:
    """What a walk and a look at the arenas have shown; ``None`` where malloc is not glibc's."""
    pooled = None
    if arenas:
        pooled = PooledArenas(ARENA_BYTES, tuple(one.live_bytes for one in arenas))
    if walk is None:
        return HeapPicture(reason="another malloc serves in the place of glibc's", arenas=pooled)
    regions: list[Region] = []
    returned_bytes = 0

    def seen(stretches: Iterable[Region]) -> Iterator[Region]:
        nonlocal returned_bytes
        for one in stretches:
            returned_bytes += one.bytes if one.kind == "returned" else 0
            yield one

    for one in walk.heaps:
        least_bytes = int((one.chunks.end - one.heap.start) * _SMALLEST_SHARE)
        regions += few(joined(seen(_stretches(one)), max(1, least_bytes)), _MOST_REGIONS)
    return HeapPicture(
        proven=walk.proven,
        partial=walk.partial,
        reason=walk.reason,
        regions=tuple(regions),
        live_bytes=walk.live_bytes,
        free_bytes=sum(one.chunks.free_bytes for one in walk.heaps) - returned_bytes,
        returned_bytes=returned_bytes,
        live_sizes=_live_sizes(walk),
        arenas=pooled,
    )


def _live_sizes(walk: HeapWalk) -> tuple[SizeClass, ...]:
    """The live blocks by size, in powers of two, smallest first."""
    counts: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for one in walk.heaps:
        for size_bytes, count in one.chunks.live_sizes.items():
            up_to = 1 << (size_bytes - 1).bit_length()
            counts[up_to] += count
            sizes[up_to] += size_bytes * count
    return tuple(SizeClass(up_to, counts[up_to], sizes[up_to]) for up_to in sorted(counts))


def _stretches(walked: WalkedHeap) -> Iterator[Region]:
    """One after the other: what is live, and what is free, as it is resident or not."""
    heap, chunks = walked.heap, walked.chunks

    def stretch(kind: RegionKind, start: int, end: int) -> Iterator[Region]:
        if end > start:
            yield Region(heap.name, kind, start, end - start, end - start if kind == "live" else 0)

    base = heap.start // PAGE_BYTES * PAGE_BYTES
    pages = resident_pages(base, chunks.end // PAGE_BYTES * PAGE_BYTES)
    at = heap.start
    for start, end in zip(chunks.free_starts, chunks.free_ends, strict=True):
        yield from stretch("live", at, start)
        at = start
        # Only whole pages go back: the first and the last one may hold somebody else's bytes.
        first, last = -(-(start - base) // PAGE_BYTES), (end - base) // PAGE_BYTES
        if pages is not None:
            for hole in _HOLES.finditer(pages, first, last):
                begins, ends = base + hole.start() * PAGE_BYTES, base + hole.end() * PAGE_BYTES
                yield from stretch("free", at, begins)
                yield from stretch("returned", begins, ends)
                at = ends
        yield from stretch("free", at, end)
        at = end
    yield from stretch("live", at, chunks.end)
