"""All heaps of malloc, walked chunk by chunk and proved by malloc's own totals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import KIB, format_size
from pytest_memreturn.allocators.glibc import Glibc
from pytest_memreturn.explain.chunks import (
    BATCH_BYTES,
    MOST_MOVED_BYTES,
    Chunks,
    NotAHeapError,
    walk_chunks,
)
from pytest_memreturn.probes.malloc_heaps import MallocHeap, end_of, malloc_heaps
from pytest_memreturn.probes.own_memory import OwnMemory
from pytest_memreturn.probes.residency import PAGE_BYTES

if TYPE_CHECKING:
    from pytest_memreturn.allocators.glibc import Arenas

# A thread that allocates meanwhile may break a chain under a walk; walked again it mostly holds.
_ATTEMPTS = 3

# The walk's own lists lie in the heap that it walks, and threads may allocate between it and the
# statistics: 0.03 to 0.1 % of heaps of 20 to 3,600 MB.
_OFF_BY_SHARE = 1 / 100
_OFF_BY_BYTES = 64 * KIB


@dataclass(frozen=True, slots=True)
class WalkedHeap:
    """One heap and its chunks."""

    heap: MallocHeap
    chunks: Chunks

    @property
    def live_bytes(self) -> int:
        """With what malloc keeps for itself before the first chunk, as its statistics count."""
        return self.chunks.start - self.heap.start + self.chunks.live_bytes


@dataclass(frozen=True, slots=True)
class HeapWalk:
    """What the walk through all heaps found; `reason` is there unless it is whole and proven."""

    heaps: tuple[WalkedHeap, ...]
    live_bytes: int
    proven: bool
    partial: bool
    reason: str | None


def walk_heaps(
    is_over: Callable[[], bool] = lambda: False, is_late: Callable[[], bool] = lambda: False
) -> HeapWalk | None:
    """Walk every heap of malloc's until `is_over`; unless `is_late`, again where it proves nothing.

    ``None`` where glibc's malloc is not in use.
    """
    malloc = Glibc()
    found = _walk_all(malloc, is_over)
    if found is None or found.proven or found.partial or is_late():
        return found
    # A thread that has ended, as far as Python knows, is still giving its blocks back: 13 of 400
    # walks met one on a busy machine, and none of these a second time.
    again = _walk_all(malloc, is_over)
    return found if again is None or again.partial else again


def _walk_all(malloc: Glibc, is_over: Callable[[], bool]) -> HeapWalk | None:
    before = malloc.read_arenas()
    if before is None:
        return None
    heaps: list[WalkedHeap] = []
    reason: str | None = None
    try:
        with OwnMemory(BATCH_BYTES) as memory:
            for heap in malloc_heaps():
                chunks = _walk(memory, heap, is_over)
                if chunks is None:
                    reason = reason or f"the blocks of the {heap.name} make no chain"
                else:
                    heaps.append(WalkedHeap(heap, chunks))
    except OSError as error:
        reason = f"its memory cannot be read: {error.strerror or error}"
    partial = any(not one.chunks.is_whole for one in heaps)
    if partial:
        reason = "there was no time to look at all of it"
    live_bytes = sum(one.live_bytes for one in heaps)
    reason = reason or _disagreement(live_bytes, before, malloc.read_arenas() or before)
    return HeapWalk(tuple(heaps), live_bytes, reason is None, partial, reason)


def _walk(memory: OwnMemory, heap: MallocHeap, is_over: Callable[[], bool]) -> Chunks | None:
    """The chunks of a heap; ``None`` where no chain leads from its beginning to its end."""
    for _ in range(_ATTEMPTS):
        for first in heap.first_chunks:
            try:
                found = walk_chunks(memory, first, heap.end, is_over, lambda: end_of(heap))
            except (NotAHeapError, OSError):
                continue
            if not found.is_whole or _may_end(found.end, heap.end):
                return found
    return None


def _may_end(found_end: int, heap_end: int) -> bool:
    """Whether a chain ends where its heap may have ended when its last chunk was read.

    What the walk itself takes and frees moves the top meanwhile, always by whole pages.
    """
    return found_end % PAGE_BYTES == 0 and abs(found_end - heap_end) <= MOST_MOVED_BYTES


def _disagreement(live_bytes: int, *told: Arenas) -> str | None:
    """In what malloc's figures, read before and after, differ from what was found."""
    for arenas in told:
        # Blocks that are free and kept at hand for small requests look live where they lie.
        expected = arenas.live_bytes + arenas.fast_bytes
        if abs(live_bytes - expected) > max(_OFF_BY_BYTES, expected * _OFF_BY_SHARE):
            return (
                f"found {format_size(live_bytes)} live, where malloc says {format_size(expected)}"
            )
    return None
