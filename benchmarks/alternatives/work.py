"""The work-loads, each with a known fate of its memory.

Not imported by the benchmarks: each fresh process has a copy beside its test. Whatever is kept
on purpose and replaced by the next call lies in `SLOT`, so that only leaks grow call by call.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import sys
import time
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path

import numpy as np

KIB = 1024
PAGE = mmap.PAGESIZE

KEPT: list[object] = []
SLOT: dict[str, object] = {}

_numbers = itertools.count()

# Shared memory brings a helper process and a pipe to it on first use: neither is what is left.
resource_tracker.ensure_running()

_blocks = ctypes.CDLL(os.environ["ALTERNATIVES_LIBRARY"])
take_block = _blocks.take_block
take_block.restype = ctypes.c_void_p
take_block.argtypes = [ctypes.c_size_t]
give_block = _blocks.give_block
give_block.restype = None
give_block.argtypes = [ctypes.c_void_p]

CHILD = """
import pathlib, sys, time
memory = bytearray(int(sys.argv[1]))
pathlib.Path(sys.argv[2]).touch()
time.sleep(600)
"""


def prepare(name: str) -> None:
    """What is there before the work of that name is watched."""
    if name == "takes_place":
        SLOT["old"] = b"x" * 40 * KIB * KIB


class Pins:
    """A small native block on every page, given back when the next call replaces them."""

    def __init__(self, pages: int) -> None:
        self.blocks = (ctypes.c_void_p * pages)()

    def __del__(self) -> None:
        for block in self.blocks:
            give_block(block)


def python_leak(amount: int) -> None:
    """Dicts go into a module global."""
    KEPT.append([{"number": number, "text": str(number) * 3} for number in range(amount // 300)])


def native_leak(amount: int) -> None:
    """A C library takes blocks of 1,000 bytes from malloc, and forgets them."""
    for _ in range(amount // 1_000):
        take_block(1_000)


def mapping_leak(amount: int) -> None:
    """A mapping is never closed."""
    mapping = mmap.mmap(-1, amount, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, amount, PAGE):
        mapping[offset] = 1
    KEPT.append(mapping)


def segment_left(amount: int) -> None:
    """Shared memory is closed and never unlinked."""
    name = f"{os.environ['ALTERNATIVES_TOKEN']}-{next(_numbers)}"
    segment = shared_memory.SharedMemory(name, create=True, size=amount)
    assert segment.buf is not None
    segment.buf[:amount] = bytes(amount)
    segment.close()


def child_left(amount: int) -> None:
    """A child process is started and nobody ends it."""
    ready = Path(f"ready-{next(_numbers)}")
    arguments = [sys.executable, "-c", CHILD, str(amount), str(ready)]
    os.posix_spawn(sys.executable, arguments, os.environ)
    while not ready.exists():
        time.sleep(0.01)


def held_by_malloc(amount: int) -> None:
    """Buffers are freed below a block that stays at the top of the heap."""
    buffers = [bytes(3_000) for _ in range(amount // 3_000)]
    SLOT["top"] = bytes(3_000)
    del buffers


def pinned_by_native(amount: int) -> None:
    """All is freed but 48 bytes on every page."""
    pages = amount // PAGE
    pins = Pins(pages)
    filling = (ctypes.c_void_p * pages)()
    for page in range(pages):
        pins.blocks[page] = take_block(48)
        filling[page] = take_block(PAGE - 64 - 16)
    for block in filling:
        give_block(block)
    SLOT["pins"] = pins


def pinned_by_python(amount: int) -> None:
    """Small objects are freed, and one of 2,000 stays in each of their arenas."""
    tuples = [(number, number / 2) for number in range(amount // 150)]
    SLOT["tuples"] = tuples[::2_000]
    del tuples


def reference_cycle(amount: int) -> None:
    """Buffers hang on a cycle that the next garbage collection frees."""
    cycle: list[object] = [bytearray(amount // 40) for _ in range(40)]
    cycle.append(cycle)


def lazily_freed(amount: int) -> None:
    """The pages of a mapping are the kernel's to take when it likes (MADV_FREE)."""
    mapping = mmap.mmap(-1, amount, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, amount, PAGE):
        mapping[offset] = 1
    mapping.madvise(mmap.MADV_FREE)
    SLOT["mapping"] = mapping


def never_touched(amount: int) -> None:
    """An array is reserved, and nobody has written to it yet."""
    SLOT["array"] = np.empty(amount, dtype=np.uint8)


def small_leak(amount: int) -> None:
    """A call leaks 64 bytes of malloc's."""
    for _ in range(amount // 64):
        take_block(64)


def small_leak_at_default(amount: int) -> None:
    """The same, where nobody has thought of a limit."""
    for _ in range(amount // 64):
        take_block(64)


def takes_place(amount: int) -> None:
    """What is kept takes the place of as much that was there before and is dropped."""
    SLOT.pop("old", None)
    KEPT.append(b"x" * amount)


def small_freed(amount: int) -> None:
    """A call takes 64 bytes of malloc's and gives them back."""
    for _ in range(amount // 64):
        give_block(take_block(64))


def first_use(amount: int) -> None:
    """The first call fills a cache, and no later one does."""
    if "cache" not in SLOT:
        SLOT["cache"] = [bytes(1_000) for _ in range(amount // 1_000)]


def come_and_go(amount: int) -> None:
    """Small objects are made and freed, with nothing else to do: what a tracer costs most in."""
    for _ in range(40):
        objects = [{"number": str(number)} for number in range(amount // 4_000)]
        del objects
