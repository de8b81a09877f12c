"""Which mappings are thread heaps of glibc malloc, by what stands at their beginning."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable

from pytest_memreturn.probes._smaps import ARENA_ALIGNMENT

_OPEN, _CLOSE, _PREAD = os.open, os.close, os.pread

# struct heap_info in malloc/arena.c: the arena, the heap before it, bytes in use, bytes opened.
HEADER = struct.Struct("4Q")


def thread_heaps(starts: Iterable[int], memory: str = "/proc/self/mem") -> frozenset[int]:
    """Those of the addresses where a thread heap begins.

    Their place alone does not tell: other allocators map large pieces as well, and the jemalloc
    inside polars had some on a boundary of 64 MiB. Empty where `memory` can't be read.
    """
    candidates = list(starts)
    if not candidates:
        return frozenset()
    try:
        descriptor = _OPEN(memory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return frozenset()
    try:
        return frozenset(start for start in candidates if _is_heap(descriptor, start))
    finally:
        _CLOSE(descriptor)


def _is_heap(descriptor: int, start: int) -> bool:
    try:
        header = _PREAD(descriptor, HEADER.size, start)
    except OSError:  # unmapped meanwhile
        return False
    return len(header) == HEADER.size and is_heap_header(*HEADER.unpack(header))


def is_heap_header(arena: int, previous: int, used_bytes: int, opened_bytes: int) -> bool:
    """Whether four words can be the beginning of a thread heap.

    An arena lies near the beginning of its own first heap, and every heap on the boundary.
    """
    return (
        0 < arena % ARENA_ALIGNMENT < mmap.PAGESIZE
        and previous % ARENA_ALIGNMENT == 0
        and 0 < used_bytes <= opened_bytes <= ARENA_ALIGNMENT
        and used_bytes % mmap.PAGESIZE == opened_bytes % mmap.PAGESIZE == 0
    )
