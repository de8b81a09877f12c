"""Bodies that do real work of 0.1 to 20 MiB, then give everything back.

Those that fill more than some hundred KiB of malloc's heap are judged at the gate `trim`: once
a large block was freed, malloc keeps tens of MiB at the top of its heap, by right or by wrong,
and at the gate `collect` that would be retained.
"""

from __future__ import annotations

import asyncio
import base64
import bz2
import collections
import contextlib
import csv
import ctypes
import dataclasses
import decimal
import functools
import gc
import hashlib
import heapq
import io
import itertools
import json
import mmap
import os
import pickle
import queue
import re
import socket
import sqlite3
import string
import subprocess
import tempfile
import threading
import weakref
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np

from .body import Body, Work, nothing
from .memory import (
    KIB,
    MIB,
    PAGE,
    chain,
    free_blocks,
    leave_cycles,
    mapping,
    native_blocks,
    written,
)

CLEAN: list[Body] = [Body("nothing", nothing, "returned")]


def clean(
    *, trim: bool = False, is_open_in_malloc: bool = False
) -> collections.abc.Callable[[Work], Work]:
    """Add a function to the bodies, by its name."""

    def add(work: Work) -> Work:
        name = getattr(work, "__name__", "")
        name = name.removesuffix("_")
        CLEAN.append(Body(name, work, "returned", trim=trim, is_open_in_malloc=is_open_in_malloc))
        return work

    return add


def rows(rng: Random, count: int) -> list[dict[str, object]]:
    """Records as a program would have them."""
    return [
        {"id": number, "name": f"name-{rng.randrange(10**9)}", "share": rng.random()}
        for number in range(count)
    ]


@clean(trim=True)
def json_(rng: Random) -> None:
    """Write and read records."""
    found = rows(rng, rng.randrange(200, 4_000))
    assert json.loads(json.dumps(found)) == found


@clean(trim=True)
def json_large(rng: Random) -> None:
    """The same with texts that no small-object allocator takes."""
    found = [{"text": "x" * 700, "row": row} for row in rows(rng, rng.randrange(2_000, 8_000))]
    assert len(json.loads(json.dumps(found))) == len(found)


@clean(trim=True)
def re_(rng: Random) -> None:
    """Find words in a text."""
    words = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(300)]
    text = " ".join(rng.choices(words, k=rng.randrange(1_000, 20_000)))
    assert sum(1 for _ in re.finditer(r"\b(\w)\w+\b", text)) >= 1_000
    assert re.sub(r"\s+", "", text).isalpha()


@clean(trim=True)
def sqlite_in_memory(rng: Random) -> None:
    """A database of 0.2 to 6 MiB."""
    count = rng.randrange(200, 6_000)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (number integer primary key, text text)")
        connection.executemany(
            "insert into t (text) values (?)", (("x" * 900,) for _ in range(count))
        )
        (found,) = connection.execute("select count(*) from t where text like 'x%'").fetchone()
    assert found == count


@clean()
def sqlite_file(rng: Random) -> None:
    """A small database on disk."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.closing(sqlite3.connect(Path(folder) / "db")) as connection, connection:
            connection.execute("create table t (number integer)")
            numbers = [(rng.randrange(1_000),) for _ in range(500)]
            connection.executemany("insert into t values (?)", numbers)
            (total,) = connection.execute("select sum(number) from t").fetchone()
        assert total == sum(number for (number,) in numbers)


@clean()
def threads(rng: Random) -> None:
    """Four threads share work by a queue."""
    tasks: queue.Queue[bytes | None] = queue.Queue()
    digests: list[str] = []

    def work() -> None:
        while (one := tasks.get()) is not None:
            digests.append(hashlib.sha256(zlib.compress(one)).hexdigest())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(20):
        tasks.put(rng.randbytes(10_000))
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()
    assert len(digests) == 20


@clean()
def thread_pool(rng: Random) -> None:
    """A pool of threads sums numbers."""
    with ThreadPoolExecutor(3) as pool:
        sums = pool.map(lambda count: sum(range(count)), [rng.randrange(5_000) for _ in range(30)])
        assert len(list(sums)) == 30


@clean()
def asyncio_(rng: Random) -> None:
    """Tasks that pass buffers through a queue."""

    async def produce(to: asyncio.Queue[bytes]) -> None:
        for _ in range(20):
            await to.put(rng.randbytes(rng.randrange(100, 4_000)))
            await asyncio.sleep(0)

    async def main() -> int:
        passed: asyncio.Queue[bytes] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(produce(passed))
        return passed.qsize()

    assert asyncio.run(main()) == 160


@clean()
def asyncio_server(rng: Random) -> None:
    """A connection over a socket on this machine."""
    payload = rng.randbytes(rng.randrange(1_000, 60_000))

    async def main() -> bytes:
        ours, theirs = socket.socketpair()
        reader, unused = await asyncio.open_connection(sock=ours)
        _, writer = await asyncio.open_connection(sock=theirs)
        writer.write(payload)
        writer.write_eof()
        received = await reader.read()
        for one in (unused, writer):
            one.close()
            await one.wait_closed()
        return received

    assert asyncio.run(main()) == payload


@clean(trim=True)
def numpy_elementwise(rng: Random) -> None:
    """Arrays of 0.1 to 20 MiB."""
    array = np.ones(rng.randrange(MIB // 10, 20 * MIB) // 8 // 3)
    assert float((np.sqrt(array) + array).mean()) == 2.0


@clean(trim=True)
def numpy_matmul(rng: Random) -> None:
    """A product of matrices, by a library that brings its own work buffers."""
    side = rng.randrange(50, 300)
    product = np.ones((side, side)) @ np.ones((side, side))
    assert product[0, 0] == side


@clean()
def numpy_small(rng: Random) -> None:
    """Many small arrays."""
    arrays = [np.full(20, rng.random()) for _ in range(1_000)]
    assert np.concatenate(arrays).size == 20_000


@clean(trim=True)
def subprocess_pipe(rng: Random) -> None:
    """Bytes go through another program."""
    sent = rng.randbytes(rng.randrange(100 * KIB, 3 * MIB))
    passed = subprocess.run(["cat"], input=sent, stdout=subprocess.PIPE, check=True)  # noqa: S607
    assert passed.stdout == sent


@clean()
def subprocess_wait(rng: Random) -> None:
    """A program that ends at once."""
    del rng
    subprocess.run(["true"], check=True)  # noqa: S607


@clean()
def fork(rng: Random) -> None:
    """A child of this process that ends at once."""
    status = rng.randrange(100)
    child = os.fork()
    if child == 0:
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status


@clean(trim=True)
def compression(rng: Random) -> None:
    """Two compressors that take their tables from malloc."""
    text = rng.randbytes(1_000) * rng.randrange(100, 2_000)
    assert zlib.decompress(zlib.compress(text)) == text
    assert bz2.decompress(bz2.compress(text[:200_000])) == text[:200_000]


@clean(trim=True)
def pickle_(rng: Random) -> None:
    """Records there and back."""
    found = rows(rng, rng.randrange(200, 8_000))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own


@clean()
def csv_(rng: Random) -> None:
    """A table as text."""
    text = io.StringIO()
    csv.writer(text).writerows([[number, rng.random()] for number in range(2_000)])
    text.seek(0)
    assert sum(1 for _ in csv.reader(text)) == 2_000


@clean()
def xml_(rng: Random) -> None:
    """A document of some thousand elements."""
    text = "<r>" + "".join(f"<e n='{rng.randrange(99)}'>t</e>" for _ in range(2_000)) + "</r>"
    assert len(ET.fromstring(text)) == 2_000  # noqa: S314 - our own


@clean()
def decimals(rng: Random) -> None:
    """Arithmetic in many digits."""
    with decimal.localcontext() as context:
        context.prec = 200
        one = sum(
            (decimal.Decimal(1) / (rng.randrange(9) + 1) for _ in range(500)), decimal.Decimal()
        )
    assert one > 0


@clean(is_open_in_malloc=True)
def small_objects(rng: Random) -> None:
    """1 to 12 MiB of small objects come and go, with no list of malloc's that names them."""
    assert chain(rng.randrange(MIB, 12 * MIB)) is not None


@clean(trim=True)
def small_objects_in_a_list(rng: Random) -> None:
    """The same with a list."""
    objects = [(number, str(number)) for number in range(rng.randrange(1_000, 40_000))]
    objects.sort(reverse=True)
    del objects[::2]


@clean()
def sorting(rng: Random) -> None:
    """A heap of numbers, and groups of them."""
    numbers = [rng.randrange(10**6) for _ in range(20_000)]
    heap = list(numbers)
    heapq.heapify(heap)
    assert heapq.nsmallest(1, numbers)[0] == heap[0]
    groups = itertools.groupby(sorted(numbers), key=lambda number: number // 1_000)
    assert sum(1 for _ in groups) <= 1_000


@clean()
def text_(rng: Random) -> None:
    """Formatting and encoding."""
    lines = [f"{number:08d} {rng.random():.6f} ä" for number in range(3_000)]
    text = "\n".join(lines)
    assert base64.b64decode(base64.b64encode(text.encode())).decode() == text


@clean()
def dataclasses_(rng: Random) -> None:
    """A class made on the spot, with instances, a cache and weak references."""

    @dataclasses.dataclass
    class Point:
        x: float
        y: float

    @functools.cache
    def norm(x: float, y: float) -> float:
        return abs(x) + abs(y)

    points = [Point(rng.random(), rng.random()) for _ in range(2_000)]
    weak = weakref.WeakSet[object]()
    assert sum(norm(one.x, one.y) for one in points) > 0
    assert len(weak) == 0


@clean()
def generators(rng: Random) -> None:
    """Numbers that are never all there at once."""

    def numbers() -> Iterator[int]:
        yield from (rng.randrange(100) for _ in range(10_000))

    assert len(collections.Counter(numbers())) == 100


@clean()
def failure_caught(rng: Random) -> None:
    """An exception with a buffer in its frames, and in a cycle with one of them."""

    def fail(depth: int) -> None:
        buffer = written(20_000)
        if depth == 0:
            raise ValueError(len(buffer))
        fail(depth - 1)

    try:
        fail(rng.randrange(2, 30))
    except ValueError as error:
        caught = [error]
    else:
        caught = []
    assert caught[0].args == (20_000,)


@clean(trim=True)
def cycles(rng: Random) -> None:
    """0.1 to 12 MiB of garbage that nobody has collected when the test ends."""
    leave_cycles(rng.randrange(100 * KIB, 12 * MIB))


@clean()
def cycles_small(rng: Random) -> None:
    """The same in small objects."""
    for _ in range(rng.randrange(100, 10_000)):
        one: list[object] = [object()]
        one.append(one)


@clean(trim=True)
def cycles_without_collector(rng: Random) -> None:
    """Garbage made while the collector is off, and left."""
    gc.disable()
    try:
        leave_cycles(rng.randrange(100 * KIB, 8 * MIB))
    finally:
        gc.enable()


@clean()
def collects_by_itself(rng: Random) -> None:
    """A test that collects, as many do."""
    leave_cycles(rng.randrange(100 * KIB, 1_500 * KIB))
    gc.collect()


@clean()
def mapped(rng: Random) -> None:
    """A mapping of 0.1 to 20 MiB."""
    mapping(rng.randrange(100 * KIB, 20 * MIB)).close()


@clean()
def mapped_file(rng: Random) -> None:
    """A file on disk is mapped, and read."""
    with tempfile.TemporaryFile() as file:
        file.write(rng.randbytes(200_000))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as view:
            assert hashlib.md5(view, usedforsecurity=False).digest()


@clean()
def lazily_freed(rng: Random) -> None:
    """A mapping of which the kernel may take every page."""
    found = mapping(rng.randrange(1, 8) * MIB)
    found.madvise(mmap.MADV_FREE)
    found.close()


@clean()
def shared_memory(rng: Random) -> None:
    """A segment that is unlinked."""
    descriptor = os.memfd_create("soak")
    try:
        os.ftruncate(descriptor, rng.randrange(1, 8) * MIB)
        with mmap.mmap(descriptor, 0) as view:
            view[::PAGE] = b"x" * (len(view) // PAGE)
    finally:
        os.close(descriptor)


@clean(trim=True)
def native(rng: Random) -> None:
    """0.1 to 20 MiB of malloc's, freed."""
    blocks = native_blocks(
        rng.randrange(MIB // 10, 20 * MIB), rng.choice([1_000, 30_000, MIB // 20])
    )
    free_blocks(blocks)


@clean(trim=True)
def native_in_threads(rng: Random) -> None:
    """Some blocks in the arenas of threads."""

    def work() -> None:
        free_blocks(native_blocks(200 * KIB, rng.choice([500, 3_000])))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@clean(trim=True)
def buffers(rng: Random) -> None:
    """Buffers of all sizes."""
    found = [written(rng.randrange(600, 100_000)) for _ in range(rng.randrange(10, 200))]
    large = written(rng.randrange(1, 20) * MIB)
    assert len(large) > len(found)


@clean(trim=True)
def freed_below_a_block_at_the_top(rng: Random) -> None:
    """Free memory that malloc keeps until it is asked."""
    blocks = [bytes(3_000) for _ in range(rng.randrange(1_000, 5_000))]
    top = bytes(3_000)
    del blocks
    assert top


@clean()
def structures(rng: Random) -> None:
    """C structures."""
    array = (ctypes.c_double * 5_000)(*(rng.random() for _ in range(5_000)))
    assert sum(array) > 0
