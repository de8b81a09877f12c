"""Where malloc's heaps are, in this process."""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys
import threading

import pytest

from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import malloc_heaps as room
from pytest_memreturn.probes._thread_heaps import HEADER
from pytest_memreturn.probes.malloc_heaps import MAIN, end_of, malloc_heaps
from pytest_memreturn.probes.own_memory import OwnMemory

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs"),
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's malloc"),
]


def test_the_main_heap_ends_at_the_program_break() -> None:
    """And begins where the kernel says."""
    main, *_ = malloc_heaps()
    assert (main.name, main.first_chunks) == (MAIN, (main.start,))
    assert main.start < main.end
    assert main.start < end_of(main)


def test_the_heap_of_a_thread_is_found() -> None:
    """Its first chunk lies behind the arena's own data, which tells its size nowhere."""
    block: list[int] = []
    took, may_end = threading.Event(), threading.Event()
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]

    def work() -> None:
        block.append(malloc(50_000))
        took.set()
        may_end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    took.wait()
    try:
        its = [one for one in malloc_heaps() if one.start < block[0] < one.end]
        assert len(its) == 1
        assert its[0].start % (64 * MIB) == 0
        assert end_of(its[0]) == its[0].end
        assert its[0].start < its[0].first_chunks[0] < its[0].first_chunks[-1] < its[0].end
    finally:
        may_end.set()
        thread.join()
        free = ctypes.CDLL(None).free
        free.argtypes = [ctypes.c_void_p]
        free(block[0])


def test_a_later_heap_of_an_arena_holds_no_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks begin right behind its header."""
    size = 256 * MIB
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        anchor = ctypes.c_char.from_buffer(memory)
        begin = ctypes.addressof(anchor)
        del anchor
        start = -(-begin // (64 * MIB)) * 64 * MIB
        first = start + 64 * MIB
        header = HEADER.pack(start + 0x30, 0, 8 * mmap.PAGESIZE, 8 * mmap.PAGESIZE)
        memory[start - begin : start - begin + len(header)] = header
        header = HEADER.pack(start + 0x30, start, 4 * mmap.PAGESIZE, 8 * mmap.PAGESIZE)
        memory[first - begin : first - begin + len(header)] = header
        spans = ((start, first), (first, first + MIB))
        maps = "".join(f"{one:x}-{other:x} rw-p 00000000 00:00 0 \n" for one, other in spans)
        monkeypatch.setattr(room, "read_by_lines", lambda _: iter([maps.encode()]))
        arena, later = malloc_heaps()
        assert (arena.start, arena.name) == (start, "thread heap 1")
        assert (later.start, later.end, later.name) == (
            first,
            first + 4 * mmap.PAGESIZE,
            "thread heap 2",
        )
        assert first + 0x30 in later.first_chunks
        assert max(later.first_chunks) < first + mmap.PAGESIZE
        assert min(arena.first_chunks) > start + 0x30 + 1000


def test_a_heap_that_goes_meanwhile_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at its header and the walk."""
    gone = 64 * MIB
    monkeypatch.setattr(room, "read_by_lines", lambda _: iter([b""]))
    monkeypatch.setattr(room, "thread_heaps", lambda _: {gone})
    with pytest.raises(OSError, match=r".+"):
        malloc_heaps()
    monkeypatch.setattr(OwnMemory, "read", lambda *_: b"12345678")
    with pytest.raises(OSError, match="nothing is mapped at the thread heap 1 any more"):
        malloc_heaps()
