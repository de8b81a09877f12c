"""Runs rounds, then compares each verdict with what its test declares."""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_memreturn._record import Record
from pytest_memreturn.report.message import render_message

from .figures import write_figures
from .leaks import remove_segments
from .noise import KINDS, around, variables
from .plan import Step, plan

HERE = Path(__file__).parent
ONE_HOUR = 3_600
# A round that broke off calls every test after it unjudged.
MOST_LINES = 400


@dataclass(frozen=True)
class Size:
    """How much is run: rounds of at least so many clean tests and leaks."""

    rounds: int
    clean: int
    leaks: int


FULL = Size(rounds=5, clean=2_000, leaks=200)
SHORT = Size(rounds=1, clean=250, leaks=30)


@dataclass
class Tally:
    """What came out of all rounds."""

    clean: int = 0
    leaks: int = 0
    false: int = 0
    missed: int = 0
    wrong_cause: int = 0
    unjudged: int = 0
    seconds: float = 0.0
    seeds: list[str] = field(default_factory=list)
    leaks_by_name: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def wrong(self) -> int:
        """Everything that should not be."""
        return self.false + self.missed + self.wrong_cause + self.unjudged

    def add(self, step: Step, record: Mapping[str, Any] | None, *, pymalloc: bool) -> str | None:
        """Count one test; what is wrong with its record, if anything is."""
        body = step.body
        if body.verdict is None:
            own = record is None or (record["verdict"], record["own_outcome"]) == (
                "unjudged",
                "failed",
            )
            return None if own else "it failed by itself, yet there is a verdict"
        if body.verdict == "returned":
            self.clean += 1
        else:
            self.leaks += 1
            self.leaks_by_name[body.name] += 1
        if record is None or record["verdict"] == "unjudged":
            self.unjudged += 1
            return f"unjudged: {record and record['reason']}"
        if record["verdict"] != body.verdict:
            if body.verdict == "returned":
                self.false += 1
                return "FALSE: it returned its memory"
            self.missed += 1
            return f"MISSED: it kept memory, {' or '.join(body.causes)}"
        causes = body.right_causes(pymalloc=pymalloc)
        if causes and record["cause"] not in causes:
            self.wrong_cause += 1
            return f"WRONG CAUSE: it is {' or '.join(causes)}"
        return None


def run_round(
    seed: str, size: Size, noise: tuple[str, ...], options: Sequence[str], folder: Path
) -> tuple[list[Step], dict[str, Mapping[str, Any]], int]:
    """The steps of one round, the records by name of the step, and how pytest ended."""
    parts = plan(seed, size.clean, size.leaks)
    for number in range(len(parts)):
        (folder / f"test_part_{number:03}.py").write_text(
            (HERE / "part.py").read_text("utf-8"), "utf-8"
        )
    # An ini of its own: that of the checkout is about the project's own suite.
    (folder / "pytest.ini").write_text("[pytest]\n", "ascii")
    report = folder / "report.json"
    loaded = ["-p", "pytest_memreturn.plugin", "-p", "soak.the_round", "-p", "no:cacheprovider"]
    settings = [f"--soak-seed={seed}", f"--soak-clean={size.clean}", f"--soak-leaks={size.leaks}"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *loaded,
        *settings,
        f"--soak-noise={','.join(noise)}",
    ]
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        **variables(noise),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "",
        "PYTEST_ADDOPTS": "",
    }
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*command, "-q", "--tb=short", f"--memreturn-report={report}", *options],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(ONE_HOUR)
        finally:
            process.kill()
            process.wait()
            remove_segments(process.pid)
    records: dict[str, Mapping[str, Any]] = {}
    if report.exists():
        for one in json.loads(report.read_text("utf-8"))["tests"]:
            records[one["nodeid"].partition("[")[2].rstrip("]")] = one
    return [step for part in parts for step in part], records, status


def judge_round(
    tally: Tally,
    seed: str,
    steps: Sequence[Step],
    records: dict[str, Mapping[str, Any]],
    *,
    pymalloc: bool,
) -> Iterator[str]:
    """Count every step; a paragraph for each wrong verdict."""
    for step in steps:
        if step.body.is_open_in_malloc and not pymalloc:
            continue
        record = records.get(step.name)
        wrong = tally.add(step, record, pymalloc=pymalloc)
        if wrong is None:
            continue
        yield f"\nseed {seed}, step {step.name}: {wrong}"
        if record is None or record["verdict"] == "unjudged":
            continue
        yield from render_message(Record.from_dict(record), width=120, verbosity=1)
        shown = ("verdict", "retained_bytes", "allowed_bytes", "readings", "ledger", "hidden_bytes")
        yield from (f"  {key}: {record[key]}" for key in shown)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--clean", type=int, help="clean tests in a round, at least")
    parser.add_argument("--leaks", type=int, help="leaks in a round, at least")
    parser.add_argument("--seed", help="of the first round; by default a new one")
    parser.add_argument("--noise", default="", help=f"any of {', '.join(KINDS)}, with commas")
    parser.add_argument("--keep", type=Path, help="where the reports of the rounds stay")
    parser.add_argument(
        "--write", action="store_true", help="put the figures where the docs have them"
    )
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    found = parser.parse_args(arguments)
    found.noise = tuple(filter(None, found.noise.split(",")))
    if unknown := set(found.noise) - set(KINDS):
        parser.error(f"no such noise: {', '.join(sorted(unknown))}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Run; 1 where a verdict was wrong or a round broke off."""
    options = parse(arguments)
    usual = SHORT if options.short else FULL
    size = Size(
        options.rounds or usual.rounds, options.clean or usual.clean, options.leaks or usual.leaks
    )
    first = options.seed or f"{random.SystemRandom().randrange(10**6):06}"
    tally, broken = Tally(), 0
    with around(options.noise):
        for number in range(size.rounds):
            seed = first if number == 0 else f"{first}-{number}"
            with tempfile.TemporaryDirectory(prefix="soak-") as name:
                folder = options.keep / seed if options.keep else Path(name)
                folder.mkdir(parents=True, exist_ok=True)
                began = time.monotonic()
                steps, records, status = run_round(
                    seed, size, options.noise, options.options, folder
                )
                seconds = time.monotonic() - began
                lines = list(
                    judge_round(
                        tally, seed, steps, records, pymalloc="pymalloc-off" not in options.noise
                    )
                )
                print(*lines[:MOST_LINES], sep="\n")
                if len(lines) > MOST_LINES:
                    print(f"... and {len(lines) - MOST_LINES} lines more")
                # 1: tests failed, as leaks must.
                if status != 1:
                    broken += 1
                    print((folder / "output.txt").read_text("utf-8")[-4_000:])
            tally.seconds += seconds
            tally.seeds.append(seed)
            print(
                f"round {seed}: {len(steps)} tests in {seconds:.0f} s, status {status};"
                f" so far {tally.clean} clean, {tally.false} false,"
                f" {tally.leaks} leaks, {tally.missed} missed,"
                f" {tally.wrong_cause} with a wrong cause,"
                f" {tally.unjudged} unjudged",
                flush=True,
            )
    for name, count in sorted(tally.leaks_by_name.items()):
        print(f"  {count:5} {name}")
    if options.write:
        write_figures(options.noise, tally)
    return 1 if tally.wrong or broken else 0
