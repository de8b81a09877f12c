"""Pages that hold nothing but zeros, in memory of this process."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Iterator

import pytest

from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import zero_pages
from pytest_memreturn.probes.zero_pages import zero_bytes_by_block

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

PAGE, BLOCK = mmap.PAGESIZE, 2 * MIB
BLOCKS = 3


class Blocks:
    """Three blocks of 2 MiB on their boundary, of which nothing is resident yet."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.start = -(-begin // BLOCK) * BLOCK
        self.end = self.start + BLOCKS * BLOCK
        self._shift = self.start - begin
        # Page by page, or one touch would make a whole block resident.
        memory.madvise(mmap.MADV_NOHUGEPAGE)

    def touch(self, block: int, byte: int = 0) -> None:
        """Make a block resident, with this byte at the start of each of its pages."""
        for offset in range(block * BLOCK, (block + 1) * BLOCK, PAGE):
            self._memory[self._shift + offset] = byte

    def drop(self, offset: int) -> None:
        """Let go of the page there."""
        self._memory.madvise(mmap.MADV_DONTNEED, self._shift + offset, PAGE)

    def write(self, offset: int) -> None:
        """Put a one there."""
        self._memory[self._shift + offset] = 1


@pytest.fixture
def blocks() -> Iterator[Blocks]:
    """Memory of our own to look at."""
    size = (BLOCKS + 1) * BLOCK
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        yield Blocks(memory)


def test_pages_of_zeros_are_counted(blocks: Blocks) -> None:
    """All that is resident, but for the pages with a single other byte anywhere in them."""
    blocks.touch(0)
    blocks.touch(1)
    for offset in (0, 5 * PAGE + 17, 6 * PAGE - 1, BLOCK + 3 * PAGE - 1):
        blocks.write(offset)
    assert sum(zero_bytes_by_block(blocks.start, blocks.end)) == 2 * BLOCK - 3 * PAGE


def test_pages_that_were_written_to_are_not(blocks: Blocks) -> None:
    """One byte in each is enough."""
    blocks.touch(1, byte=1)
    assert sum(zero_bytes_by_block(blocks.start, blocks.end)) == 0


def test_what_is_not_resident_whole_is_no_huge_page(blocks: Blocks) -> None:
    """Looking at it makes nothing resident either."""
    blocks.touch(0)
    blocks.write(2 * BLOCK)
    for _ in range(2):
        assert sum(zero_bytes_by_block(blocks.start, blocks.end)) == BLOCK


@pytest.mark.parametrize(
    ("after_start", "before_end", "counted"),
    [
        (0, 0, 3 * BLOCK),
        (PAGE, 0, 3 * BLOCK - PAGE),
        (0, BLOCK - PAGE, 2 * BLOCK + PAGE),
        (BLOCK + PAGE, BLOCK + 2 * PAGE, BLOCK - 3 * PAGE),
        (BLOCK, 2 * BLOCK, 0),
    ],
)
def test_of_a_block_that_lies_there_in_part_only_that_part_counts(
    blocks: Blocks, after_start: int, before_end: int, counted: int
) -> None:
    """A huge page lies on its boundary, and what is new need not."""
    for block in range(BLOCKS):
        blocks.touch(block)
    found = sum(zero_bytes_by_block(blocks.start + after_start, blocks.end - before_end))
    assert found == counted


def test_a_part_of_a_block_that_is_not_resident_whole_does_not_count(blocks: Blocks) -> None:
    """Though all of the part is: its pages came one by one."""
    blocks.touch(0)
    blocks.drop(BLOCK - PAGE)
    assert sum(zero_bytes_by_block(blocks.start, blocks.start + BLOCK // 2)) == 0


def test_memory_that_is_gone_holds_nothing() -> None:
    """The kernel says so, and nothing crashes."""
    assert sum(zero_bytes_by_block(0, BLOCK)) == 0


def test_memory_that_goes_between_two_looks_is_passed_over(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was resident a moment ago may be unmapped now; the rest is still counted."""
    blocks.touch(1)
    monkeypatch.setattr(zero_pages, "_resident_blocks", lambda *_: [0, blocks.start + BLOCK])
    assert sum(zero_bytes_by_block(0, blocks.end)) == BLOCK


def test_a_block_that_is_half_gone_counts_half(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy of the block before it is not looked at again."""
    blocks.touch(0)
    blocks.touch(1)
    read = zero_pages._PREADV
    lengths = iter([BLOCK, BLOCK // 2])
    monkeypatch.setattr(zero_pages, "_PREADV", lambda *given: min(read(*given), next(lengths)))
    assert sum(zero_bytes_by_block(blocks.start, blocks.end)) == BLOCK + BLOCK // 2


def refuse(*arguments: object) -> int:
    """What the kernel does where memory may not be read."""
    raise PermissionError(arguments)


def test_memory_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could look: that is not the same as no zeros."""
    monkeypatch.setattr(zero_pages, "_OPEN", refuse)
    with pytest.raises(PermissionError):
        sum(zero_bytes_by_block(0, BLOCK))


def test_what_a_test_replaces_does_not_reach_the_look(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions of `os` are bound when the module is loaded; what was opened is closed."""
    blocks.touch(0)
    closed: list[int] = []
    real_close = zero_pages._CLOSE

    def watched_close(descriptor: int) -> None:
        closed.append(descriptor)
        real_close(descriptor)

    monkeypatch.setattr(zero_pages, "_CLOSE", watched_close)
    with monkeypatch.context() as replaced:
        for name in ("open", "preadv", "close"):
            replaced.setattr(os, name, refuse)
        found = sum(zero_bytes_by_block(blocks.start, blocks.end))
    assert found == BLOCK
    assert len(closed) == 1
