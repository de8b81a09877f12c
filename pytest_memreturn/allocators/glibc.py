"""The malloc of glibc, from its own statistics."""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._memstream import printed_by

if TYPE_CHECKING:
    from collections.abc import Callable

# Each begins with characters that stand for themselves: found in a tenth of the time.
_HEAP_NUMBER = re.compile(rb'<heap nr="(\d{1,20})">')
_BIN_TOTAL = re.compile(rb'<(?:size|unsorted) [^>]*total="(\d{1,20})"')
_REST = re.compile(rb'<total type="rest" count="(\d{1,20})" size="(\d{1,20})"')
# Up to 2.42, the sizes of free blocks but for those in fast bins have the bit of a block's head
# that says that the one before it is in use: each is one byte too large.
_WITH_A_BIT = re.compile(rb' to="\d{0,19}[13579]"')
_FAST_SIZE = re.compile(rb'<total type="fast" count="\d+" size="(\d{1,20})"')
_MAPPED_SIZE = re.compile(rb'<total type="mmap" count="\d+" size="(\d{1,20})"')
_SYSTEM_SIZE = re.compile(rb'<system type="current" size="(\d{1,20})"')


class Glibc(Allocator):
    """Live bytes of malloc: in the main heap, in thread arenas, in blocks mapped one by one."""

    name = "malloc"

    def __init__(self) -> None:
        self._print_information = _malloc_info_function()

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` where the C library is not glibc, or glibc's malloc is not in use."""
        arenas = self.read_arenas()
        return None if arenas is None else arenas.statistics()

    def read_arenas(self) -> Arenas | None:
        """What malloc says of its arenas; ``None`` as for `statistics`."""
        if self._print_information is None:
            return None
        # Not mallinfo2(3), which merges all small free blocks first: 90 us after a test, against
        # 20 us for this.
        text = printed_by(self._print_information)
        arenas = parse_arenas(text) if text is not None else Arenas()
        # Where another malloc was loaded, its memory must not be called glibc's.
        return arenas if arenas.is_in_use else None

    def release(self) -> None:
        """Trim every arena; of a thread arena's free top nothing comes back."""
        if hasattr(psutil, "heap_trim"):
            psutil.heap_trim()


@dataclass(frozen=True, slots=True)
class Arenas:
    """What malloc_info(3) tells of all arenas, in bytes.

    `held_bytes`: heap memory, resident or not; `live_bytes` of it are handed out.
    `own_mapping_bytes`: handed out in mappings of their own. `thread_live_bytes` and
    `thread_top_bytes`: handed out from the arenas of threads, and free at their tops.
    `fast_bytes`: free, but not marked so where they lie (fast bins).
    """

    count: int = 0
    held_bytes: int = 0
    live_bytes: int = 0
    own_mapping_bytes: int = 0
    thread_live_bytes: int = 0
    thread_top_bytes: int = 0
    fast_bytes: int = 0

    @property
    def is_in_use(self) -> bool:
        """Whether anybody has memory of it: where another malloc was loaded, nobody has."""
        return bool(self.live_bytes or self.own_mapping_bytes)

    def statistics(self) -> AllocatorStatistics:
        """The same as any allocator says it."""
        return AllocatorStatistics(
            name="malloc",
            live_bytes=self.live_bytes,
            held_bytes=self.held_bytes,
            live_by_kind={
                "heap": self.live_bytes - self.thread_live_bytes,
                "arena": self.thread_live_bytes,
            },
            own_mapping_live_bytes=self.own_mapping_bytes,
            thread_top_bytes=self.thread_top_bytes,
            arenas=self.count,
            from_start=True,
        )


def parse_arenas(text: bytes) -> Arenas:
    """The text of malloc_info(3), summed up.

    Each heap's ``rest`` counts its free blocks and its top; the bins list the blocks alone, so
    the top is the difference. Fast bins are listed among the sizes but not in ``rest``; glibc
    2.43 has none, and no total of them.
    """
    count = held = live = thread_live = thread_tops = all_fast = 0
    *heaps, whole = text.split(b"</heap>")
    for heap in heaps:
        number = _HEAP_NUMBER.search(heap)
        system, rest = _SYSTEM_SIZE.search(heap), _REST.search(heap)
        if number is None or system is None or rest is None:
            continue
        fast = _FAST_SIZE.search(heap)
        fast_bytes = int(fast[1]) if fast is not None else 0
        count += 1
        all_fast += fast_bytes
        held += int(system[1])
        # All of these but the top, which is counted by its true size.
        bits = max(0, int(rest[1]) - 1) if _WITH_A_BIT.search(heap) else 0
        # A thread that allocates meanwhile can make the parts of a heap disagree.
        in_heap = max(0, int(system[1]) - int(rest[2]) + bits - fast_bytes)
        live += in_heap
        if number[1] == b"0":  # the main arena, whose top a trim does hand back
            continue
        thread_live += in_heap
        binned = sum(int(total) for total in _BIN_TOTAL.findall(heap)) - fast_bytes
        thread_tops += max(0, int(rest[2]) - binned)
    mapped = _MAPPED_SIZE.search(whole)
    own_mappings = int(mapped[1]) if mapped else 0
    return Arenas(count, held, live, own_mappings, thread_live, thread_tops, all_fast)


def _malloc_info_function() -> Callable[[ctypes.c_void_p], object] | None:
    if sys.platform == "win32":
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version") or not hasattr(library, "malloc_info"):
        return None
    library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]

    def print_information(stream: ctypes.c_void_p) -> object:
        return library.malloc_info(0, stream)

    return print_information
