"""What the plugin costs where it judges nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.pairs import in_turn, spread
from benchmarks.plan import Plan
from benchmarks.runs import PLUGIN, Run, place
from benchmarks.subjects import LOADED, NOTHING, Work
from benchmarks.tables import Table, Target

RATIO = Target(1.01)


def measure(plan: Plan) -> Iterator[Table]:
    """Runs of the same files with the plugin loaded, beside runs without it."""
    table = Table(
        "Unmarked tests",
        ("case", "with, ms", "without, ms", "ratio of wall time", "ratio of CPU time"),
        "The same tests in whole processes, with the plugin loaded and without it, in turn. "
        "Medians; in brackets, the quartiles of the ratios pair by pair. A hundredth is less than "
        "the machine's own unrest, so the target is held against the instructions of one run.",
    )
    count, pairs = plan.pick(2_000, 20), plan.pick(31, 1)
    with plan.folder() as folder:
        work = Work(count)
        runs = [partial(work.run, subject, folder) for subject in (LOADED, NOTHING)]
        title = f"{count:,} unmarked trivial tests"
        table.add(title, *_cells(*in_turn(runs, pairs)))
        _count_instructions(f"{title}, instructions", work, folder, table)
        for case in ("--version", "-VV"):
            starts = [partial(_start, options, folder) for options in ((*PLUGIN, case), (case,))]
            table.add(f"pytest {case}", *_cells(*in_turn(starts, pairs)))
    yield table


def _count_instructions(title: str, work: Work, folder: Path, table: Table) -> None:
    if shutil.which("valgrind") is None:
        table.leave_out(title, "valgrind is not installed")
        return
    ours, bare = (work.instructions(subject, folder) for subject in (LOADED, NOTHING))
    ratio = ours / bare
    cells = f"{ours / 1e6:,.0f} million", f"{bare / 1e6:,.0f} million", f"{ratio:.4f}", ""
    table.judge(title, *cells, value=ratio, target=RATIO)


def _start(arguments: tuple[str, ...], folder: Path) -> Run:
    return place(folder).start(arguments, folder)


def _cells(ours: list[Run], bare: list[Run]) -> tuple[str, ...]:
    both = list(zip(ours, bare, strict=True))
    wall = spread(one.wall_seconds / other.wall_seconds for one, other in both)
    cpu = spread(one.cpu_seconds / other.cpu_seconds for one, other in both)
    with_ms = 1_000 * spread(one.wall_seconds for one in ours).median
    without_ms = 1_000 * spread(one.wall_seconds for one in bare).median
    return f"{with_ms:.0f}", f"{without_ms:.0f}", wall.text(4), cpu.text(4)
