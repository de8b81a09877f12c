"""What isolation is good for, and what it costs.

python benchmarks/isolation.py            all of it
python benchmarks/isolation.py orders     verdicts in 20 random orders, isolated and not
python benchmarks/isolation.py same       what tests retain isolated, and in a run of their own
python benchmarks/isolation.py overhead   what it takes per test
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests" / "real"
ORDERS = TESTS / "workloads_orders.py"
NAMES = ("test_parses", "test_frees_an_array", "test_looks_up", "test_looks_up_too")

# Of other kinds: small objects, libraries, threads, children; what stays, and what does not.
WORKLOADS = TESTS / "workloads.py"

# Enough for the spread to be small; each takes a tenth of a second or so.
MANY = 100
MIB = 2**20

EMPTY = f"""
import pytest
@pytest.mark.parametrize("number", range({MANY}))
def test_nothing(number): pass
"""


def run(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The records of a run of pytest without other plugins."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--memreturn"]
    ended = subprocess.run(
        [*command, f"--memreturn-report={report}", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_memreturn.plugin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {0, 1}, ended.stdout + ended.stderr
    found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["tests"]
    return found


def name_of(record: dict[str, Any]) -> str:
    """The name of the test."""
    return str(record["nodeid"]).rpartition("::")[2]


def orders(folder: Path) -> None:
    """How often each test had which verdict, in the same 20 orders."""
    (folder / "test_orders.py").write_bytes(ORDERS.read_bytes())
    chance = random.Random(7)  # noqa: S311 - the same orders each time
    all_orders = [chance.sample(NAMES, len(NAMES)) for _ in range(20)]
    for title, options in (("in one process", []), ("isolated", ["--memreturn-isolate"])):
        seen: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
        whole: Counter[tuple[str, ...]] = Counter()
        for order in all_orders:
            records = {
                name_of(one): one["verdict"]
                for one in run(folder, *options, *(f"test_orders.py::{name}" for name in order))
            }
            for name in NAMES:
                seen[name][records[name]] += 1
            whole[tuple(records[name] for name in NAMES)] += 1
        print(f"{title}: {len(whole)} different outcomes of the suite in {len(all_orders)} orders")
        for name, verdicts in seen.items():
            print(f"  {name}: " + ", ".join(f"{count} × {one}" for one, count in verdicts.items()))


def same(folder: Path) -> None:
    """What each test retains in a run of its own, and isolated: verdicts and bytes."""
    (folder / "test_workloads.py").write_bytes(WORKLOADS.read_bytes())
    isolated = {
        name_of(one): one for one in run(folder, "--memreturn-isolate", "test_workloads.py")
    }
    agree, apart_bytes = 0, []
    for name, one in isolated.items():
        (alone,) = run(folder, f"test_workloads.py::{name}")
        agree += alone["verdict"] == one["verdict"]
        if alone["verdict"] != one["verdict"] or alone["cause"] != one["cause"]:
            print(f"  {name}: {alone['verdict']} {alone['cause']}, {one['verdict']} {one['cause']}")
        if alone["retained_bytes"] is not None and one["retained_bytes"] is not None:
            apart_bytes.append(abs(alone["retained_bytes"] - one["retained_bytes"]))
    print(
        f"same: {agree} of {len(isolated)} verdicts; bytes apart: "
        f"median {statistics.median(apart_bytes) / MIB:.2f} MiB, "
        f"at most {max(apart_bytes) / MIB:.2f} MiB"
    )


def overhead(folder: Path) -> None:
    """Seconds per empty test, by the clock and of the processors."""
    (folder / "test_empty.py").write_text(EMPTY, encoding="utf-8")
    found = []
    for options in ([], ["--memreturn-isolate"]):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        records = run(folder, *options, "test_empty.py")
        took = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert len(records) == MANY
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((took, cpu))
        if options:
            each = [one["isolation"]["overhead_seconds"] for one in records]
            print(
                f"overhead: the first {each[0] * 1000:.0f} ms, "
                f"median {statistics.median(each) * 1000:.0f} ms by the clock"
            )
    (plain, plain_cpu), (isolated, isolated_cpu) = found
    print(
        f"overhead: per test {(isolated - plain) / MANY * 1000:.0f} ms by the clock, "
        f"{(isolated_cpu - plain_cpu) / MANY * 1000:.0f} ms of a processor"
    )


PARTS = {"orders": orders, "same": same, "overhead": overhead}


def main(names: Sequence[str]) -> None:
    """Measure what is named, or all."""
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
