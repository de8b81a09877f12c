"""How what judging adds grows with the process: resident memory, mappings, objects."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.machine import memory_bytes
from benchmarks.pairs import in_turn, percentile, spread
from benchmarks.plan import Plan
from benchmarks.runs import ROOT, assert_passed, place
from benchmarks.subjects import MARKED, NOTHING, Work
from benchmarks.tables import Table, Target

GIB = 2**30

# Flat: no more than a fifth above the smallest process of the axis.
FLAT = Target(1.2)
SNAPSHOT = Target(1.5)

# Mappings whose neighbours have other permissions are not merged by the kernel; every second one
# is written to. Python objects: lists, because the collector tracks each of them for good.
BALLAST = """
import gc, mmap

blocks = [b"x" * 2**26 for _ in range({resident_bytes} // 2**26)]
pages = []
for number in range({mappings}):
    protection = mmap.PROT_READ | (mmap.PROT_WRITE if number % 2 else 0)
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, protection)
    if number % 2:
        page[0] = 1
    pages.append(page)
gc.disable()
objects = [[] for _ in range({objects})]
gc.enable()
gc.collect()
"""


@dataclass(frozen=True)
class Size:
    """A process that is large in one way or another."""

    resident_bytes: int = 0
    mappings: int = 0
    objects: int = 0

    def text(self) -> str:
        """What has been added to a process of pytest."""
        parts = (
            f"{self.resident_bytes / GIB:.1f} GiB resident" if self.resident_bytes else "",
            f"{self.mappings:,} mappings" if self.mappings else "",
            f"{self.objects / 1e6:g} million objects" if self.objects else "",
        )
        return ", ".join(part for part in parts if part) or "nothing added"

    def ballast(self) -> str:
        """Python that makes a process so large."""
        return BALLAST.format(
            resident_bytes=self.resident_bytes, mappings=self.mappings, objects=self.objects
        )

    def needed_bytes(self) -> int:
        """About what a process takes with this in it: an empty list and its place are 64 bytes."""
        return self.resident_bytes + self.mappings * 4096 + self.objects * 64 + GIB // 4


@dataclass(frozen=True)
class Axis:
    """Sizes along which one thing grows; the last may cost hardly more than the first."""

    title: str
    sizes: tuple[Size, ...]
    judged: bool = False


AXES = (
    Axis(
        "resident memory",
        tuple(Size(resident_bytes=size) for size in (GIB // 10, GIB, 8 * GIB)),
        judged=True,
    ),
    Axis("mappings", tuple(Size(mappings=count) for count in (200, 2_000, 20_000))),
    Axis("objects", tuple(Size(objects=count) for count in (50_000, 500_000, 5_000_000))),
    Axis(
        "resident memory beside 20,000 mappings and 5 million objects",
        tuple(Size(size, 20_000, 5_000_000) for size in (GIB // 10, 8 * GIB)),
        judged=True,
    ),
)
QUICK_AXES = (Axis("resident memory", (Size(2**26), Size(2**27, 20, 1_000)), judged=True),)


def measure(plan: Plan) -> Iterator[Table]:
    """A table of passing tests, and one of full snapshots."""
    axes = QUICK_AXES if plan.quick else AXES
    with plan.folder() as folder:
        yield _passing_tests(plan, axes, folder)
        yield _snapshots(plan, axes, folder)


def why_left_out(size: Size) -> str | None:
    """Why a process of such a size cannot be had here; ``None`` where it can."""
    available = memory_bytes("MemAvailable")
    if available >= size.needed_bytes():
        return None
    return f"needs {size.needed_bytes() / GIB:.0f} GiB, {available / GIB:.0f} are available"


def _passing_tests(plan: Plan, axes: tuple[Axis, ...], folder: Path) -> Table:
    table = Table(
        "Scale: a marked test that passes",
        (
            *("process", "added per test, ms", "each test: median, ms", "95 %, ms"),
            *("first test, ms", "to the smallest"),
        ),
        "Added: time of all tests but the first less that of the same tests without the plugin in "
        "the same round, by their number: the first pays for what is read once. To the smallest: "
        "against the first process of the same axis.",
    )
    for axis in axes:
        smallest: float | None = None
        for size in axis.sizes:
            reason = why_left_out(size)
            if reason is not None:
                table.leave_out(size.text(), reason)
                continue
            added_ms, cells = _added(plan, size, folder)
            smallest = smallest or added_ms
            ratio = added_ms / smallest
            row = (size.text(), *cells, f"{ratio:.2f}")
            if axis.judged and size is axis.sizes[-1]:
                table.judge(*row, value=ratio, target=FLAT)
            else:
                table.add(*row)
    return table


def _added(plan: Plan, size: Size, folder: Path) -> tuple[float, tuple[str, ...]]:
    work = Work(plan.pick(1_000, 5), preamble=size.ballast())
    runs = [partial(work.run, one, folder) for one in (NOTHING, MARKED)]
    bare, found = in_turn(runs, plan.pick(3, 1))
    added = spread(
        1_000 * (sum(one.test_seconds[1:]) - sum(other.test_seconds[1:])) / (work.count - 1)
        for one, other in zip(found, bare, strict=True)
    )
    assert_passed([*bare, *found])
    times = [1_000 * one for run in found for one in run.test_seconds[1:]]
    first = spread(1_000 * one.test_seconds[0] for one in found)
    return added.median, (
        added.text(3),
        f"{spread(times).median:.3f}",
        f"{percentile(times, 95):.3f}",
        f"{first.median:.1f}",
    )


def _snapshots(plan: Plan, axes: tuple[Axis, ...], folder: Path) -> Table:
    table = Table(
        "Scale: a full snapshot",
        ("process", "kernel alone, ms", "reading, ms", "snapshot, ms", "ratio"),
        "Kernel alone: `/proc/self/smaps` read from end to end into one buffer. Reading: what "
        "is read at a baseline, allocators' statistics included. Snapshot: such a reading, "
        "made sense of. In turn in one process; medians, and quartiles of the ratios.",
    )
    for size in dict.fromkeys(size for axis in axes for size in axis.sizes):
        reason = why_left_out(size)
        if reason is not None:
            table.leave_out(size.text(), reason)
            continue
        command = [sys.executable, str(ROOT / "benchmarks" / "readings.py")]
        command += ["snapshot", str(plan.pick(15, 2))]
        ended = subprocess.run(
            command,
            env=place(folder).environment(),
            input=size.ballast(),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        kernel, reading, snapshot = json.loads(ended.stdout)
        ratio = spread(one / other for one, other in zip(snapshot, kernel, strict=True))
        table.judge(
            size.text(),
            *(f"{1_000 * spread(one).median:.2f}" for one in (kernel, reading, snapshot)),
            ratio.text(2),
            value=ratio.median,
            target=SNAPSHOT,
        )
    return table
