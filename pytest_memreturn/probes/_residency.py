"""Which pages of a range of addresses are resident, one byte a page."""

from __future__ import annotations

import ctypes
import mmap
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_memreturn.probes._buffers import ReusableBuffers, Text

# mincore(2) promises only the lowest bit; no kernel has set another.
_RESIDENT_RUN = re.compile(rb"\x01+")


@dataclass(frozen=True, slots=True, eq=False)
class PageMap:
    """The residency of the range that begins at `start`, kept raw until somebody needs it."""

    start: int
    _pages: Text

    def resident_runs(self) -> Iterator[tuple[int, int]]:
        """Start and end of each run of resident pages, in order."""
        for run in _RESIDENT_RUN.finditer(self._pages.buffer, 0, self._pages.length):
            yield (
                self.start + run.start() * mmap.PAGESIZE,
                self.start + run.end() * mmap.PAGESIZE,
            )


def page_map(buffers: ReusableBuffers, start: int, end: int) -> PageMap | None:
    """Ask mincore(2) about ``start`` to ``end`` (page-aligned); ``None`` where it won't say."""
    text = buffers.lend((end - start) // mmap.PAGESIZE)
    vector = (ctypes.c_ubyte * text.length).from_buffer(text.buffer)
    try:
        failed = _mincore()(start, end - start, ctypes.addressof(vector))
    finally:
        del vector  # a buffer in use can't be closed
    return None if failed else PageMap(start, text)


@cache
def _mincore() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None).mincore
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return function
