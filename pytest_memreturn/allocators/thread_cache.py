"""The cache of free blocks that glibc's malloc keeps for a thread, brought to its full size."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# malloc(3) gives 24 bytes at the least and 16 more from size to size. The cache has blocks of 64
# sizes (mallopt(3) and the tunable glibc.malloc.tcache_max: 1032 bytes), seven of each, in later
# versions of glibc sixteen.
_SIZES = range(24, 24 + 64 * 16, 16)
_EACH = 16


def thread_cache_filler() -> Callable[[], None]:
    """What fills this thread's cache, which malloc's statistics count as live.

    A body that works with blocks of ever other sizes leaves some more in it for hundreds of runs,
    up to 230 KiB. A full cache stays as it is. Where there is no such malloc nothing is done.
    """
    if sys.platform == "win32":
        return _nothing
    library = ctypes.CDLL(None)  # of its own: others may describe the same functions otherwise
    if not hasattr(library, "gnu_get_libc_version"):
        return _nothing
    allocate, free = library.malloc, library.free
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    blocks = (ctypes.c_void_p * (len(_SIZES) * _EACH))()

    def fill() -> None:
        place = 0
        for size in _SIZES:
            for _ in range(_EACH):
                blocks[place] = allocate(size)
                place += 1
        for block in blocks:
            free(block)

    return fill


def _nothing() -> None:
    """There is no such cache."""
