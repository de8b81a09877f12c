"""The malloc of glibc, from its own statistics."""

from __future__ import annotations

import ctypes
import re
import sys
from typing import TYPE_CHECKING

import psutil

from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.probes._memstream import printed_by

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAP = re.compile(rb'<heap nr="(\d+)">(.*?)</heap>', re.DOTALL)
_BIN_TOTAL = re.compile(rb'<(?:size|unsorted) [^>]*total="(\d+)"')
_REST_SIZE = re.compile(rb'<total type="rest" count="\d+" size="(\d+)"')
_FAST_SIZE = re.compile(rb'<total type="fast" count="\d+" size="(\d+)"')


class GlibcProbe:
    """Live bytes of malloc: in its heaps, and in blocks mapped one by one."""

    name = "malloc"

    def __init__(self) -> None:
        self._print_information = _malloc_info_function()

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` where the C library is not glibc, or glibc's malloc is not in use."""
        if self._print_information is None:
            return None
        heap = psutil.heap_info()
        if heap.heap_used == 0 and heap.mmap_used == 0:
            # Another malloc was loaded in its place: its memory must not be called glibc's.
            return None
        text = printed_by(self._print_information)
        return AllocatorStatistics(
            name="malloc",
            live_bytes=heap.heap_used,
            kinds=("heap", "arena"),
            own_mapping_live_bytes=heap.mmap_used,
            from_start=True,
            thread_top_bytes=parse_thread_tops(text) if text is not None else 0,
        )


def parse_thread_tops(text: bytes) -> int:
    """Free bytes at the top of all thread arenas, from the text of malloc_info(3).

    Each heap's ``rest`` counts its free blocks and its top; the bins list the blocks alone, so
    the top is the difference. Fast bins are listed among the sizes but not in ``rest``.
    """
    tops = 0
    for heap in _HEAP.finditer(text):
        if heap[1] == b"0":  # the main arena, whose top a trim does hand back
            continue
        rest, fast = _REST_SIZE.search(heap[2]), _FAST_SIZE.search(heap[2])
        if rest is None or fast is None:
            continue
        binned = sum(int(total) for total in _BIN_TOTAL.findall(heap[2])) - int(fast[1])
        tops += max(0, int(rest[1]) - binned)
    return tops


def _malloc_info_function() -> Callable[[ctypes.c_void_p], object] | None:
    if sys.platform == "win32":
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version") or not hasattr(psutil, "heap_info"):
        return None
    library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]

    def print_information(stream: ctypes.c_void_p) -> object:
        return library.malloc_info(0, stream)

    return print_information
