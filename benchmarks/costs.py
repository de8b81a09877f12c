"""What each reading costs that a judged test may pay for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.pairs import percentile, spread
from benchmarks.plan import Plan
from benchmarks.runs import ROOT, place
from benchmarks.tables import Table


def measure(plan: Plan) -> Iterator[Table]:
    """Every reading by itself."""
    table = Table(
        "Single readings",
        ("reading", "median, µs", "95 %, µs"),
        "In a small process without pytest.",
    )
    command = [sys.executable, str(ROOT / "benchmarks" / "readings.py")]
    command += ["each", str(plan.pick(400, 3))]
    with plan.folder() as folder:
        environment = place(folder).environment()
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
    for name, seconds in json.loads(ended.stdout).items():
        microseconds = [1e6 * one for one in seconds]
        median, high = spread(microseconds).median, percentile(microseconds, 95)
        table.add(name, f"{median:.1f}", f"{high:.1f}")
    yield table
