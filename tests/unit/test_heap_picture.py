"""Pictures of heaps, made of what a walk has found."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from pytest_memreturn._explanation import HeapPicture, PooledArenas, Region, SizeClass
from pytest_memreturn._sizes import MIB
from pytest_memreturn.explain.arenas import Arena
from pytest_memreturn.explain.chunks import Chunks
from pytest_memreturn.explain.heap_picture import picture_of
from pytest_memreturn.explain.heap_walk import HeapWalk, WalkedHeap
from pytest_memreturn.probes.malloc_heaps import MAIN, MallocHeap
from pytest_memreturn.probes.mapped_words import MappedWords

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it asks which pages are resident")

PAGE = mmap.PAGESIZE


@pytest.fixture
def memory() -> Iterator[tuple[mmap.mmap, int]]:
    """Thirty pages that nobody has touched, and where they begin."""
    with mmap.mmap(-1, 30 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as found:
        found.madvise(mmap.MADV_NOHUGEPAGE)
        anchor = ctypes.c_char.from_buffer(found)
        address = ctypes.addressof(anchor)
        del anchor
        yield found, address


def walk_of(start: int, end: int, free: list[tuple[int, int]], free_bytes: int) -> HeapWalk:
    """A walk through one heap that has these free chunks, and smaller ones besides."""
    starts, sizes = MappedWords(len(free)), MappedWords(len(free))
    starts.extend(begin for begin, _ in free)
    sizes.extend(stop - begin for begin, stop in free)
    found = Chunks(
        start,
        end,
        starts,
        sizes,
        live_bytes=end - start - free_bytes,
        free_bytes=free_bytes,
        live_sizes=Counter({32: 3, 48: 2, 64: 1, 5008: 1}),
    )
    heap = WalkedHeap(MallocHeap(MAIN, start, end, (start,)), found)
    return HeapWalk((heap,), heap.live_bytes, proven=True, partial=False, reason=None)


def test_free_memory_is_resident_or_given_back(memory: tuple[mmap.mmap, int]) -> None:
    """Page by page; a page that is shared with a live block never goes back."""
    found, start = memory
    for page in (0, 1, 2, 3, 7, 8, 9, 10, 20, 29):
        found[page * PAGE] = 1
    end = start + 30 * PAGE
    # From the middle of page 2 to that of page 8, and from page 10 on, less its first bytes.
    first = (start + 2 * PAGE + 2048, start + 8 * PAGE + 2048)
    second = (start + 10 * PAGE + 16, end)
    free_bytes = sum(stop - begin for begin, stop in (first, second)) + 96
    picture = picture_of(walk_of(start, end, [first, second], free_bytes), [])
    assert [(one.kind, one.address - start, one.bytes) for one in picture.regions] == [
        ("live", 0, 2 * PAGE + 2048),
        ("free", 2 * PAGE + 2048, 2 * PAGE - 2048),
        ("returned", 4 * PAGE, 3 * PAGE),
        ("free", 7 * PAGE, PAGE + 2048),
        ("live", 8 * PAGE + 2048, 2 * PAGE + 16 - 2048),
        ("free", 10 * PAGE + 16, PAGE - 16),
        ("returned", 11 * PAGE, 9 * PAGE),
        ("free", 20 * PAGE, PAGE),
        ("returned", 21 * PAGE, 8 * PAGE),
        ("free", 29 * PAGE, PAGE),
    ]
    assert {one.heap for one in picture.regions} == {MAIN}
    assert picture.returned_bytes == 20 * PAGE
    assert picture.free_bytes == free_bytes - 20 * PAGE
    assert picture.live_bytes + picture.free_bytes + picture.returned_bytes == 30 * PAGE
    assert (picture.proven, picture.partial, picture.arenas) == (True, False, None)
    assert picture.live_sizes == (
        SizeClass(32, 3, 96),
        SizeClass(64, 3, 160),
        SizeClass(8192, 1, 5008),
    )


def test_what_was_given_back_may_begin_with_the_free_stretch(
    memory: tuple[mmap.mmap, int],
) -> None:
    """Then nothing of it is resident before."""
    found, start = memory
    found[0] = 1
    picture = picture_of(
        walk_of(start, start + 3 * PAGE, [(start + PAGE, start + 3 * PAGE)], 2 * PAGE), []
    )
    assert [(one.kind, one.bytes) for one in picture.regions] == [
        ("live", PAGE),
        ("returned", 2 * PAGE),
    ]


def test_where_residency_is_not_told_free_is_free() -> None:
    """Of memory that is gone meanwhile."""
    start = 16 * PAGE
    free = [(start + PAGE, start + 3 * PAGE)]
    picture = picture_of(walk_of(start, start + 4 * PAGE, free, 2 * PAGE), [])
    assert [(one.kind, one.bytes) for one in picture.regions] == [
        ("live", PAGE),
        ("free", 2 * PAGE),
        ("live", PAGE),
    ]
    assert picture.regions[0] == Region(MAIN, "live", start, PAGE, PAGE)


def test_arenas_are_in_the_picture() -> None:
    """Also where malloc is another one."""
    arenas = [Arena(100, [MIB]), Arena(200, [5 * MIB])]
    assert picture_of(None, arenas) == HeapPicture(
        reason="another malloc serves in the place of glibc's",
        arenas=PooledArenas(MIB, (100, 200)),
    )


def test_a_heap_in_crumbs_is_a_picture_all_the_same() -> None:
    """Of no more regions than anybody can look at."""
    start = 16 * PAGE
    free = [(start + number * 4 * PAGE, start + (number * 4 + 3) * PAGE) for number in range(5000)]
    end = start + 5000 * 4 * PAGE
    picture = picture_of(walk_of(start, end, free, 5000 * 3 * PAGE), [])
    assert 0 < len(picture.regions) <= 200
    assert sum(one.bytes for one in picture.regions) == end - start
    assert sum(one.live_bytes for one in picture.regions) == 5000 * PAGE
