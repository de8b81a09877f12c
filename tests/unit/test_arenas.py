"""Arenas of CPython's small-object allocator, found by the headers of their pools."""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Iterator

import pytest

from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.explain.arenas import ARENA_BYTES, POOL_BYTES, find_arenas

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

HEADER = struct.Struct("I4x3Q4I")


def header(
    used: int = 3,
    arena: int = 0,
    size_class: int = 1,
    next_offset: int = 80,
    last: int | None = None,
) -> bytes:
    """The header of a pool of blocks of 32 bytes, three of them in use."""
    last = POOL_BYTES - (size_class + 1) * 16 if last is None else last
    return HEADER.pack(used, 0, 0, 0, arena, size_class, next_offset, last)


@pytest.fixture
def memory() -> Iterator[tuple[mmap.mmap, int]]:
    """Two mebibytes, and where the first pool may begin in them."""
    with mmap.mmap(-1, 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as found:
        anchor = ctypes.c_char.from_buffer(found)
        address = ctypes.addressof(anchor)
        del anchor
        yield found, address


def put(memory: tuple[mmap.mmap, int], pool: int, written: bytes) -> int:
    """Write at the start of the pool of that number; gives its address."""
    found, address = memory
    distance = -address % POOL_BYTES + pool * POOL_BYTES
    found[distance : distance + len(written)] = written
    return address + distance


def test_pools_belong_to_arenas(memory: tuple[mmap.mmap, int]) -> None:
    """By the number in their headers, wherever they lie; by address."""
    high = [put(memory, 50, header(used=10, arena=0)), put(memory, 51, header(used=0, arena=0))]
    low = [put(memory, 3, header(used=1, arena=7, size_class=31))]
    start = memory[1]
    found = find_arenas([(start, start + 2 * MIB)])
    assert found is not None
    assert [(one.live_bytes, one.pools, one.address) for one in found] == [
        (512, low, low[0]),
        (320, high, high[0]),
    ]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(bytes(48), id="zeros"),
        pytest.param(b"\xff" * 48, id="ones"),
        pytest.param(header(size_class=32), id="a size that pymalloc does not serve"),
        pytest.param(header(last=POOL_BYTES - 16), id="the last block of another size"),
        pytest.param(header(next_offset=32), id="a block inside the header"),
        pytest.param(header(next_offset=POOL_BYTES + 1), id="a block outside"),
        pytest.param(header(used=600), id="more blocks than fit"),
    ],
)
def test_what_is_no_pool_is_passed_over(memory: tuple[mmap.mmap, int], written: bytes) -> None:
    """Other people's data may be anything."""
    put(memory, 1, written)
    assert find_arenas([(memory[1], memory[1] + 2 * MIB)]) == []


def test_memory_that_is_gone_has_no_pools(memory: tuple[mmap.mmap, int]) -> None:
    """Neither where nothing is mapped any more, nor where only the beginning of a header is."""
    put(memory, 5, header())
    start = memory[1]
    nowhere = 4 * KIB
    found = find_arenas([(nowhere, nowhere + MIB), (start, start + 2 * MIB)])
    assert found is not None
    assert len(found) == 1


def test_a_look_may_run_out_of_time(memory: tuple[mmap.mmap, int]) -> None:
    """Then it tells nothing: half of the arenas would look like all."""
    start = memory[1]
    assert find_arenas([(start, start + 2 * MIB)], lambda: True) is None
    assert ARENA_BYTES == MIB
