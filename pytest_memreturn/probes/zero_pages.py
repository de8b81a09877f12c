"""Pages of this process that hold nothing but zeros, though they are resident."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

from pytest_memreturn.probes.residency import mincore

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN, _CLOSE, _PREADV = os.open, os.close, os.preadv

# The size of a huge page wherever pages are of 4 KiB; elsewhere there is nothing to see here.
BLOCK_BYTES = 2 * 1024 * 1024


def zero_bytes_by_block(start: int, end: int) -> Iterator[int]:
    """Bytes of all-zero pages from `start` to `end`, for each 2 MiB that are resident whole.

    Of a block that lies there in part, that part. Both ends are page-aligned. Read through
    ``/proc/self/mem``, where memory that is gone is an error and not a crash. Raises `OSError`
    where that file cannot be opened.
    """
    zeros = bytes(mmap.PAGESIZE)
    descriptor = _OPEN("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, BLOCK_BYTES) as copy, memoryview(copy) as view:
            for block in _resident_blocks(start, end):
                first, last = max(start, block), min(end, block + BLOCK_BYTES)
                try:
                    length = _PREADV(descriptor, [view[: last - first]], first)
                except OSError:  # unmapped meanwhile
                    continue
                pages = range(0, length, mmap.PAGESIZE)
                yield sum(view[at : at + mmap.PAGESIZE] == zeros for at in pages) * mmap.PAGESIZE
    finally:
        _CLOSE(descriptor)


def _resident_blocks(start: int, end: int) -> Iterator[int]:
    pages = BLOCK_BYTES // mmap.PAGESIZE
    vector = (ctypes.c_ubyte * pages)()
    ask = mincore()
    for block in range(start // BLOCK_BYTES * BLOCK_BYTES, end, BLOCK_BYTES):
        if ask(block, BLOCK_BYTES, ctypes.addressof(vector)) == 0 and all(vector):
            yield block
