"""Live blocks that keep free memory where it is, and the Python objects that own them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain as chained
from itertools import islice
from typing import TYPE_CHECKING

from pytest_memreturn._explanation import Pin
from pytest_memreturn.explain.arenas import ARENA_BYTES
from pytest_memreturn.explain.chains import ChainFinder
from pytest_memreturn.explain.owners import Owned, find_owners
from pytest_memreturn.probes.own_memory import OwnMemory
from pytest_memreturn.probes.residency import resident_bytes

if TYPE_CHECKING:
    from pytest_memreturn.explain.arenas import Arena
    from pytest_memreturn.explain.heap_walk import HeapWalk

# The causes for which live blocks in malloc's heaps are to be named.
_MALLOC_CAUSES = frozenset({"held-by-malloc", "pinned-malloc"})
_MOST_PINS = 10

NATIVE = "native block"
# Where not all objects were looked at.
UNSEEN = "block (no time to find its owner)"

# A block on every page of 80 MiB; what is beyond that is more of the same.
_MOST_GAPS = 20_000
# Of a stretch of live blocks so many are looked at, from the lowest on, for the largest.
_BLOCKS_LOOKED_AT = 16
_HEADER_BYTES = 16
_SIZE = ~7
_SMALLEST_BYTES = 32

# An arena that is emptier than this is there for what little lives in it.
_NEARLY_EMPTY = 1 / 4


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of live blocks above free memory, and the largest of its lowest blocks."""

    heap: str
    live_bytes: int
    free_below_bytes: int
    block_start: int
    block_end: int


def gaps_of(walk: HeapWalk, is_over: Callable[[], bool] = lambda: False) -> list[Gap]:
    """What stands above the largest free stretches that are resident, by address.

    As far as there is time, until `is_over`. Raises `OSError` where memory cannot be read.
    """
    found = heapq.nlargest(_MOST_GAPS, _all_gaps(walk), key=lambda one: one[2] - one[1])
    gaps = []
    with OwnMemory(_HEADER_BYTES) as memory:
        for heap, free_start, start, end in found:
            if is_over():
                break
            free_bytes = resident_bytes(free_start, start - free_start)
            block = max(_blocks(memory, start, end), key=lambda one: one[1] - one[0], default=None)
            if block is not None and free_bytes:
                gaps.append(Gap(heap, end - start, free_bytes, *block))
    return sorted(gaps, key=lambda one: one.block_start)


def _all_gaps(walk: HeapWalk) -> Iterator[tuple[str, int, int, int]]:
    """Heap, start of what is free, start and end of what is live above it."""
    for one in walk.heaps:
        starts, sizes = one.chunks.free_starts, one.chunks.free_sizes
        if not starts:
            continue
        next_starts = chained(islice(starts, 1, None), [one.chunks.end])
        for start, size_bytes, next_start in zip(starts, sizes, next_starts, strict=True):
            if next_start > start + size_bytes:
                yield one.heap.name, start, start + size_bytes, next_start


def _blocks(memory: OwnMemory, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lowest blocks of a live stretch, as the program has them."""
    for _ in range(_BLOCKS_LOOKED_AT):
        header = memory.read(start, _HEADER_BYTES) if start < end else b""
        size_bytes = int.from_bytes(header[8:], "little") & _SIZE
        if not _SMALLEST_BYTES <= size_bytes <= end - start:
            return
        # The last word of a block lies where the next chunk begins.
        yield start + _HEADER_BYTES, start + size_bytes + 8
        start += size_bytes


def find_pins(
    gaps: Sequence[Gap],
    arenas: Sequence[Arena],
    causes: Collection[str],
    is_over: Callable[[], bool] = lambda: False,
) -> tuple[Pin, ...]:
    """What keeps free memory in place, as far as that is among the `causes`; the worst first."""
    if _MALLOC_CAUSES.isdisjoint(causes):
        gaps = ()
    sparse = _sparse(arenas) if "pinned-python" in causes else []
    if not gaps and not sparse:
        return ()
    pools = {pool for arena in sparse for pool in arena.pools}
    owned = find_owners([(one.block_start, one.block_end) for one in gaps], pools, is_over)
    pins = [*_in_heaps(gaps, owned), *_in_arenas(sparse, owned)]
    pins = heapq.nlargest(_MOST_PINS, pins, key=lambda one: one[0].pinned_bytes)
    followed = [(number, owner) for number, (_, owner) in enumerate(pins) if owner is not None]
    numbers, owners = [number for number, _ in followed], [owner for _, owner in followed]
    found = [pin for pin, _ in pins]
    # Whatever else holds them would look like what keeps them alive.
    own = owned.own
    owned, pins, followed = Owned(), [], []
    for number, chain in zip(numbers, ChainFinder(is_over).chains_to(owners, own), strict=True):
        found[number] = replace(found[number], chain=chain)
    return tuple(found)


def _sparse(arenas: Sequence[Arena]) -> list[Arena]:
    return [one for one in arenas if one.live_bytes < ARENA_BYTES * _NEARLY_EMPTY]


def _in_heaps(gaps: Sequence[Gap], owned: Owned) -> Iterator[tuple[Pin, object]]:
    """By type of the owner, which may be nobody known; with the owner of the worst."""
    by_type: dict[str, list[tuple[Gap, object]]] = {}
    for number, gap in enumerate(gaps):
        owner, name = owned.of_block.get(number, (None, NATIVE if owned.is_whole else UNSEEN))
        by_type.setdefault(name, []).append((gap, owner))
    for name, found in by_type.items():
        worst, owner = max(found, key=lambda one: one[0].free_below_bytes)
        pin = Pin(
            what=name,
            count=len(found),
            bytes=sum(gap.live_bytes for gap, _ in found),
            heap=worst.heap,
            address=worst.block_start,
            pinned_bytes=sum(gap.free_below_bytes for gap, _ in found),
        )
        yield pin, owner


def _in_arenas(sparse: Sequence[Arena], owned: Owned) -> Iterator[tuple[Pin, object]]:
    """By type of what lives in nearly empty arenas."""
    free_bytes = sum(ARENA_BYTES - one.live_bytes for one in sparse)
    # Of no size at all where their classes won't tell one.
    found_bytes = max(1, sum(one.bytes for one in owned.in_pools.values()))
    for name, found in owned.in_pools.items():
        example = found.example()
        pin = Pin(
            what=name,
            count=found.count,
            bytes=found.bytes,
            heap="nearly empty arenas",
            address=id(example),
            # Who shares an arena shares the blame for it.
            pinned_bytes=free_bytes * found.bytes // found_bytes,
        )
        yield pin, example
