"""What judging adds to a test that allocates much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.pairs import in_turn, spread
from benchmarks.plan import Plan
from benchmarks.runs import Run, alarms, assert_passed
from benchmarks.subjects import EVERY_OTHER_MARKED, METHODS, NOTHING, Work, marked, peers
from benchmarks.tables import Table, Target

RATIO = Target(1.02)

# A million tuples of 80 bytes and as many strings of 112, as pymalloc rounds them, by 60 in lists
# whose items take 512, the most that it hands out; each list in a tuple with the one before it:
# 200 MB, all of it pymalloc's. A long list would be malloc's, which keeps such blocks from their
# second time on, so that all tests but the first would rightly fail. Tuples are tracked, so that
# the garbage collector has its part of the work.
OBJECTS = (
    "objects = None",
    "for _ in range(18_000):",
    '    objects = (objects, [(number & 127, f"{number:060d}") for number in range(60)])',
    "del objects",
)

# What psleak is told here: no warm-up, and the fewest calls that it takes.
SELDOM = "warmup_times, times = 0, 2"


def measure(plan: Plan) -> Iterator[Table]:
    """The same tests with each subject, beside themselves without any."""
    table = Table(
        "Allocation-heavy test: 2 million small objects, 200 MB",
        ("subject", "ms per test", "ratio of wall time", "ratio of CPU time"),
        "Loops over the same tests, in turn; median and quartiles of the ratios to a run "
        "without any plugin in the same round. Every other test marked: the ratios of each "
        "marked test to the one before it, which is not judged. psleak calls what it judges "
        "several times by design: here as seldom as it can be told to.",
    )
    with plan.folder() as folder:
        subjects = marked(plan)
        work = Work(plan.pick(5, 1), body=OBJECTS)
        bare, *runs = in_turn(
            [partial(work.run, one, folder) for one in (NOTHING, *subjects)], plan.pick(15, 1)
        )
        assert_passed([*bare, *(run for of_one in runs for run in of_one)])
        table.add(NOTHING.name, _milliseconds(bare), "", "")
        for subject, found in zip(subjects, runs, strict=True):
            cells, ratio = _cells(bare, found)
            table.judge(subject.name, *cells, value=ratio, target=RATIO)
        _neighbours(plan, table, folder)
        _peers(plan, table, folder)
    yield table


def _neighbours(plan: Plan, table: Table, folder: Path) -> None:
    run = Work(plan.pick(80, 4), body=OBJECTS).run(EVERY_OTHER_MARKED, folder)
    assert_passed([run])
    unmarked, judged = run.test_seconds[::2], run.test_seconds[1::2]
    ratio = spread(one / other for one, other in zip(judged, unmarked, strict=True))
    milliseconds = spread(1_000 * one for one in judged).text(0)
    cells = EVERY_OTHER_MARKED.name, milliseconds, ratio.text(3), ""
    table.judge(*cells, value=ratio.median, target=RATIO)


def _peers(plan: Plan, table: Table, folder: Path) -> None:
    work = Work(1, body=OBJECTS)
    for peer in peers(plan, table):
        subject = replace(peer, declaration=SELDOM) if peer.template is METHODS else peer
        runs = [partial(work.run, one, folder) for one in (NOTHING, subject)]
        bare, found = in_turn(runs, plan.pick(3, 1))
        table.add(peer.name + alarms(found), *_cells(bare, found)[0])


def _cells(bare: list[Run], found: list[Run]) -> tuple[tuple[str, str, str], float]:
    pairs = list(zip(found, bare, strict=True))
    wall = spread(one.loop_seconds / other.loop_seconds for one, other in pairs)
    cpu = spread(one.loop_cpu_seconds / other.loop_cpu_seconds for one, other in pairs)
    cells = _milliseconds(found), wall.text(3), cpu.text(3)
    return cells, max(wall.median, cpu.median)


def _milliseconds(runs: list[Run]) -> str:
    """Time of one test in `runs`."""
    return spread(1_000 * one.loop_seconds / len(one.test_seconds) for one in runs).text(0)
