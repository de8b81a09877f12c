"""What an explanation costs: time and memory, of a large process and of many objects."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.pairs import spread
from benchmarks.plan import Plan
from benchmarks.runs import ROOT, place
from benchmarks.scale import GIB, Size, why_left_out
from benchmarks.tables import Table, Target

MIB = 2**20
SIZES = (
    Size(),
    Size(objects=2_000_000),
    Size(resident_bytes=8 * GIB, objects=5_000_000),
)
QUICK_SIZES = (Size(resident_bytes=2**27, objects=1_000),)
SURVIVORS = Target(3, "s for survivors")
WHOLE = Target(10, "s")
# Two million blocks a second.
BLOCK = Target(0.5, "µs")


def measure(plan: Plan) -> Iterator[Table]:
    """A table of whole explanations, and one of walks through heaps."""
    with plan.folder() as folder:
        yield _explanations(QUICK_SIZES if plan.quick else SIZES, folder)
        yield _walks(plan, folder)


def _explanations(sizes: tuple[Size, ...], folder: Path) -> Table:
    table = Table(
        "Explaining: a block that kept 40 MiB",
        (
            *("process", "all that follows the block, s", "of it processor time, s"),
            *("heaps, s", "survivors and chains, s", "pins, s", "own memory, MiB", "left out"),
        ),
        "Once each, in a fresh process. Own memory: the highest RSS while it explains, less that "
        "at the end of the block. Left out: what there was no time for.",
    )
    for size in sizes:
        reason = why_left_out(size)
        if reason is not None:
            table.leave_out(size.text(), reason)
            continue
        found = _told(folder, "whole", sent=size.ballast())
        seconds = found["seconds"]
        is_of_objects = not size.resident_bytes
        table.judge(
            size.text(),
            f"{seconds['whole']:.2f}",
            f"{found['cpu_seconds']:.2f}",
            *(f"{seconds.get(name, 0):.2f}" for name in ("survey_heaps", "survivors", "pins")),
            f"{found['own_bytes'] / MIB:.0f}",
            "; ".join(one for one in found["partial"] if one) or "nothing",
            value=seconds["survivors" if is_of_objects else "whole"],
            target=SURVIVORS if is_of_objects else WHOLE,
        )
    return table


def _walks(plan: Plan, folder: Path) -> Table:
    table = Table(
        "Explaining: the walk through a heap",
        ("heap", "blocks found", "per block, µs", "blocks a second, million", "proven"),
        "Blocks of 24 to 600 bytes in no order, of which every third is free. Processor time of "
        "one walk after the other in one process, malloc's own figures included.",
    )
    for count in (plan.pick(200_000, 2_000), plan.pick(2_000_000, 4_000)):
        found = _told(folder, "walk", str(count))
        if not found["count"]:  # as it may be where something else moves the heap meanwhile
            table.leave_out(f"{count:,} blocks", found["reason"])
            continue
        per_block = spread(1e6 * one / found["count"] for one in found["seconds"])
        table.judge(
            f"{count:,} blocks",
            f"{found['count']:,}",
            per_block.text(2),
            f"{1 / per_block.median:.1f}",
            "yes" if found["proven"] else "no",
            value=per_block.median,
            target=BLOCK,
        )
    return table


def _told(folder: Path, *arguments: str, sent: str = "") -> dict[str, Any]:
    """What the script beside this one tells, run in a process of its own."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "explanations.py"), *arguments],
        env=place(folder).environment(),
        input=sent,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
