"""Work-loads with a known fate of their memory, each run in a process of its own.

Not collected with the suite: `test_workloads.py` beside this file names them one by one.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import logging
import mmap
import threading
import tracemalloc

import pytest

KIB = 1024
MIB = 1024 * KIB
PAGE = mmap.PAGESIZE

kept: list[object] = []

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def native_blocks(count: int, size_bytes: int) -> ctypes.Array[ctypes.c_void_p]:
    """Blocks taken from malloc by nobody but us, written to from end to end."""
    blocks = (ctypes.c_void_p * count)()
    for index in range(count):
        blocks[index] = libc.malloc(size_bytes)
        libc.memset(blocks[index], 1, size_bytes)
    return blocks


def test_everything_freed() -> None:
    """100 MiB of blocks of all sizes come and go."""
    blocks = [bytes(3_000) for _ in range(25_000)]
    large = bytearray(30 * MIB)
    del blocks, large


def test_freed_under_a_live_block_at_the_top() -> None:
    """60 MiB of small blocks are freed, and one that stays was taken last."""
    blocks = [bytes(3_000) for _ in range(20_000)]
    kept.append(bytes(3_000))
    del blocks


def test_much_freed_beside_a_live_block() -> None:
    """200 MiB are freed in blocks of a size that every allocator has a class for; one stays."""
    blocks = native_blocks(51_200, 4_096)
    for block in blocks[:-1]:
        libc.free(block)


def test_one_native_block_on_every_heap_page() -> None:
    """60 MiB are freed but for a block of 64 bytes on every page."""
    pages = 15_000
    pinning = (ctypes.c_void_p * pages)()
    filling = (ctypes.c_void_p * pages)()
    for page in range(pages):
        pinning[page] = libc.malloc(48)
        filling[page] = libc.malloc(PAGE - 64 - 16)
        libc.memset(filling[page], 1, PAGE - 64 - 16)
    for block in filling:
        libc.free(block)


def test_one_object_in_every_pymalloc_arena() -> None:
    """A million tuples go, one in 2,000 stays."""
    tuples = [(number,) for number in range(1_000_000)]
    kept.append(tuples[::2_000])
    del tuples


def test_python_leak_of_small_objects() -> None:
    """100,000 dicts go into a module global."""
    kept.append([{"number": number, "text": str(number) * 3} for number in range(100_000)])


def test_python_leak_of_buffers() -> None:
    """48 MiB of buffers go into a module global: Python's objects, malloc's memory."""
    kept.append([bytearray(5_000) for _ in range(10_000)])


def test_python_leak_into_an_old_hole() -> None:
    """A 20 MiB buffer stays in a part of the heap that was given back before the test."""
    kept.append(bytearray(20 * MIB))


def test_malloc_never_freed() -> None:
    """50 MiB are taken from malloc in blocks of 1,000 bytes and forgotten."""
    native_blocks(50_000, 1_000)


@pytest.fixture
def reserved_before() -> bytearray:
    """A large buffer that nobody has written to yet."""
    return bytearray(60 * MIB)


def test_malloc_never_freed_beside_a_reserved_buffer(reserved_before: bytearray) -> None:
    """4 MiB are taken from malloc and forgotten, while an old buffer has none of its pages."""
    assert reserved_before
    native_blocks(4_000, 1_000)


def test_large_malloc_never_freed() -> None:
    """50 MiB are taken from malloc in blocks that have a mapping each, and forgotten."""
    native_blocks(50, MIB)


def test_lazily_freed_mapping() -> None:
    """50 MiB of a mapping are given to the kernel to take when it likes."""
    mapping = mmap.mmap(-1, 50 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(mapping), PAGE):
        mapping[offset] = 1
    mapping.madvise(mmap.MADV_FREE)
    kept.append(mapping)


def test_mapping_kept() -> None:
    """A mapping of 50 MiB that no allocator knows stays."""
    mapping = mmap.mmap(-1, 50 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(mapping), PAGE):
        mapping[offset] = 1
    kept.append(mapping)


def test_untouched_block() -> None:
    """200 MiB are taken and never written to: no memory of the machine was used."""
    kept.append(libc.malloc(200 * MIB))


def test_reference_cycle() -> None:
    """40 MiB hang on a reference cycle, which only the garbage collector can free."""
    cycle: list[object] = [bytearray(MIB) for _ in range(40)]
    cycle.append(cycle)


def test_small_objects_come_and_go() -> None:
    """60 MiB of small objects fill pymalloc's arenas and go."""
    objects = [{"number": str(number), "pair": (number,)} for number in range(200_000)]
    del objects


def test_cycles_of_small_objects_come_and_go() -> None:
    """50 MiB of small objects that refer to each other wait for the garbage collector."""
    for folder in range(4_000):
        parent: dict[str, object] = {}
        parent["files"] = [{"parent": parent, "name": str(folder * n)} for n in range(50)]


async def await_futures() -> None:
    """Leave objects on the free list that asyncio keeps."""
    loop = asyncio.get_running_loop()
    for _ in range(5):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


def test_leak_beside_asyncio() -> None:
    """A leak is explained in a process whose asyncio is used before and after."""
    asyncio.run(await_futures())
    kept.append(bytearray(20 * MIB))


def teardown_function(function: object) -> None:
    """Go on with what the explanation may have touched."""
    if function is test_leak_beside_asyncio:
        asyncio.run(await_futures())
        gc.collect()


def test_tracemalloc_starts() -> None:
    """A tracer begins inside the window, and pymalloc's statistics end."""
    tracemalloc.start()


def test_thread_arenas_freed() -> None:
    """Four threads that live on have freed all they took, 24 MiB each, but the last block."""
    full = threading.Barrier(5)
    freed = threading.Barrier(5)
    over = threading.Event()

    def work() -> None:
        blocks = native_blocks(8_000, 3_000)
        full.wait()
        # With nothing above it, the room might go back by itself: CPython 3.14 on glibc 2.43
        # puts nothing there of its own, and all of it did.
        for block in blocks[:-1]:
            libc.free(block)
        freed.wait()
        over.wait()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    full.wait()
    freed.wait()
    kept.append(over)


def test_a_spike_of_30_mib() -> None:
    """30 MiB are there for a moment only."""
    spike = bytearray(30 * MIB)
    del spike


def test_native_leak_into_resident_holes() -> None:
    """40 MiB of native blocks fill holes whose pages live blocks beside them keep resident."""
    kept.append(native_blocks(40_000, 1_000))


def test_buffers_leak_into_resident_holes() -> None:
    """40 MiB of buffers fill holes whose pages live blocks beside them keep resident."""
    kept.append([bytes(950) for _ in range(40_000)])


def test_objects_leak_into_resident_arenas() -> None:
    """Small objects fill arenas that older objects keep."""
    kept.append([(number,) for number in range(300_000)])


def test_large_untouched_block_beside_holes() -> None:
    """200 MiB are taken and never written to, in a heap full of resident holes."""
    kept.append(libc.malloc(200 * MIB))


def test_holes_are_used_and_left() -> None:
    """What filled resident holes is freed again."""
    blocks = native_blocks(40_000, 1_000)
    for block in blocks:
        libc.free(block)


def test_stacks_of_threads() -> None:
    """Eight threads that live on have each once used 4 MiB of their stack."""
    over = threading.Event()
    used = threading.Barrier(9)

    def work() -> None:
        attributes = ctypes.create_string_buffer(64)
        lowest, size = ctypes.c_void_p(), ctypes.c_size_t()
        libc.pthread_self.restype = ctypes.c_void_p
        libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes)
        libc.pthread_attr_getstack(attributes, ctypes.byref(lowest), ctypes.byref(size))
        # The far end, which nothing has reached yet.
        libc.memset(lowest, 1, 4 * MIB)
        used.wait()
        over.wait()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    used.wait()
    kept.append(over)


def test_huge_pages_for_a_few_bytes() -> None:
    """One byte is written in each 2 MiB of a mapping that asked for huge pages."""
    mapping = mmap.mmap(-1, 60 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_HUGEPAGE)
    for offset in range(0, len(mapping), 2 * MIB):
        mapping[offset] = 1
    kept.append(mapping)


def test_holes_filled_by_huge_pages() -> None:
    """The kernel is asked to do at once what it does in its own time for huge pages."""
    addresses = [pin for pin in kept if isinstance(pin, int)]
    huge_page, collapse = 2 * MIB, 25  # MADV_COLLAPSE, from Linux 6.1 on
    first = -(-min(addresses) // huge_page) * huge_page
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    # The kernel refuses one whose pages are in use elsewhere at that moment, and a test is not
    # come upon with more than a few.
    blocks = range(first, max(addresses) - huge_page + 1, huge_page)
    filled = (start for start in blocks if libc.madvise(start, huge_page, collapse) == 0)
    assert len([*itertools.islice(filled, 4)]) == 4


def test_log_records() -> None:
    """20 MiB of log messages, which pytest keeps for its report."""
    for number in range(1_000):
        logging.getLogger("workload").warning("%s", f"{number}" + "x" * 10_000)


@pytest.fixture(scope="session")
def connection_pool() -> list[bytearray]:
    """40 MiB that live as long as the session."""
    return [bytearray(5_000) for _ in range(8_000)]


def test_session_fixture_inside(request: pytest.FixtureRequest) -> None:
    """A session fixture is first set up in the window, and the test keeps nothing."""
    assert len(request.getfixturevalue("connection_pool")) == 8_000


def test_leak_beside_session_fixture(request: pytest.FixtureRequest) -> None:
    """A session fixture is first set up in the window, and the test keeps 20 MiB besides."""
    kept.append(bytearray(10 * MIB))
    assert len(request.getfixturevalue("connection_pool")) == 8_000
    kept.append(bytearray(10 * MIB))


def setup_function(function: object) -> None:
    """Leave holes in the heap before the tests that need them."""
    if function is test_python_leak_into_an_old_hole:
        blocks = [bytes(3_000) for _ in range(20_000)]
        kept.append(bytes(3_000))
        del blocks
    elif function in {
        test_native_leak_into_resident_holes,
        test_buffers_leak_into_resident_holes,
        test_large_untouched_block_beside_holes,
        test_holes_are_used_and_left,
    }:
        # Holes of 1,056 bytes between blocks that stay: no page can go back.
        holes = (ctypes.c_void_p * 50_000)()
        for number in range(len(holes)):
            holes[number] = libc.malloc(1_040)
            libc.memset(holes[number], 1, 1_040)
            kept.append(libc.malloc(100))
        for hole in holes:
            libc.free(hole)
    elif function is test_holes_filled_by_huge_pages:
        # 64 KiB that go back between pages that stay.
        holes = (ctypes.c_void_p * 256)()
        for number in range(len(holes)):
            holes[number] = libc.malloc(64 * KIB)
            libc.memset(holes[number], 1, 64 * KIB)
            kept.append(libc.malloc(5_000))
        for hole in holes:
            libc.free(hole)
    elif function is test_objects_leak_into_resident_arenas:
        tuples = [(number,) for number in range(1_000_000)]
        kept.append(tuples[::2_000])
