"""What judging adds to a test that passes and does nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.pairs import in_turn, percentile, spread
from benchmarks.plan import Plan
from benchmarks.runs import Run, alarms, assert_passed
from benchmarks.stopwatch import OUT
from benchmarks.subjects import MARKED, NOTHING, Subject, Work, marked, peers, why_missing
from benchmarks.tables import Table, Target


@dataclass(frozen=True)
class Process:
    """What is imported where the tests run."""

    title: str
    modules: tuple[str, ...]
    target: Target
    # Peers add up to a hundred times as much: fewer tests are enough for them.
    tests: int
    tests_of_peers: int


PROCESSES = (
    Process("nothing else imported", (), Target(0.5, "ms"), 1_000, 200),
    Process("pandas and scikit-learn", ("pandas", "sklearn"), Target(2, "ms"), 500, 30),
)


def measure(plan: Plan) -> Iterator[Table]:
    """One table for each process."""
    for process in PROCESSES[:1] if plan.quick else PROCESSES:
        table = Table(
            f"Marked passing tests, {process.title}",
            (
                "subject",
                "added per test, ms",
                "each test: median, ms",
                "95 %, ms",
                "longest, ms",
                "once per run, ms",
            ),
            "Added: time of the loop over all tests less that of the same tests without the "
            "plugin in the same round, by the number of tests, so that it holds what is done "
            "once in a while, too; median and quartiles of the rounds. "
            "Each test: from before its set-up until after its tear-down, over all rounds. "
            "Once per run: what the process took longer outside the loop.",
        )
        reason = why_missing(process.modules)
        if reason is not None:
            table.leave_out("all subjects", reason)
            yield table
            continue
        with plan.folder() as folder:
            _ours(plan, process, table, folder)
            _peers(plan, process, table, folder)
            yield table
            yield _parts(plan, process, folder)


def _parts(plan: Plan, process: Process, folder: Path) -> Table:
    table = Table(
        f"Where the time of such a test goes, {process.title}",
        ("part", "µs per test", "calls per test"),
        "A run with a clock around each part, which adds a little; a part that is needed once in "
        "a while has its share. The hooks themselves are in no part.",
    )
    out = folder / "parts.json"
    work = Work(plan.pick(process.tests, 20), modules=process.modules)
    subject = replace(
        MARKED,
        name=f"{MARKED.name}, timed",
        options=(*MARKED.options, "-p", "benchmark_stopwatch"),
        environment={OUT: str(out)},
    )
    assert_passed([work.run(subject, folder)])
    for title, (seconds, calls) in json.loads(out.read_text("utf-8")).items():
        cells = f"{1e6 * seconds / work.count:.0f}", f"{calls / work.count:.2f}"
        table.add(title, *cells)
    return table


def _ours(plan: Plan, process: Process, table: Table, folder: Path) -> None:
    work = Work(plan.pick(process.tests, 20), modules=process.modules)
    subjects = marked(plan)
    bare, *runs = _rounds([NOTHING, *subjects], work, folder, plan.pick(9, 1))
    assert_passed([*bare, *(run for of_one in runs for run in of_one)])
    title = f"{work.count:,} tests, "
    table.add(title + NOTHING.name, "", *_each(bare), "")
    for subject, found in zip(subjects, runs, strict=True):
        added, cells = _cells(found, bare)
        table.judge(title + subject.name, *cells, value=added, target=process.target)


def _peers(plan: Plan, process: Process, table: Table, folder: Path) -> None:
    work = Work(plan.pick(process.tests_of_peers, 3), modules=process.modules)
    beside = peers(plan, table)
    if not beside:
        return
    bare, *runs = _rounds([NOTHING, *beside], work, folder, plan.pick(3, 1))
    for peer, found in zip(beside, runs, strict=True):
        title = f"{work.count:,} tests, {peer.name}{alarms(found)}"
        table.add(title, *_cells(found, bare)[1])


def _rounds(subjects: list[Subject], work: Work, folder: Path, rounds: int) -> list[list[Run]]:
    runs = [partial(work.run, subject, folder) for subject in subjects]
    found = in_turn(runs, rounds)
    for subject, of_subject in zip(subjects, found, strict=True):
        for one in of_subject:
            assert len(one.outcomes) == work.count, f"{subject.name} ran {len(one.outcomes)} tests"
    return found


def _cells(found: list[Run], bare: list[Run]) -> tuple[float, tuple[str, ...]]:
    count = len(found[0].test_seconds)
    pairs = list(zip(found, bare, strict=True))
    added = spread(1_000 * (one.loop_seconds - other.loop_seconds) / count for one, other in pairs)
    once = spread(1_000 * (_outside_loop(one) - _outside_loop(other)) for one, other in pairs)
    return added.median, (added.text(3), *_each(found), f"{once.median:.0f}")


def _outside_loop(run: Run) -> float:
    return run.wall_seconds - run.loop_seconds


def _each(runs: list[Run]) -> tuple[str, str, str]:
    times = [1_000 * one for run in runs for one in run.test_seconds]
    return (
        f"{spread(times).median:.3f}",
        f"{percentile(times, 95):.3f}",
        f"{max(times):.1f}",
    )
