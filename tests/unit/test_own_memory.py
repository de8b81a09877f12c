"""Memory of this process, read through the kernel."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

import pytest

from pytest_memreturn.probes.own_memory import OwnMemory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")


def test_what_is_there_is_read() -> None:
    """As bytes, or into a buffer that is used again."""
    text = ctypes.create_string_buffer(b"some words")
    with OwnMemory(4) as memory:
        assert memory.read(ctypes.addressof(text), 10) == b"some words"
        with memory.fill(ctypes.addressof(text), 10) as found:
            assert bytes(found) == b"some"
        with memory.fill(ctypes.addressof(text) + 5, 3) as found:
            assert bytes(found) == b"wor"


def test_what_is_not_there_is_an_error() -> None:
    """And no crash."""
    with OwnMemory(64) as memory:
        with pytest.raises(OSError, match=r".+"):
            memory.read(mmap.PAGESIZE, 8)
        with pytest.raises(OSError, match=r".+"):
            memory.fill(mmap.PAGESIZE, 8)


def test_nothing_stays_open() -> None:
    """Neither a file nor a mapping."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with OwnMemory(mmap.PAGESIZE):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
