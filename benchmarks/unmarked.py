"""What the plugin costs where it judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.pairs import in_turn, spread
from benchmarks.plan import Plan
from benchmarks.runs import PLUGIN, Place, Run
from benchmarks.subjects import LOADED, NOTHING, Work
from benchmarks.tables import Table, Target

RATIO = Target(1.01)


def measure(plan: Plan) -> Iterator[Table]:
    """Runs of the same files with the plugin loaded, beside runs without it."""
    table = Table(
        "Unmarked tests",
        ("case", "with, ms", "without, ms", "ratio of wall time", "ratio of CPU time"),
        "The same tests in whole processes, with the plugin loaded and without it, in turn. "
        "Medians; in brackets, the quartiles of the ratios pair by pair.",
    )
    count, pairs = plan.pick(2_000, 20), plan.pick(31, 2)
    with plan.folder() as folder:
        work = Work(count)
        found = _pairs(partial(work.run, LOADED, folder), partial(work.run, NOTHING, folder), pairs)
        cells, wall, cpu = _cells(found)
        title = f"{count:,} unmarked trivial tests"
        table.judge(title, *cells, value=max(wall, cpu), target=RATIO)
        for case in ("--version", "-VV"):
            found = _pairs(
                partial(_start, (*PLUGIN, case), folder), partial(_start, (case,), folder), pairs
            )
            table.add(f"pytest {case}", *_cells(found)[0])
    yield table


def _start(arguments: tuple[str, ...], folder: Path) -> Run:
    return Place(folder).start(arguments, folder)


def _pairs(
    with_plugin: Callable[[], Run], without: Callable[[], Run], pairs: int
) -> tuple[list[Run], list[Run]]:
    with_plugin()  # fills file caches
    ours, bare = in_turn((with_plugin, without), pairs)
    return ours, bare


def _cells(found: tuple[list[Run], list[Run]]) -> tuple[tuple[str, ...], float, float]:
    ours, bare = found
    both = list(zip(ours, bare, strict=True))
    wall = spread(one.wall_seconds / other.wall_seconds for one, other in both)
    cpu = spread(one.cpu_seconds / other.cpu_seconds for one, other in both)
    with_ms = 1_000 * spread(one.wall_seconds for one in ours).median
    without_ms = 1_000 * spread(one.wall_seconds for one in bare).median
    cells = f"{with_ms:.0f}", f"{without_ms:.0f}", wall.text(4), cpu.text(4)
    return cells, wall.median, cpu.median
