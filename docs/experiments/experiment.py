"""Look at a piece of work from outside: what it took, and what of that is still there."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass

from pytest_memreturn import MemoryNotReturned, measure

KIB = 1024
MIB = 1024 * KIB


def touch(memory: mmap.mmap) -> mmap.mmap:
    """Write a byte to each page: only then is there memory behind it."""
    for offset in range(0, len(memory), mmap.PAGESIZE):
        memory[offset] = 1
    return memory


@dataclass(frozen=True)
class Seen:
    """Growth in bytes: the highest, what was left at the end, and of that after a trim.

    `rss_bytes` is what the usual figure says of the end.
    """

    peak_bytes: int
    end_bytes: int
    rss_bytes: int
    trim_bytes: int
    cause: str
    heap: list[str]


def look(
    name: str,
    work: Callable[[], object],
    *,
    before: Callable[[], object] = int,
    after: Callable[[], object] = int,
) -> Seen:
    """Judge `work` in a copy of this process, where no other experiment has left its traces.

    What is done in that copy `before` and `after` is not judged. Prints a line, and the heap where
    it tells something.
    """
    reader, writer = os.pipe()
    if not os.fork():
        before()
        with open(writer, "w") as answer:
            json.dump(_measured(work), answer)
        after()
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        seen = Seen(**json.load(answer))
    os.wait()
    _print(name, seen)
    return seen


def _measured(work: Callable[[], object]) -> dict[str, object]:
    """The figures of a block that may keep nothing, so that all it kept is looked into."""
    message, rss_bytes = "", 0
    measured = measure(0)
    try:
        with measured:
            rss_bytes -= _rss()
            work()
            rss_bytes += _rss()
    except MemoryNotReturned as error:
        message = str(error)
    record = measured.record
    readings = record.readings or {}
    baseline = readings["baseline"] or 0
    levels = [readings[rung] for rung in ("end", "collect", "trim")]
    growth = [level - baseline for level in levels if level is not None]
    return {
        "peak_bytes": record.peak_growth_bytes,
        "end_bytes": growth[0],
        "rss_bytes": rss_bytes,
        # What looking for survivors takes in between is not the work's.
        "trim_bytes": min(growth),
        "cause": record.cause or "",
        "heap": [line[13:] for line in message.splitlines() if line.startswith("  heap")],
    }


def _rss() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


_printed: list[str] = []


def _print(name: str, seen: Seen) -> None:
    if not _printed:
        print(f"{'MiB':36} peak    end    RSS   trim  cause")
    _printed.append(name)
    sizes = (seen.peak_bytes, seen.end_bytes, seen.rss_bytes, seen.trim_bytes)
    # Of the little that allocators keep for next time, nobody needs to know the cause.
    is_much = seen.end_bytes > 4 * MIB
    cause = seen.cause if is_much else ""
    figures = " ".join(f"{max(size, 0) / MIB:6.1f}" for size in sizes)
    print(f"{name:34} {figures}  {cause}".rstrip())
    if is_much:
        for heap in seen.heap:
            print(f"  {heap}")
