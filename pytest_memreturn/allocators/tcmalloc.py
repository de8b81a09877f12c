"""The malloc of gperftools' tcmalloc, where it is loaded in place of the C library's."""

from __future__ import annotations

import ctypes

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._symbols import exported

_LIVE = b"generic.current_allocated_bytes"
_MAPPED = b"generic.heap_size"
_UNMAPPED = b"tcmalloc.pageheap_unmapped_bytes"


class Tcmalloc(Allocator):
    """Live bytes of tcmalloc, all threads together, and what it holds of the system.

    It grows the heap that is otherwise glibc's, which then has handed out nothing.
    """

    name = "tcmalloc"

    def __init__(self) -> None:
        self._get = exported("MallocExtension_GetNumericProperty")
        self._release = exported("MallocExtension_ReleaseFreeMemory")
        self._value = ctypes.c_size_t()
        self._target = ctypes.byref(self._value)
        if self._get is not None:
            self._get.restype = ctypes.c_int
            self._get.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
        if self._release is not None:
            self._release.restype = None
            self._release.argtypes = []

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` where tcmalloc is not loaded."""
        if self._get is None:
            return None
        return AllocatorStatistics(
            self.name,
            live_bytes=self._read(_LIVE),
            held_bytes=self._read(_MAPPED) - self._read(_UNMAPPED),
            from_start=True,
        )

    def release(self) -> None:
        """Hand back every free page."""
        if self._release is not None:
            self._release()

    def _read(self, name: bytes) -> int:
        assert self._get is not None
        if not self._get(name, self._target):
            raise ReadingUnavailableError(f"no property {name.decode()}")
        return self._value.value
