"""How much of a block is resident, on memory of this process."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator

import pytest

from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import residency
from pytest_memreturn.probes.residency import resident_bytes, resident_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mincore is asked in Linux's way")

PAGE = mmap.PAGESIZE


@pytest.fixture
def block() -> Iterator[tuple[mmap.mmap, int]]:
    """Memory that nobody has touched yet, and its address."""
    memory = mmap.mmap(-1, 80 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    first = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(first)
    del first
    yield memory, address
    memory.close()


def test_of_an_untouched_block_nothing_is_resident(block: tuple[mmap.mmap, int]) -> None:
    """It is mapped, and that is all."""
    assert resident_bytes(block[1], 80 * MIB) == 0


def test_pages_are_counted_that_were_written(block: tuple[mmap.mmap, int]) -> None:
    """In a block of more pages than are asked for at once."""
    memory, address = block
    for page in (0, 5, 17_000, 80 * MIB // PAGE - 1):
        memory[page * PAGE] = 1
    assert resident_bytes(address, 80 * MIB) == 4 * PAGE
    assert resident_bytes(address + 4 * PAGE, PAGE) == 0
    assert resident_bytes(address + 5 * PAGE, PAGE) == PAGE


def test_a_block_has_no_more_than_its_size(block: tuple[mmap.mmap, int]) -> None:
    """Its first and its last page may hold something else as well."""
    memory, address = block
    memory[0] = memory[PAGE] = 1
    assert resident_bytes(address + 100, 50) == 50
    assert resident_bytes(address + PAGE - 10, 20) == 20


def test_where_nobody_tells_all_of_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that is named with too many bytes is better than one that is missed."""
    monkeypatch.setattr(residency, "mincore", lambda: lambda *_: -1)
    assert resident_bytes(0, 5 * MIB) == 5 * MIB


def test_nothing_has_no_pages() -> None:
    """The kernel is not asked."""
    assert resident_pages(4096, 4096) == bytearray()
