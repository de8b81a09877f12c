"""The malloc of jemalloc, where it is loaded in place of the C library's."""

from __future__ import annotations

import ctypes
import errno
import os

from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._symbols import exported

_LIVE, _HELD = b"stats.allocated", b"stats.resident"
_FLUSH = b"thread.tcache.flush"
_PURGE = b"arena.4096.purge"  # 4096 stands for all arenas: MALLCTL_ARENAS_ALL, from 5.0 on


class Jemalloc(Allocator):
    """Live and resident bytes of jemalloc, all arenas together, from ``mallctl``.

    What threads keep in their caches counts as live. A release empties the cache of the calling
    thread alone.
    """

    name = "jemalloc"

    def __init__(self) -> None:
        self._mallctl = exported("mallctl")
        # Made once: a reading allocates nothing that outlives it.
        self._value, self._epoch = ctypes.c_size_t(), ctypes.c_uint64(1)
        size = ctypes.c_size_t(ctypes.sizeof(self._value))
        self._old = (ctypes.byref(self._value), ctypes.byref(size))
        self._new = (ctypes.byref(self._epoch), ctypes.sizeof(self._epoch))
        self._has_statistics = False
        if self._mallctl is not None:
            self._mallctl.restype = ctypes.c_int
            self._mallctl.argtypes = [
                ctypes.c_char_p,
                ctypes.c_void_p,
                ctypes.c_void_p,
                ctypes.c_void_p,
                ctypes.c_size_t,
            ]
            # Built with --disable-stats it knows no such name.
            self._has_statistics = self._code(_LIVE, *self._old) != errno.ENOENT

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` where jemalloc is not loaded, or was built without statistics."""
        if not self._has_statistics:
            return None
        self._refresh()
        return AllocatorStatistics(
            self.name, live_bytes=self._read(_LIVE), held_bytes=self._read(_HELD), from_start=True
        )

    def release(self) -> None:
        """Purge every free page of every arena."""
        if self._mallctl is None:
            return
        # Without thread caches (tcache:false) there is none to flush, which is no failure.
        self._check(_FLUSH, expected=errno.EFAULT)
        self._check(_PURGE)

    def why_unavailable(self) -> str | None:
        """A jemalloc that keeps no statistics."""
        if self._mallctl is None or self._has_statistics:
            return None
        return "jemalloc was built without statistics"

    def _refresh(self) -> None:
        """Have it gather its figures, which stand still in between."""
        self._check(b"epoch", None, None, *self._new)

    def _read(self, name: bytes) -> int:
        self._check(name, *self._old)
        return self._value.value

    def _check(self, name: bytes, *arguments: object, expected: int = 0) -> None:
        code = self._code(name, *arguments)
        if code not in (0, expected):
            raise OSError(code, os.strerror(code), f"mallctl {name.decode()}")

    def _code(
        self,
        name: bytes,
        old: object = None,
        old_size: object = None,
        new: object = None,
        new_size: object = 0,
    ) -> int:
        assert self._mallctl is not None
        code: int = self._mallctl(name, old, old_size, new, new_size)
        return code
