"""Reads a generated file into memory that is there before the reading, so that reading it shows
nothing of itself."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field

# A layout of 300 mappings is about 210 KB of smaps text, so that most processes fit at once.
_FIRST_SIZE_BYTES = 256 * 1024


@dataclass(slots=True)
class ReusableBuffers:
    """Anonymous mappings that are touched whole when made, lent out and taken back.

    A ``bytes`` object per reading would come from malloc, where freeing one of a megabyte
    raises the threshold below which later blocks stay on the heap: the measuring would change
    what is measured.
    """

    _free: list[mmap.mmap] = field(default_factory=list)

    def reserve(self, count: int) -> None:
        """Have `count` buffers ready, all as large as the largest, so that reading makes none."""
        size = max((len(buffer) for buffer in self._free), default=_FIRST_SIZE_BYTES)
        while len(self._free) < count:
            self._free.append(_touched(size))

    def lend(self, length: int) -> Text:
        """A buffer with room for `length` bytes."""
        for index, buffer in enumerate(self._free):
            if len(buffer) >= length:
                return Text(self, self._free.pop(index), length)
        return Text(self, _touched(length), length)

    def read(self, path: str) -> Text:
        """The whole of the file at `path`; raises `OSError`."""
        size = _FIRST_SIZE_BYTES
        while True:
            text = self.lend(size)
            text.length = _read_into(path, text.buffer)
            size = len(text.buffer)
            if text.length < size:
                return text
            text.buffer.close()
            size *= 2

    def take_back(self, buffer: mmap.mmap) -> None:
        """Keep `buffer` for the next reading, the largest last."""
        if not buffer.closed:
            self._free.append(buffer)
            self._free.sort(key=len)


@dataclass(slots=True)
class Text:
    """What one reading gave; the buffer goes back to its owner when nobody holds this any more."""

    _owner: ReusableBuffers
    buffer: mmap.mmap
    length: int

    def __del__(self) -> None:
        self._owner.take_back(self.buffer)


def _touched(size_bytes: int) -> mmap.mmap:
    buffer = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, size_bytes, mmap.PAGESIZE):
        buffer[offset] = 0
    return buffer


def _read_into(path: str, buffer: mmap.mmap) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        length = 0
        with memoryview(buffer) as view:
            while length < len(buffer):
                with view[length:] as rest:
                    count = os.readv(descriptor, [rest])
                if count == 0:
                    break
                length += count
        return length
    finally:
        os.close(descriptor)
