"""Memory of this process, read where a crash is no risk: what is gone is an error."""

from __future__ import annotations

import mmap
import os
from types import TracebackType
from typing import Self

_OPEN, _CLOSE, _PREAD, _PREADV = os.open, os.close, os.pread, os.preadv


class OwnMemory:
    """``/proc/self/mem``, through one buffer. For use in a ``with`` statement.

    Raises `OSError` where that file cannot be opened, and for addresses that nothing is mapped at.
    """

    def __init__(self, buffer_bytes: int) -> None:
        self._buffer_bytes = buffer_bytes

    def __enter__(self) -> Self:
        self._descriptor = _OPEN("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        # A mapping of its own: what is read must not lie in the heap that is read.
        self._buffer = mmap.mmap(-1, self._buffer_bytes)
        self._view = memoryview(self._buffer)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._view.release()
        self._buffer.close()
        _CLOSE(self._descriptor)

    def read(self, address: int, size_bytes: int) -> bytes:
        """So many bytes from an address on, or fewer where what is mapped ends before."""
        return _PREAD(self._descriptor, size_bytes, address)

    def fill(self, address: int, size_bytes: int) -> memoryview:
        """What stands there, in the one buffer, until the next call; release it before that."""
        wanted = min(size_bytes, self._buffer_bytes)
        filled = _PREADV(self._descriptor, [self._view[:wanted]], address)
        return self._view[:filled]
