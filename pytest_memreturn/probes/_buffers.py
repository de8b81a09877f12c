"""Memory for readings that is there before them, so that a reading shows nothing of itself."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field

from pytest_memreturn.probes._files import read_into

# A layout of 300 mappings is about 210 KB of smaps text, so that most processes fit at once.
_FIRST_SIZE_BYTES = 256 * 1024


class Buffer(mmap.mmap):
    """An anonymous mapping with a type of ours.

    By its type, who looks through all objects knows it for none of the program's: it was said to be
    what may own native memory.
    """

    __slots__ = ()


@dataclass(slots=True)
class ReusableBuffers:
    """Anonymous mappings of one size, touched whole when made, lent out and taken back.

    A ``bytes`` object per reading would come from malloc, where freeing one of a megabyte
    raises the threshold below which later blocks stay on the heap: the measuring would change
    what is measured.

    `held_bytes` is what all buffers take: resident whole, so that a reading can leave them out.
    """

    size_bytes: int = _FIRST_SIZE_BYTES
    held_bytes: int = 0
    _free: list[Buffer] = field(default_factory=list)

    def lend(self, length: int) -> Loan:
        """A buffer with room for `length` bytes; all become larger where one is too small."""
        self._grow_to(length)
        return Loan(self, self._free.pop() if self._free else self._make(), length)

    def read(self, path: str) -> Loan:
        """The whole of the file at `path`; raises `OSError`."""
        while True:
            text = self.lend(0)
            text.length = read_into(path, text.buffer)
            if text.length < len(text.buffer):
                return text
            self._grow_to(2 * len(text.buffer))

    def take_back(self, buffer: Buffer) -> None:
        """Keep `buffer` for the next reading, or let go of one that has become too small."""
        if len(buffer) == self.size_bytes:
            self._free.append(buffer)
        else:
            self._let_go(buffer)

    def _grow_to(self, least_bytes: int) -> None:
        if least_bytes <= self.size_bytes:
            return
        while self.size_bytes < least_bytes:
            self.size_bytes *= 2
        while self._free:
            self._let_go(self._free.pop())

    def _make(self) -> Buffer:
        buffer = Buffer(-1, self.size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for offset in range(0, self.size_bytes, mmap.PAGESIZE):
            buffer[offset] = 0
        self.held_bytes += self.size_bytes
        return buffer

    def _let_go(self, buffer: Buffer) -> None:
        self.held_bytes -= len(buffer)
        buffer.close()


@dataclass(slots=True, eq=False)
class Loan:
    """A buffer with `length` bytes of a reading in it; it goes back when nobody holds this."""

    _owner: ReusableBuffers
    buffer: Buffer
    length: int

    def __del__(self) -> None:
        self._owner.take_back(self.buffer)
