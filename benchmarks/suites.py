"""What judging every test costs the suites of real projects, and what it finds there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pairs import in_turn, spread
from benchmarks.plan import Plan
from benchmarks.runs import PLUGIN, Run, place
from benchmarks.sdists import PROJECTS, Project, SdistMissingError
from benchmarks.tables import Table, Target

RATIO = Target(1.15)
UNCHANGED = Target(0)
MIB = 2**20


@dataclass(frozen=True)
class Judged:
    """One run of a suite under `--memreturn`, and what was recorded in it."""

    run: Run
    tests: tuple[Mapping[str, Any], ...]

    def judged_count(self) -> int:
        """How many windows were judged; a test that is skipped has none."""
        return sum(one["verdict"] != "unjudged" for one in self.tests)

    def not_returned(self) -> dict[str, Mapping[str, Any]]:
        """The records of tests that ended well, yet are not `returned`, by test."""
        return {
            one["nodeid"]: one
            for one in self.tests
            if one["verdict"] != "returned" and one["own_outcome"] is None
        }


def measure(plan: Plan) -> Iterator[Table]:
    """Wall time and outcomes of each suite, and every verdict that is not `returned`."""
    table = Table(
        "Suites of real projects under `--memreturn`",
        ("suite", "with, s", "without, s", "ratio of wall time", "judged", "not returned"),
        "Suites from source distributions, run whole, in turn with the plugin and without; "
        "quartiles of the ratios pair by pair. Changed outcomes: tests that ended otherwise "
        "than without the plugin, though their memory was returned.",
    )
    verdicts = Table(
        "Verdicts in these suites other than `returned`",
        ("test", "verdict", "kept, MiB", "cause", "in so many runs"),
    )
    with plan.folder() as folder:
        for project in PROJECTS:
            try:
                root = project.unpacked(plan.sdists)
            except SdistMissingError as error:
                table.leave_out(project.name, str(error))
                continue
            _measure_one(plan, project, root, folder, table, verdicts)
    yield table
    yield verdicts


def _measure_one(  # noqa: PLR0913, PLR0917  one suite, two tables
    plan: Plan, project: Project, root: Path, folder: Path, table: Table, verdicts: Table
) -> None:
    title = f"{project.name} {project.version()} ({project.kind})"
    bare = partial(_bare, project, root, folder)
    bare()  # fills file caches
    alone, judged = in_turn(
        [bare, partial(_judged, project, root, folder)], plan.pick(project.rounds, 1)
    )
    runs, without = [one.run for one in judged], [one.run for one in alone]
    both = list(zip(runs, without, strict=True))
    ratio = spread(one.wall_seconds / other.wall_seconds for one, other in both)
    not_returned = sorted({nodeid for one in judged for nodeid in one.not_returned()})
    table.judge(
        title,
        f"{spread(one.wall_seconds for one in runs).median:.1f}",
        f"{spread(one.wall_seconds for one in without).median:.1f}",
        ratio.text(3),
        f"{judged[0].judged_count():,}",
        str(len(not_returned)),
        value=ratio.median,
        target=RATIO,
    )
    changed = changed_outcomes(without, judged)
    table.judge(
        f"{project.name}: changed outcomes",
        *("", "", "", f"{len(without[0].outcomes):,}", ", ".join(changed) or "none"),
        value=len(changed),
        target=UNCHANGED,
    )
    for nodeid in not_returned:
        found = [one.not_returned()[nodeid] for one in judged if nodeid in one.not_returned()]
        kept = spread((one["retained_bytes"] or 0) / MIB for one in found)
        verdicts.add(
            f"`{project.name}: {nodeid}`",
            ", ".join(sorted({one["verdict"] for one in found})),
            kept.text(1),
            ", ".join(sorted({one["cause"] or one["reason"] or "" for one in found})),
            f"{len(found)} of {len(judged)}",
        )


def changed_outcomes(without: list[Run], judged: list[Judged]) -> list[str]:
    """Tests that ended otherwise under the plugin than in any run without it, unexplained."""
    usual: dict[str, set[str]] = {}
    for run in without:
        for nodeid, outcome in run.outcomes.items():
            usual.setdefault(nodeid, set()).add(outcome)
    changed = set()
    for one in judged:
        retained = one.not_returned()
        for nodeid in usual.keys() | one.run.outcomes.keys():
            outcome = one.run.outcomes.get(nodeid, "did not run")
            if outcome in usual.get(nodeid, ()):
                continue
            if outcome == "failed" and nodeid in retained:
                continue
            changed.add(f"{nodeid} ({outcome})")
    return sorted(changed)


def _bare(project: Project, root: Path, folder: Path) -> Judged:
    return Judged(place(folder).pytest((*project.options, project.tests), root), ())


def _judged(project: Project, root: Path, folder: Path) -> Judged:
    report = folder / "report.json"
    arguments = (*PLUGIN, "--memreturn", f"--memreturn-report=json:{report}")
    run = place(folder).pytest((*arguments, *project.options, project.tests), root)
    found = json.loads(report.read_text("utf-8"))
    return Judged(run, tuple(found["tests"]))
