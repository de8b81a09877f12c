"""Bodies that keep memory, in ways whose cause is known."""

from __future__ import annotations

import contextlib
import gc
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import BinaryIO, TypeAlias

import numpy as np

from .body import Body, Work
from .kept import give_back, hold, keep
from .memory import (
    KIB,
    MIB,
    address_space_bytes,
    chain,
    free_blocks,
    libc,
    mapping,
    native_block,
    native_blocks,
    small_objects,
    written,
)

Leak: TypeAlias = Callable[[Random, int], object]

# Everything this soak leaves in /dev/shm begins with this, so that what a killed round left is
# found again.
SEGMENTS = Path("/dev/shm")  # noqa: S108 - the place of shared memory is what is tested
SEGMENT_PREFIX = "memreturn-soak-"

# The allowance is 2 MiB: half a MiB more must be found, whatever came before.
NEAR = (int(2.5 * MIB), 3 * MIB)
FAR = (5 * MIB, 12 * MIB)

CHILD = "import sys; b = bytearray(b'x') * int(sys.argv[1]); print(1, flush=True); input()"

LEAKS: dict[str, list[Body]] = {}


def working(leak: Leak, sizes: tuple[int, int]) -> Work:
    """The leak as a test would have it; some tests collect, or trim, before they begin."""

    def work(rng: Random) -> None:
        if rng.random() < 0.4:
            gc.collect()
        if rng.random() < 0.2:
            libc.malloc_trim(0)
        leak(rng, rng.randrange(*sizes))

    return work


def leaks(
    *causes: str,
    in_malloc: tuple[str, ...] | None = (),
    near: tuple[int, int] = NEAR,
    far: tuple[int, int] = FAR,
    gates: tuple[bool, ...] = (False, True),
    before: Work | None = None,
) -> Callable[[Leak], Leak]:
    """Add a function to the leaks: just above the allowance and far above, at each gate.

    `in_malloc`: its causes where small objects come from malloc, too, if they are others there;
    ``None`` where malloc then decides whether anything is kept.
    """

    def add(leak: Leak) -> Leak:
        name = getattr(leak, "__name__", "")
        for distance, sizes in (("near", near), ("far", far)):
            work = working(leak, sizes)
            LEAKS.setdefault(name, []).extend(
                Body(
                    f"{name}-{distance}",
                    work,
                    "retained",
                    causes,
                    in_malloc or (),
                    trim,
                    before,
                    is_open_in_malloc=in_malloc is None,
                )
                for trim in gates
            )
        return leak

    return add


@leaks("live-python")
def global_buffers(rng: Random, size: int) -> None:
    """Buffers in a module global."""
    each = rng.choice([2_000, 20_000, size])
    hold(*(written(each) for _ in range(-(-size // each))))


# Where small objects come from malloc, many lie in old holes among old objects, and the census,
# which goes by addresses, cannot tell that they are new.
@leaks("live-python", in_malloc=("live-python", "live-native"))
def global_objects(rng: Random, size: int) -> None:
    """Small objects in a module global."""
    del rng
    hold(small_objects(size))


@leaks("live-python")
def cached_exception(rng: Random, size: int) -> None:
    """An exception whose frames hold a buffer."""

    def fail() -> None:
        buffer = written(size)
        raise ValueError(rng.random(), len(buffer))

    try:
        fail()
    except ValueError as error:
        hold(error)


@leaks("live-native")
def native(rng: Random, size: int) -> None:
    """One block of malloc's."""
    del rng
    address = native_block(size)
    keep(lambda: libc.free(address))


@leaks("live-native")
def native_small(rng: Random, size: int) -> None:
    """Many small blocks of malloc's."""
    blocks = native_blocks(size, rng.choice([1_000, 3_000]))
    keep(lambda: free_blocks(blocks))


@leaks("mapped")
def mapped(rng: Random, size: int) -> None:
    """A mapping that stays open."""
    del rng
    keep(mapping(size).close)


@leaks("live-python")
def thread(rng: Random, size: int) -> None:
    """A thread that still runs, with buffers on its stack frames."""
    each = rng.choice([2_000, size])
    started, ended = threading.Event(), threading.Event()

    def run() -> None:
        buffers = [written(each) for _ in range(-(-size // each))]
        started.set()
        ended.wait()
        buffers.clear()

    one = threading.Thread(target=run, daemon=True)
    one.start()
    started.wait()

    def end() -> None:
        ended.set()
        one.join()

    keep(end)


@leaks("child-process")
def child(rng: Random, size: int) -> None:
    """A child that nobody ended."""
    del rng
    one = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", CHILD, str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert one.stdout is not None
    assert one.stdout.readline()

    def end() -> None:
        one.communicate()

    keep(end)


def write_parts(file: BinaryIO, size: int) -> None:
    """Write so many bytes, without a buffer of that size that malloc would keep."""
    part = bytes(64 * KIB)
    file.writelines(part for _ in range(-(-size // len(part))))


@leaks("shared-memory")
def segment(rng: Random, size: int) -> None:
    """A segment that is closed and not unlinked."""
    path = SEGMENTS / f"{SEGMENT_PREFIX}{os.getpid()}-{rng.getrandbits(64):x}"
    with path.open("wb") as file:
        write_parts(file, size)
    keep(lambda: path.unlink(missing_ok=True))


@leaks("shared-memory")
def memfd(rng: Random, size: int) -> None:
    """Memory behind a descriptor that stays open."""
    del rng
    file = os.fdopen(os.memfd_create("soak"), "wb")
    write_parts(file, size)
    file.flush()
    keep(file.close)


def fill_old_arenas(rng: Random) -> None:
    """Leave no room in arenas for what is meant to take new ones."""
    del rng
    give_back(down_to=0)
    gc.collect()
    filling: object = None
    before = address_space_bytes()
    while address_space_bytes() < before + MIB:
        filling = chain(32 * KIB, filling)
    hold(filling)


# Up to two arenas of free room are let pass over the default. Judged at the gate `trim`, since
# malloc may keep what the list was before it grew.
@leaks(
    "pinned-python",
    in_malloc=("pinned-malloc",),
    near=(8 * MIB, 10 * MIB),
    far=(16 * MIB, 24 * MIB),
    gates=(True,),
    before=fill_old_arenas,
)
def pinned_objects(rng: Random, size: int) -> None:
    """A few of many small objects: about one in each page, so that no allocator can return it."""
    objects = small_objects(size)
    hold(objects[rng.randrange(20) :: 45])


# Some of what is freed comes to lie in old holes, and some at the top, which goes back by itself.
@leaks("held-by-malloc", in_malloc=None, near=(4 * MIB, 5 * MIB), gates=(False,))
def free_below_the_top(rng: Random, size: int) -> None:
    """Blocks below one that stays are freed, and malloc keeps them."""
    each = rng.choice([1_500, 3_000])
    blocks = [written(each) for _ in range(size // each)]
    hold(written(each))
    del blocks


@leaks("live-python")
def array(rng: Random, size: int) -> None:
    """A numpy array."""
    hold(np.full(-(-size // 8), rng.random()))


@leaks("live-native")
def database(rng: Random, size: int) -> None:
    """A database in memory, whose connection stays open."""
    del rng
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (text text)")
    # A row of this size fills a page of 4 KiB of the database.
    connection.executemany(
        "insert into t values (?)", (("x" * 3_900,) for _ in range(-(-size // (4 * KIB))))
    )
    keep(connection.close)


def remove_segments(of_process: int) -> None:
    """Unlink what a round left in shared memory; one that was killed cannot do it itself."""
    for path in SEGMENTS.glob(f"{SEGMENT_PREFIX}{of_process}-*"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
