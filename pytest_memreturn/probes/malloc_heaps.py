"""Where the heaps of glibc's malloc begin and end just now."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache

from pytest_memreturn.probes._files import read_by_lines
from pytest_memreturn.probes._smaps import ARENA_ALIGNMENT
from pytest_memreturn.probes._thread_heaps import HEADER, thread_heaps
from pytest_memreturn.probes.own_memory import OwnMemory

_MAPPING = re.compile(
    rb"^([0-9a-f]{1,16})-[0-9a-f]{1,16} rw-p 00000000 00:00 0 *(\[heap\]|\[anon:[^\n]*\])?$",
    re.MULTILINE,
)

# struct malloc_state has 2,200 bytes in glibc 2.36; later ones have dropped lists of free blocks
# from it, and may add others.
_STATE_BYTES = range(1600, 2800)
# struct heap_info: four words, six since 2.35.
_HEADER_BYTES = range(32, 128)
_ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class MallocHeap:
    """A heap of malloc's from `start` to `end`; its first chunk is at one of `first_chunks`."""

    name: str
    start: int
    end: int
    first_chunks: tuple[int, ...]


MAIN = "main heap"


def malloc_heaps() -> tuple[MallocHeap, ...]:
    """The main heap and those of threads, by address; raises `OSError` where nobody can look."""
    main, candidates = 0, []
    for lines in read_by_lines("/proc/self/maps"):
        for found in _MAPPING.finditer(lines):
            start = int(found[1], 16)
            if found[2] == b"[heap]":
                # Advice on huge pages cuts it into several mappings.
                main = main or start
            elif start % ARENA_ALIGNMENT == 0:
                candidates.append(start)
    heaps = []
    if main:
        heaps.append(MallocHeap(MAIN, main, _program_break(), (main,)))
    for number, start in enumerate(sorted(thread_heaps(candidates)), 1):
        heaps.append(_thread_heap(f"thread heap {number}", start))
    return tuple(heaps)


def end_of(heap: MallocHeap) -> int:
    """Where a heap ends by now; raises `OSError` where it is gone."""
    if heap.name == MAIN:
        return _program_break()
    _, used_bytes = _header(heap.name, heap.start)
    return heap.start + used_bytes


def _header(name: str, start: int) -> tuple[int, int]:
    """Where the arena of a thread heap is, and how much of the heap is in use."""
    with OwnMemory(HEADER.size) as memory:
        header = memory.read(start, HEADER.size)
    if len(header) < HEADER.size:
        msg = f"nothing is mapped at the {name} any more"
        raise OSError(msg)
    arena, _, used_bytes, _ = HEADER.unpack(header)
    return arena, used_bytes


def _thread_heap(name: str, start: int) -> MallocHeap:
    arena, used_bytes = _header(name, start)
    holds_arena = start <= arena < start + used_bytes
    base, distances = (arena, _STATE_BYTES) if holds_arena else (start, _HEADER_BYTES)
    first = base + distances.start
    first += -first % _ALIGNMENT
    last = min(base + distances.stop, start + used_bytes)
    return MallocHeap(name, start, start + used_bytes, tuple(range(first, last, _ALIGNMENT)))


def _program_break() -> int:
    """Where the main heap ends."""
    return int(_sbrk()(0) or 0)


@cache
def _sbrk() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None).sbrk
    function.argtypes = [ctypes.c_ssize_t]
    function.restype = ctypes.c_void_p
    return function
