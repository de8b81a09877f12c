"""Chains of chunks, as malloc leaves them in memory."""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from pytest_memreturn.explain import chunks
from pytest_memreturn.explain.chunks import BATCH_BYTES, Chunks, NotAHeapError, walk_chunks
from pytest_memreturn.probes.own_memory import OwnMemory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

PAGE = mmap.PAGESIZE
BEFORE_IN_USE, OWN_MAPPING, THREADS = 1, 2, 4


@contextmanager
def image(words: Sequence[tuple[int, int]], size_bytes: int) -> Iterator[int]:
    """The address of so many bytes, with size words at these distances."""
    with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for distance, word in words:
            struct.pack_into("Q", memory, distance + 8, word)
        anchor = ctypes.c_char.from_buffer(memory)
        try:
            yield ctypes.addressof(anchor)
        finally:
            del anchor


def walk(start: int, end: int) -> Chunks:
    """What a walk finds there."""
    with OwnMemory(BATCH_BYTES) as memory:
        return walk_chunks(memory, start, end)


def chain(blocks: Sequence[tuple[int, bool]]) -> tuple[list[tuple[int, int]], int]:
    """Size words of neighbours, each with its size and whether it is live; and all their bytes."""
    words, at, before = [], 0, True
    for size, is_live in blocks:
        words.append((at, size | (BEFORE_IN_USE if before else 0)))
        at, before = at + size, is_live
    return words, at


def test_live_and_free_are_told_apart() -> None:
    """By the chunk behind each; the last one is the top, and free."""
    blocks = [
        (48, True),
        (5008, False),
        (64, True),
        (64, True),
        (9000 // 16 * 16, False),
        (32, True),
    ]
    words, size = chain([*blocks, (PAGE, False)])
    with image(words, size) as start:
        found = walk(start, start + size)
        assert found.count == len(blocks)
        assert found.live_sizes == {48: 1, 64: 2, 32: 1}
        assert found.free_bytes == 5008 + 8992 + PAGE
        assert found.live_bytes == 48 + 64 + 64 + 32
        top = start + size - PAGE
        large = start + 48 + 5008 + 64 + 64
        assert list(found.free_starts) == [start + 48, large, top]
        assert list(found.free_sizes) == [5008, 8992, PAGE]
        assert (found.start, found.end, found.is_whole) == (start, top + PAGE, True)


def test_a_chain_goes_on_from_batch_to_batch() -> None:
    """However long it is, and also where a block is larger than all that is read at once."""
    blocks = [(64, number % 3 != 0) for number in range(40_000)]
    blocks[20_000] = (3 * BATCH_BYTES, True)
    blocks[20_002] = (2 * BATCH_BYTES, False)
    # The other free ones are too small to be kept.
    words, size = chain([*blocks, (8192, False)])
    with image(words, size) as start:
        found = walk(start, start + size)
        assert found.count == len(blocks)
        live = [size for size, is_live in blocks if is_live]
        assert found.live_bytes == sum(live)
        assert found.live_sizes.total() == len(live)
        assert next(iter(found.free_starts)) == start + sum(size for size, _ in blocks[:20_002])


def test_flags_are_no_part_of_a_size() -> None:
    """A thread's arena marks its chunks."""
    with image([(0, 64 | BEFORE_IN_USE | THREADS), (64, PAGE | BEFORE_IN_USE)], PAGE + 64) as start:
        assert walk(start, start + PAGE + 64).live_sizes == {64: 1}


@pytest.mark.parametrize(
    ("fence", "live_bytes"),
    [
        pytest.param([(64, 16), (80, 1)], 32, id="behind a free chunk"),
        pytest.param([(64, 16 | 1), (80, 1)], 64 + 32, id="behind a live one"),
        pytest.param([(64, 1)], 64 + 16, id="a single one"),
    ],
)
def test_the_end_of_a_heap_that_was_left(fence: list[tuple[int, int]], live_bytes: int) -> None:
    """Where an arena went on in another heap stand headers that nobody can have."""
    words = [(0, 64 | 1), *fence]
    size = words[-1][0] + 16
    with image(words, size) as start:
        found = walk(start, start + size)
        assert (found.end - start, found.live_bytes) == (size, live_bytes)
        assert found.live_bytes + found.free_bytes == size


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([(0, 0)], id="zeros"),
        pytest.param([(0, 64 | 1), (64, 16 | 1)], id="a fence in the middle"),
        pytest.param([(0, 64 | 1), (64, 72 | 1)], id="half a unit"),
        pytest.param([(0, 64 | 1 | OWN_MAPPING)], id="a block with a mapping of its own"),
    ],
)
def test_what_is_no_heap_is_refused(words: list[tuple[int, int]]) -> None:
    """Nothing is read out of foreign memory, and nothing goes round in circles."""
    with image(words, 2 * PAGE) as start, pytest.raises(NotAHeapError):
        walk(start, start + 2 * PAGE)


def test_a_top_that_grew_meanwhile_ends_where_it_ends_now() -> None:
    """Whoever asked is to look whether that is an end."""
    with image([(0, 64 | 1), (64, 3 * PAGE - 64 | 1)], 3 * PAGE) as start:
        assert walk(start, start + 2 * PAGE).end == start + 3 * PAGE


def test_a_heap_that_grew_is_followed_to_where_it_ends_now() -> None:
    """Its old end lies within a page or a block by then: what a walk takes for itself moves it."""
    words, size = chain([(PAGE - 64, True), (128, True), (PAGE - 64, False)])
    with image(words, size) as start, OwnMemory(BATCH_BYTES) as memory:
        found = walk_chunks(memory, start, start + PAGE, end_now=lambda: start + size)
        assert (found.end, found.count) == (start + size, 2)
        assert found.live_sizes == {PAGE - 64: 1, 128: 1}
        # Not for ever: nobody knows what stands there.
        found = walk_chunks(memory, start, start + PAGE, end_now=lambda: start + PAGE)
        assert found.end == start + PAGE + 64


def test_a_top_that_was_handed_back_meanwhile() -> None:
    """Where nothing is mapped any more the heap ends."""
    with image([(0, 64 | 1), (64, PAGE - 64 | 1)], PAGE) as start:
        # Whatever lies behind, it is not readable: nobody maps the last page of all.
        with OwnMemory(BATCH_BYTES) as memory:
            found = walk_chunks(Cut(memory, start + PAGE), start, start + 4 * PAGE)
        assert found.end == start + PAGE
        assert found.free_bytes == PAGE - 64


class Cut(OwnMemory):
    """Memory of which nothing is mapped from some address on."""

    def __init__(self, memory: OwnMemory, end: int) -> None:
        self._memory, self._end = memory, end

    def fill(self, address: int, size_bytes: int) -> memoryview:
        """An error beyond the end, as from the kernel."""
        if address >= self._end:
            raise OSError
        return self._memory.fill(address, min(size_bytes, self._end - address))


def test_a_walk_may_run_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives what it has seen so far, and says that this is not all."""
    monkeypatch.setattr(chunks, "BATCH_BYTES", PAGE)
    words, size = chain([(64, True)] * 1000)
    answers = iter([False, True])
    with image(words, size) as start, OwnMemory(BATCH_BYTES) as memory:
        found = walk_chunks(memory, start, start + size, lambda: next(answers))
        assert not found.is_whole
        assert 0 < found.count < 1000
        assert found.end < start + size
        assert found.live_bytes == found.end - start
