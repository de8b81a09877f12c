"""Files of the kernel: reading and writing them.

The functions of `os` are bound here when this module is loaded: a test that replaces
``os.open`` or ``os.read`` for its own ends, and has not put it back when its window closes,
must not reach the readings.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_OPEN, _CLOSE, _READ, _WRITE, _READV = os.open, os.close, os.read, os.write, os.readv

# More than any status file has: one read gets it whole.
_SMALL_BYTES = 16 * 1024


def read_small(path: str) -> bytes:
    """The first 16 KiB of a file; raises `OSError`."""
    descriptor = _OPEN(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _READ(descriptor, _SMALL_BYTES)
    finally:
        _CLOSE(descriptor)


def read_whole(path: str) -> bytes:
    """A file of the kernel to its end; raises `OSError`.

    One read gives a page at most of a file that the kernel makes up line by line.
    """
    descriptor = _OPEN(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = chunk = _READ(descriptor, _SMALL_BYTES)
        while chunk:
            chunk = _READ(descriptor, _SMALL_BYTES)
            text += chunk
        return text
    finally:
        _CLOSE(descriptor)


def read_by_lines(path: str) -> Iterator[bytes]:
    """A file of any length, in whole lines, some KiB at a time; raises `OSError`.

    For what is read while a window is still to be judged: the text of a whole layout, put
    together in malloc's memory and freed, left 3 MiB in the heap that counted as the test's.
    """
    descriptor = _OPEN(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        begun = b""
        while chunk := _READ(descriptor, _SMALL_BYTES):
            lines, newline, begun = (begun + chunk).rpartition(b"\n")
            yield lines + newline
        yield begun
    finally:
        _CLOSE(descriptor)


def read_into(path: str, buffer: mmap.mmap) -> int:
    """Fill `buffer` from a file; how many bytes of it fitted. Raises `OSError`."""
    descriptor = _OPEN(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        length = 0
        with memoryview(buffer) as view:
            while length < len(buffer):
                with view[length:] as rest:
                    count = _READV(descriptor, [rest])
                if count == 0:
                    break
                length += count
        return length
    finally:
        _CLOSE(descriptor)


def write_small(path: str, data: bytes) -> None:
    """Hand `data` to a file in one write; raises `OSError`."""
    descriptor = _OPEN(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        _WRITE(descriptor, data)
    finally:
        _CLOSE(descriptor)


def unreadable(path: str, error: OSError) -> ReadingUnavailableError:
    """The error that becomes the reason of a record, for a file that could not be read."""
    return ReadingUnavailableError(f"cannot read {path}: {error.strerror or error}")
