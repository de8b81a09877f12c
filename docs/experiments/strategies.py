"""Which way of working gives memory back: ``python strategies.py`` prints a table.

Each way does the same work in a fresh process: 800 pieces of 64 KiB (50 MiB) are there at once and
go again, and a small result stays, taken after all of them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiment import KIB, MIB, look

sys.path.append(str(Path(__file__).parents[2] / "examples" / "slab_pool" / "src"))

PIECES, PIECE = 800, 64 * KIB
result: list[object] = []


def a_result() -> bytes:
    return b"x" * PIECE


def in_the_heap() -> None:
    pieces = [b"x" * PIECE for _ in range(PIECES)]
    result.append(a_result())
    del pieces


def result_first() -> None:
    result.append(a_result())
    pieces = [b"x" * PIECE for _ in range(PIECES)]
    del pieces


def results_between() -> None:
    # A piece and a result are a little less than a page, so there is a result on each.
    pieces = []
    for _ in range(PIECES * 19):
        pieces.append(bytes(3_400))
        result.append(bytes(560))
    del pieces


def then_trim() -> None:
    in_the_heap()
    ctypes.CDLL(None).malloc_trim(0)


def large_blocks() -> None:
    pieces = [b"x" * MIB for _ in range(PIECES * PIECE // MIB)]
    result.append(a_result())
    del pieces


def free_a_large_block() -> None:
    block = bytearray(30 * MIB)
    del block


def mapped() -> None:
    pieces = []
    for _ in range(PIECES * PIECE // MIB):
        pieces.append(mmap.mmap(-1, MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        pieces[-1].write(b"x" * MIB)
    result.append(a_result())
    for piece in pieces:
        piece.close()


def pooled(*, trim: bool) -> None:
    from slab_pool import SlabPool

    pool = SlabPool(PIECE)
    pieces = [pool.take() for _ in range(PIECES)]
    for piece in pieces:
        piece[:] = b"x" * PIECE
    result.extend((a_result(), pool))
    for piece in pieces:
        pool.give_back(piece)
    if trim:
        pool.trim()


def small_objects(one_in: int | None) -> None:
    pieces = [(number,) for number in range(600_000)]
    if one_in:
        result.append(pieces[::one_in])
    del pieces


def in_a_child() -> None:
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        in_the_heap()
        os.write(writer, a_result())
        os._exit(0)
    result.append(os.read(reader, PIECE))
    os.waitpid(process, 0)


@dataclass(frozen=True)
class Way:
    """A way of working, with what is set before the process starts, and what is claimed of it.

    `stays` is whether most is still there at the end, `remains` whether a trim leaves it there.
    """

    work: Callable[[], object]
    stays: bool | None = False
    remains: bool = False
    before: Callable[[], object] = int
    variables: Mapping[str, str] = field(default_factory=dict)
    library: str = ""


WAYS = {
    "freed in malloc's heap, the result above it": Way(in_the_heap, stays=True),
    "the same, then `malloc_trim(0)`": Way(then_trim),
    "freed in malloc's heap, the result taken first": Way(result_first),
    "smaller pieces of 3 KiB, a small result after each": Way(
        results_between, stays=True, remains=True
    ),
    "blocks of 1 MiB, which malloc maps": Way(large_blocks),
    "the same, after a block of 30 MiB was freed": Way(
        large_blocks, stays=True, before=free_a_large_block
    ),
    "the same, `MALLOC_MMAP_THRESHOLD_=131072`": Way(
        large_blocks, before=free_a_large_block, variables={"MALLOC_MMAP_THRESHOLD_": "131072"}
    ),
    "`mmap` and `munmap` by yourself": Way(mapped),
    "a pool of your own on `mmap`, everything given back to it": Way(
        lambda: pooled(trim=False), stays=True, remains=True
    ),
    "the same, then the pool is trimmed": Way(lambda: pooled(trim=True)),
    "600,000 small Python objects, all gone": Way(lambda: small_objects(None)),
    "the same, one in 2,000 is kept": Way(lambda: small_objects(2_000), stays=True, remains=True),
    # What it gives back by itself depends on how long ago it was freed.
    "jemalloc in malloc's place": Way(in_the_heap, stays=None, library="libjemalloc.so.2"),
    "tcmalloc in malloc's place": Way(in_the_heap, stays=True, library="libtcmalloc_minimal.so.4"),
    "mimalloc in malloc's place": Way(in_the_heap, stays=True, library="libmimalloc.so.2"),
    "a child process that ends": Way(in_a_child),
}


def row(name: str, way: Way) -> str:
    """A row of the table, measured in a fresh process."""
    environment = {**os.environ, **way.variables}
    if way.library:
        environment["LD_PRELOAD"] = way.library
    command = [sys.executable, __file__, name]
    ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    if "cannot be preloaded" in ended.stderr:
        return f"| {name} | not installed | | |"
    figures, cause = ended.stdout.splitlines()[-1].split("|")
    peak, end, trim = (f"{float(figure):.1f}" for figure in figures.split())
    return f"| {name} | {peak} | {end} | {trim} | {f'`{cause}`' if cause else 'none'} |"


def main() -> None:
    """The whole table, or the figures of one way."""
    if sys.argv[1:]:
        way = WAYS[sys.argv[1]]
        found = look("", way.work, before=way.before)
        sizes = (found.peak_bytes, found.end_bytes, found.trim_bytes)
        cause = found.cause if found.end_bytes > 4 * MIB else ""
        assert way.stays in {None, found.end_bytes > 25 * MIB}
        assert way.remains == (found.trim_bytes > 25 * MIB)
        print(" ".join(str(max(size, 0) / MIB) for size in sizes), cause, sep="|")
        return
    print("| way of working | at its peak | at its end | after a trim | who has it |")
    print("|---|---|---|---|---|")
    for name, way in WAYS.items():
        print(row(name, way), flush=True)


if __name__ == "__main__":
    main()
