"""Which mappings are thread heaps of malloc, told by their first words."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import _thread_heaps
from pytest_memreturn.probes._smaps import ARENA_ALIGNMENT
from pytest_memreturn.probes._thread_heaps import is_heap_header, thread_heaps

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

PAGE = mmap.PAGESIZE
# Somewhere, on the boundary.
HEAP = 0x7F1000000000
FIRST_HEAP = (HEAP + 0x30, 0, 33 * PAGE, 33 * PAGE)


@pytest.mark.parametrize(
    ("header", "is_heap"),
    [
        pytest.param(FIRST_HEAP, True, id="the first heap of an arena"),
        pytest.param(
            (HEAP + 0x30, HEAP, 64 * PAGE, ARENA_ALIGNMENT), True, id="a later heap, opened whole"
        ),
        pytest.param((0, 0, 0, 0), False, id="untouched memory"),
        pytest.param((HEAP, 0, 33 * PAGE, 33 * PAGE), False, id="an arena on the boundary itself"),
        pytest.param((HEAP + PAGE, 0, PAGE, PAGE), False, id="an arena beyond the first page"),
        pytest.param((HEAP + 0x30, HEAP + 8, PAGE, PAGE), False, id="a heap off the boundary"),
        pytest.param((HEAP + 0x30, 0, 0, PAGE), False, id="nothing in use"),
        pytest.param((HEAP + 0x30, 0, 2 * PAGE, PAGE), False, id="more in use than opened"),
        pytest.param(
            (HEAP + 0x30, 0, PAGE, ARENA_ALIGNMENT + PAGE), False, id="larger than a heap can be"
        ),
        pytest.param((HEAP + 0x30, 0, PAGE + 8, 2 * PAGE), False, id="a part of a page in use"),
        pytest.param((HEAP + 0x30, 0, PAGE, 2 * PAGE + 8), False, id="a part of a page opened"),
        pytest.param((2**64 - 1,) * 4, False, id="all ones"),
    ],
)
def test_the_beginning_of_a_heap(header: tuple[int, int, int, int], *, is_heap: bool) -> None:
    """An arena near its start, the heap before it, and whole pages in use."""
    assert is_heap_header(*header) == is_heap


@contextmanager
def piece_on_the_boundary(header: tuple[int, int, int, int]) -> Iterator[int]:
    """The address of memory where malloc might have put a heap, with these words in it."""
    with mmap.mmap(-1, 2 * ARENA_ALIGNMENT, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        start = -(-begin // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
        memory[start - begin : start - begin + 32] = struct.pack("4Q", *header)
        yield start


@linux_only
def test_memory_is_asked_what_it_is() -> None:
    """Other allocators map large pieces on the boundary as well."""
    with (
        piece_on_the_boundary(FIRST_HEAP) as heap,
        piece_on_the_boundary((1, 2, 3, 4)) as other,
        piece_on_the_boundary((0, 0, 0, 0)) as untouched,
    ):
        assert thread_heaps([other, heap, untouched]) == {heap}


@linux_only
def test_memory_that_is_gone_is_no_heap() -> None:
    """A thread may end between the layout and the look."""
    with piece_on_the_boundary(FIRST_HEAP) as heap:
        unmapped = PAGE  # no program has its first pages
        assert thread_heaps([unmapped, heap]) == {heap}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has such heaps")
@pytest.mark.skipif(
    bool({"MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"} & set(os.environ)),
    reason="threads may have no heaps of their own here",
)
def test_a_heap_of_a_thread_is_one() -> None:
    """What malloc gives to a second thread lies in a heap whose beginning is as expected."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    found: list[frozenset[int]] = []
    blocks: list[int] = []

    def allocate() -> None:
        block = libc.malloc(10_000)
        blocks.append(block - block % ARENA_ALIGNMENT)
        found.append(thread_heaps(blocks))
        libc.free(block)

    thread = threading.Thread(target=allocate)
    thread.start()
    thread.join()
    assert found == [frozenset(blocks)]


def refuse(*arguments: object) -> int:
    """What the kernel does where memory may not be read."""
    raise PermissionError(arguments)


def test_without_candidates_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most processes have no mapping on the boundary."""
    monkeypatch.setattr(_thread_heaps, "_OPEN", refuse)
    assert thread_heaps(iter(())) == frozenset()


def test_memory_that_cannot_be_read_has_no_heaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardened kernels keep a process from its own memory file."""
    monkeypatch.setattr(_thread_heaps, "_OPEN", refuse)
    assert thread_heaps([HEAP]) == frozenset()


@linux_only
def test_a_header_cut_short_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four words or nothing."""
    monkeypatch.setattr(_thread_heaps, "_PREAD", lambda *_: struct.pack("3Q", *FIRST_HEAP[:3]))
    assert thread_heaps([HEAP]) == frozenset()


@linux_only
def test_looking_leaves_no_descriptor_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the memory could be read or not; and no function that a test replaced is used."""
    opened, closed = [], []

    def watched_open(path: str, flags: int) -> int:
        opened.append(real_open(path, flags))
        return opened[-1]

    def watched_close(descriptor: int) -> None:
        closed.append(descriptor)
        real_close(descriptor)

    real_open, real_close = _thread_heaps._OPEN, _thread_heaps._CLOSE
    monkeypatch.setattr(_thread_heaps, "_OPEN", watched_open)
    monkeypatch.setattr(_thread_heaps, "_CLOSE", watched_close)
    with piece_on_the_boundary(FIRST_HEAP) as heap, monkeypatch.context() as replaced:
        for name in ("open", "pread", "close"):
            replaced.setattr(os, name, refuse)
        found = thread_heaps([PAGE, heap, heap + MIB])
    assert found == {heap}
    assert opened == closed
    assert len(opened) == 1
