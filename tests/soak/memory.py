"""Memory of known kinds, written to from end to end so that it is resident."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

KIB = 1024
MIB = 1024 * KIB
PAGE = mmap.PAGESIZE

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


class Node:
    """Refers to itself, so that only the garbage collector can drop it."""

    def __init__(self, size_bytes: int) -> None:
        """Hold a buffer of `size_bytes`."""
        self.me = self
        self.buffer = written(size_bytes)


def written(size_bytes: int) -> bytearray:
    """A buffer whose pages are all there; `bytearray(n)` alone may lie on pages of nobody."""
    return bytearray(b"x") * size_bytes


def leave_cycles(size_bytes: int, node_bytes: int = 20_000) -> None:
    """Garbage that only a collection drops."""
    for _ in range(max(1, size_bytes // node_bytes)):
        Node(node_bytes)


def small_objects(size_bytes: int) -> list[tuple[float]]:
    """Tuples with a number each: 48 and 24 bytes, which pymalloc rounds up to 48 and 32."""
    return [(number + 0.5,) for number in range(size_bytes // 72)]


def chain(size_bytes: int, onto: object = None) -> object:
    """As many tuples of 56 bytes with a number of 24, each of which holds the one before it."""
    for number in range(size_bytes // 96):
        onto = (onto, number + 0.5)
    return onto


def native_block(size_bytes: int) -> int:
    """One block of malloc's that no Python object owns."""
    address = libc.malloc(size_bytes)
    libc.memset(address, 1, size_bytes)
    return int(address)


def native_blocks(size_bytes: int, block_bytes: int) -> ctypes.Array[ctypes.c_void_p]:
    """Many of them."""
    blocks = (ctypes.c_void_p * (size_bytes // block_bytes))()
    for index in range(len(blocks)):
        blocks[index] = native_block(block_bytes)
    return blocks


def free_blocks(blocks: ctypes.Array[ctypes.c_void_p]) -> None:
    """Hand them back to malloc."""
    for block in blocks:
        libc.free(block)


def address_space_bytes() -> int:
    """What this process has mapped."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * PAGE


def mapping(size_bytes: int) -> mmap.mmap:
    """Private memory of no allocator."""
    found = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    touch(found)
    return found


def touch(found: mmap.mmap) -> None:
    """Write to every page of it."""
    for offset in range(0, len(found), PAGE):
        found[offset] = 1
