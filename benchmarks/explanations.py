"""What it takes to explain memory that was retained, in a process without pytest.

python benchmarks/explanations.py whole     in a process as large as standard input makes it
python benchmarks/explanations.py walk N    the walk through a heap of N blocks
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_memreturn import MemoryNotReturned, measure
from pytest_memreturn.explain.examiner import ProcessExaminer
from pytest_memreturn.explain.heap_walk import walk_heaps

MIB = 2**20
ROUNDS = 5
SIZES_BYTES = (24, 40, 56, 100, 200, 600)
PARTS = ("survey_heaps", "survivors", "pins")

kept: list[object] = []


def retain() -> None:
    """Keep 40 MiB of dicts and texts, and leave holes between those that stay."""
    found = [{"number": number, "text": bytes(3_000)} for number in range(26_000)]
    kept.append(found[::2])


def memory_of(name: str) -> int:
    """A figure of this process, by its name in ``/proc/self/status``."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None, f"every Linux has {name}"
    return int(found[1]) * 1024


def timed(name: str, seconds: dict[str, float]) -> None:
    """Have a part of what examines the process note how long it takes."""
    part: Callable[..., object] = getattr(ProcessExaminer, name)

    def noting(*arguments: object) -> object:
        started = time.perf_counter()
        try:
            return part(*arguments)
        finally:
            seconds[name] = time.perf_counter() - started

    setattr(ProcessExaminer, name, noting)


def whole() -> dict[str, Any]:
    """Seconds for all that follows the window, and for its parts; memory; what is partial."""
    ballast: dict[str, object] = {}
    exec(sys.stdin.read(), ballast)  # noqa: S102  as scale.py hands it over
    seconds: dict[str, float] = {}
    for name in PARTS:
        timed(name, seconds)
    measured = measure(0)
    with contextlib.suppress(MemoryNotReturned), measured:
        retain()
        resident_bytes = memory_of("VmRSS")
        started, started_cpu = time.perf_counter(), time.process_time()
    seconds["whole"] = time.perf_counter() - started
    found = measured.record.explanation
    assert found is not None, measured.record
    return {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - started_cpu,
        "own_bytes": memory_of("VmHWM") - resident_bytes,
        "chains": sum(one.chain is not None for one in found.survivors),
        "partial": [*found.incomplete, *([found.heap.reason] if found.heap else [])],
    }


def walk(count: int) -> dict[str, Any]:
    """Seconds of processor time for each walk, the blocks it found, and how far it was off."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    by = random.Random(1)  # noqa: S311  the same heap each time, and no secret
    blocks = [libc.malloc(by.choice(SIZES_BYTES)) for _ in range(count)]
    for block in blocks[::3]:
        libc.free(block)
    seconds, found = [], None
    for _ in range(ROUNDS):
        started = time.process_time()
        found = walk_heaps()
        seconds.append(time.process_time() - started)
    assert found is not None, "it needs glibc's malloc"
    return {
        "seconds": seconds,
        "count": sum(one.chunks.count for one in found.heaps),
        "proven": found.proven,
        "reason": found.reason,
    }


def main() -> None:
    """Measure, and write what was found to standard output."""
    what, *arguments = sys.argv[1:]
    found = whole() if what == "whole" else walk(int(arguments[0]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
