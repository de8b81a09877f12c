"""Which pages of some ranges of addresses are resident, one byte a page."""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn.probes._buffers import Loan, ReusableBuffers

# mincore(2) promises only the lowest bit; no kernel has set another.
_RESIDENT_RUN = re.compile(rb"\x01+")

PAGE_BYTES = mmap.PAGESIZE

# 64 MiB at once, so that a block of any size costs no memory worth counting.
_PAGES_ASKED = 16 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class PageMaps:
    """The residency of ranges by their start address, kept raw until somebody needs it."""

    _pages: Loan | None
    _spans: Mapping[int, tuple[int, int]]

    def resident_runs(self, start: int) -> Iterator[tuple[int, int]] | None:
        """Start and end of each resident run of the range at `start`; ``None``: not mapped here."""
        if self._pages is None or start not in self._spans:
            return None
        pages = self._pages.buffer
        first, last = self._spans[start]
        return (
            (
                start + (run.start() - first) * mmap.PAGESIZE,
                start + (run.end() - first) * mmap.PAGESIZE,
            )
            for run in _RESIDENT_RUN.finditer(pages, first, last)
        )


def page_maps(buffers: ReusableBuffers, ranges: Sequence[tuple[int, int]]) -> PageMaps:
    """Ask mincore(2) about ranges (start and end, page-aligned); those it won't tell are left out.

    A range that has changed since it was seen is one that mincore refuses.
    """
    ask = mincore()
    if not ranges:
        return PageMaps(None, {})
    pages = buffers.lend(sum(end - start for start, end in ranges) // mmap.PAGESIZE)
    spans = {}
    # Not an array type of this length: a new class each time would be garbage each time.
    vector = ctypes.c_ubyte.from_buffer(pages.buffer)
    try:
        position = 0
        for start, end in ranges:
            after = position + (end - start) // mmap.PAGESIZE
            if ask(start, end - start, ctypes.addressof(vector) + position) == 0:
                spans[start] = (position, after)
            position = after
    finally:
        del vector  # a buffer in use can't be closed
    return PageMaps(pages, spans)


def resident_pages(start: int, end: int) -> bytearray | None:
    """A byte for each page from `start` to `end`, 1 where it is resident; ``None``: not mapped."""
    pages = bytearray((end - start) // mmap.PAGESIZE)
    if not pages:
        return pages
    vector = ctypes.c_ubyte.from_buffer(pages)
    refused = mincore()(start, end - start, ctypes.addressof(vector))
    del vector  # a buffer in use can't be given away
    return None if refused else pages


def resident_bytes(start: int, size_bytes: int) -> int:
    """How much of a block of this process is resident; all of it where mincore(2) won't tell.

    Counted in whole pages, and never more than the block has.
    """
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    pages = -(-(start + size_bytes - first) // mmap.PAGESIZE)
    vector = (ctypes.c_ubyte * _PAGES_ASKED)()
    ask, found = mincore(), 0
    for page in range(0, pages, _PAGES_ASKED):
        asked = min(_PAGES_ASKED, pages - page)
        at = first + page * mmap.PAGESIZE
        if ask(at, asked * mmap.PAGESIZE, ctypes.addressof(vector)):
            return size_bytes
        found += sum(vector[:asked])
    return min(size_bytes, found * mmap.PAGESIZE)


@cache
def mincore() -> ctypes._NamedFuncPointer:
    """The C library's function, with its arguments declared."""
    function = ctypes.CDLL(None).mincore
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return function
