"""Where the figures in the docs come from: each measured anew, in fresh processes.

    python benchmarks/figures.py [NAME...]

Prints one line for each figure, as the pages under docs/ quote it. Needs Linux with glibc.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_memreturn import MemoryNotReturned, Record, measure

KIB = 1024
MIB = 1024 * KIB
PAGE = mmap.PAGESIZE

WORKLOADS = Path(__file__).parents[1] / "tests" / "real" / "workloads.py"

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

kept: list[object] = []


class Mallinfo2(ctypes.Structure):
    """What mallinfo2(3) gives."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def record_of(work: Callable[[], object], *, trim: bool = False) -> Record:
    """The record of a block that runs `work` and may keep nothing, so that all is examined."""
    measured = measure(0, trim=trim)
    with contextlib.suppress(MemoryNotReturned), measured:
        work()
    return measured.record


def mib(size_bytes: int | None) -> str:
    """A size as the docs write it."""
    return f"{(size_bytes or 0) / MIB:.1f} MiB"


def kib(size_bytes: int | None) -> str:
    """A small size as the docs write it."""
    return f"{(size_bytes or 0) / KIB:,.0f} KiB"


def native_blocks(count: int, size_bytes: int) -> ctypes.Array[ctypes.c_void_p]:
    """Blocks from malloc that are written to from end to end."""
    blocks = (ctypes.c_void_p * count)()
    for index in range(count):
        blocks[index] = libc.malloc(size_bytes)
        libc.memset(blocks[index], 1, size_bytes)
    return blocks


def spike() -> str:
    """How well a peak is caught that lasts for a moment."""

    def work() -> None:
        moment = bytearray(30 * MIB)
        del moment

    growth = record_of(work).peak_growth_bytes or 0
    return f"30.0 MiB for a moment: peak growth {mib(growth)}, {kib(30 * MIB - growth)} short"


def trim() -> str:
    """What malloc says is free before and after a trim, and what the trim gave back."""
    libc.mallinfo2.restype = Mallinfo2
    said = []

    def work() -> None:
        blocks = [bytes(3_000) for _ in range(35_000)]
        kept.append(bytes(3_000))
        del blocks
        said.append(libc.mallinfo2().fordblks)

    readings = record_of(work, trim=True).readings or {}
    said.append(libc.mallinfo2().fordblks)
    returned = (readings["collect"] or 0) - (readings["trim"] or 0)
    return (
        f"free by mallinfo2: {mib(said[0])} before a trim, {mib(said[1])} after it; "
        f"the trim gave back {mib(returned)}"
    )


def survivors() -> str:
    """How many of the objects that a block left behind are named, beside many older ones."""
    kept.append([{"number": number} for number in range(300_000)])

    def work() -> None:
        kept.append([{"number": number} for number in range(10_000)])
        kept.append([bytes(2_400) for _ in range(3_000)])

    explanation = record_of(work).explanation
    assert explanation is not None
    found = {one.type: one for one in explanation.survivors}
    return (
        f"{found['dict'].count:,} of 10,000 dicts, {found['bytes'].count:,} of 3,000 bytes objects"
    )


def holes() -> str:
    """What a leak shows that fits into pages which were resident before."""
    pages = 20_000
    pinning, filling = (ctypes.c_void_p * pages)(), (ctypes.c_void_p * pages)()
    for page in range(pages):
        pinning[page] = libc.malloc(48)
        filling[page] = libc.malloc(PAGE - 64 - 16)
        libc.memset(filling[page], 1, PAGE - 64 - 16)
    for block in filling:
        libc.free(block)
    record = record_of(lambda: native_blocks(3 * pages, 1_000))
    live = (record.ledger or {})["malloc-live"]
    return f"leaked {mib(live)} by malloc's count; kept {mib(record.retained_bytes)}"


def place_of_another() -> str:
    """What a block shows that gives back as much as it keeps."""
    kept.append(bytearray(40 * MIB))

    def work() -> None:
        kept.clear()
        kept.append(bytearray(40 * MIB))

    return f"40 MiB gone, 40 MiB new: kept {kib(record_of(work).retained_bytes)}"


def untouched() -> str:
    """Who is charged for memory that one block takes and the next one writes to."""
    blocks = []
    first = record_of(lambda: blocks.append(libc.malloc(100 * MIB)))
    second = record_of(lambda: libc.memset(blocks[0], 1, 40 * MIB))
    return (
        f"100 MiB taken: kept {mib(first.retained_bytes)}; "
        f"40 MiB of it written to: kept {mib(second.retained_bytes)}"
    )


def ru_maxrss() -> str:
    """What resetting the peak does to getrusage(2)."""
    large = bytearray(300 * MIB)
    del large
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with measure():
        inside = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"ru_maxrss: {before:,} kB before the block, {inside:,} kB inside"


def thread_arenas() -> str:
    """What threads keep that have freed everything, after a trim."""
    # Freeing a large block raises the thresholds of malloc, unless a variable sets one.
    libc.free(libc.malloc(30 * MIB))

    taken: list[int] = []
    freed: list[int] = []

    def take_and_free(number: int) -> None:
        blocks = native_blocks(8_000, 3_000)
        taken.append(number)
        # No locks: each would take a block of its own, at the top of the arena.
        while len(taken) < 4:
            time.sleep(0.01)
        for block in blocks:
            libc.free(block)
        freed.append(number)
        time.sleep(600)

    def work() -> None:
        for number in range(4):
            threading.Thread(target=take_and_free, args=(number,), daemon=True).start()
        while len(freed) < 4:
            time.sleep(0.01)

    record = record_of(work, trim=True)
    setting = os.environ.get("MALLOC_TRIM_THRESHOLD_", "not set")
    return (
        f"MALLOC_TRIM_THRESHOLD_ {setting}: grew by {mib(record.peak_growth_bytes)}, "
        f"kept after a trim {mib(record.retained_bytes)} ({record.cause})"
    )


def pinned_arenas() -> str:
    """What one object in 2,000 keeps resident."""

    def work() -> None:
        tuples = [(number,) for number in range(3_000_000)]
        kept.append(tuples[::2_000])
        del tuples

    record = record_of(work, trim=True)
    ledger = record.ledger or {}
    return (
        f"kept {mib(record.retained_bytes)}: python-free {mib(ledger['python-free'])}, "
        f"python-live {mib(ledger['python-live'])}"
    )


def probes() -> str:
    """The same two work-loads under both probes, in runs of pytest."""
    lines = []
    for workload in ("test_lazily_freed_mapping", "test_freed_under_a_live_block_at_the_top"):
        for probe in ("linux", "portable"):
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(WORKLOADS, Path(folder, "test_workloads.py"))
                command = [
                    *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                    *("-p", "pytest_memreturn.plugin", "--memreturn", "--memreturn-report=r.json"),
                    *("-o", f"memreturn_probe={probe}", f"test_workloads.py::{workload}"),
                ]
                environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
                environment.pop("PYTEST_PLUGINS", None)
                subprocess.run(
                    command, cwd=folder, env=environment, check=False, stdout=subprocess.DEVNULL
                )
                (found,) = json.loads(Path(folder, "r.json").read_text("utf-8"))["tests"]
            lines.append(
                f"{workload} {probe}: kept {mib(found['retained_bytes'])}, "
                f"{found['verdict']}, {found['cause']}"
            )
    return "\n".join(lines)


FIGURES = (
    spike,
    trim,
    survivors,
    holes,
    place_of_another,
    untouched,
    ru_maxrss,
    thread_arenas,
    pinned_arenas,
    probes,
)
# Run once more with these set.
VARIABLES = {"thread_arenas": {"MALLOC_TRIM_THRESHOLD_": "131072"}}


def in_a_fresh_process(name: str, variables: dict[str, str]) -> str:
    """What a figure's function prints when nothing else was measured before it."""
    command = [sys.executable, __file__, "--here", name]
    environment = {**os.environ, **variables}
    ended = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return ended.stdout.rstrip()


def measured(name: str) -> Iterator[str]:
    """The lines of one figure, once more for each setting that it is printed with."""
    for variables in ({}, *([VARIABLES[name]] if name in VARIABLES else [])):
        yield from in_a_fresh_process(name, variables).splitlines()


def main() -> None:
    """Print every figure, or those that are named."""
    by_name = {figure.__name__: figure for figure in FIGURES}
    if sys.argv[1:2] == ["--here"]:
        print(by_name[sys.argv[2]]())
        return
    libc_name = " ".join(platform.libc_ver())
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    print(f"CPython {platform.python_version()}, {libc_name}, {kernel}")
    for name in sys.argv[1:] or by_name:
        for line in measured(name):
            print(f"{name:16} {line}", flush=True)


if __name__ == "__main__":
    main()
