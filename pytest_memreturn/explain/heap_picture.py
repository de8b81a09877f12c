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
        least_bytes = max(1, int((one.chunks.end - one.heap.start) * _SMALLEST_SHARE))
        stretches = seen(_stretches(one, least_bytes))
        regions += few(joined(stretches, least_bytes), _MOST_REGIONS)
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


def _stretches(walked: WalkedHeap, least_bytes: int) -> Iterator[Region]:
    """One after the other: what is live, and what is free, as it is resident or not.

    Neighbours without a whole free page between them are joined up to `least_bytes`.
    """
    heap, chunks = walked.heap, walked.chunks
    base = heap.start // PAGE_BYTES * PAGE_BYTES
    pages = resident_pages(base, chunks.end // PAGE_BYTES * PAGE_BYTES)
    # From here on nothing has been given yet: up to `at` so much was live, and so much free.
    begin = at = heap.start
    live_bytes = 0
    for start, size_bytes in zip(chunks.free_starts, chunks.free_sizes, strict=True):
        live_bytes += start - at
        at = start + size_bytes
        if size_bytes < PAGE_BYTES:
            if at - begin >= least_bytes:
                yield _mixed(heap.name, begin, at, live_bytes)
                begin, live_bytes = at, 0
            continue
        if start > begin:
            yield _mixed(heap.name, begin, start, live_bytes)
        yield from _free(heap.name, start, at, base, pages)
        begin, live_bytes = at, 0
    if chunks.end > begin:
        yield _mixed(heap.name, begin, chunks.end, live_bytes + chunks.end - at)


def _mixed(heap: str, start: int, end: int, live_bytes: int) -> Region:
    """A stretch in which live and free lie close together, called what most of it is."""
    is_live = live_bytes * 2 >= end - start
    return Region(heap, "live" if is_live else "free", start, end - start, live_bytes)


def _free(heap: str, start: int, end: int, base: int, pages: bytearray | None) -> Iterator[Region]:
    """A free stretch by whether it is resident; only whole pages ever go back."""
    at = start
    first, last = -(-(start - base) // PAGE_BYTES), (end - base) // PAGE_BYTES
    for hole in _HOLES.finditer(pages, first, last) if pages is not None else ():
        begins, ends = base + hole.start() * PAGE_BYTES, base + hole.end() * PAGE_BYTES
        if begins > at:
            yield Region(heap, "free", at, begins - at, 0)
        yield Region(heap, "returned", begins, ends - begins, 0)
        at = ends
    if end > at:
        yield Region(heap, "free", at, end - at, 0)
