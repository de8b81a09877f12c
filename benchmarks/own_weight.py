"""What the plugin itself keeps for the tests that it has judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.pairs import in_turn, spread
from benchmarks.plan import Plan
from benchmarks.runs import PLUGIN, Run, assert_passed, place
from benchmarks.subjects import NOTHING, Work
from benchmarks.tables import Table, Target

MIB = 2**20
WEIGHT = Target(1, "MiB")


def measure(plan: Plan) -> Iterator[Table]:
    """Growth of the footprint over many judged tests, less that without the plugin."""
    # Python takes its memory by the mebibyte: what is kept for 10,000 tests, which is half of
    # one, would show as none or as one and a half.
    count, early = plan.pick(40_000, 30), plan.pick(100, 10)
    per_target = count / plan.pick(10_000, 30)
    table = Table(
        "Own weight",
        ("growth of the footprint", "with, MiB", "without, MiB", "the plugin's own, MiB"),
        f"{count:,} trivial tests in one process, all judged (`--memreturn`) and reported "
        "(`--memreturn-report`), beside the same without the plugin. The footprint is read "
        "after a collection and a trim: before the first test, after some, and after the last.",
    )
    with plan.folder() as folder:
        name = NOTHING.write(folder, Work(count)).name
        report = f"--memreturn-report=json:{folder / 'report.json'}"
        counts = (0, early, count)

        def judged() -> Run:
            arguments = (*PLUGIN, "--memreturn", report, name)
            return _passed(arguments, folder, counts)

        def bare() -> Run:
            return _passed((name,), folder, counts)

        ours, without = in_turn((judged, bare), plan.pick(3, 1))
    growth = [_growth_mib(runs, slice(1, 3)) for runs in (ours, without)]
    cells, own_mib = _cells(*([one / per_target for one in of_one] for of_one in growth))
    table.judge(f"per 10,000 tests, from the {early}th on", *cells, value=own_mib, target=WEIGHT)
    once = [_growth_mib(runs, slice(0, 2)) for runs in (ours, without)]
    table.add(f"once, with the first {early} tests", *_cells(*once)[0])
    peaks = ([one.peak_rss_bytes / MIB for one in runs] for runs in (ours, without))
    table.add("highest RSS of the process, which writing the report may raise", *_cells(*peaks)[0])
    yield table


def _passed(arguments: tuple[str, ...], folder: Path, counts: tuple[int, ...]) -> Run:
    run = place(folder).pytest(arguments, folder, footprint_after=counts)
    assert len(run.footprint_bytes) == len(counts), f"{len(run.test_seconds)} tests ran"
    assert_passed([run])
    return run


def _growth_mib(runs: list[Run], span: slice) -> list[float]:
    found = (one.footprint_bytes[span] for one in runs)
    return [(after - before) / MIB for before, after in found]


def _cells(ours: list[float], without: list[float]) -> tuple[tuple[str, str, str], float]:
    own = spread(one - other for one, other in zip(ours, without, strict=True))
    cells = f"{spread(ours).median:.2f}", f"{spread(without).median:.2f}", own.text(2)
    return cells, own.median
