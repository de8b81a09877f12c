"""Every benchmark in one run: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import (
    allocation,
    costs,
    documented,
    explaining,
    machine,
    marked,
    own_weight,
    scale,
    suites,
    unmarked,
)
from benchmarks.plan import Plan
from benchmarks.runs import ROOT
from benchmarks.tables import Table

GROUPS: dict[str, Callable[[Plan], Iterator[Table]]] = {
    "unmarked": unmarked.measure,
    "marked": marked.measure,
    "allocation": allocation.measure,
    "scale": scale.measure,
    "explaining": explaining.measure,
    "own-weight": own_weight.measure,
    "suites": suites.measure,
    "costs": costs.measure,
    "documented": documented.measure,
}
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
MINUTE = 60

HEAD = """\
# What pytest-memreturn costs

Written by `make bench`: every figure is from one run on one machine, what is compared ran in
turn. A median stands before its quartiles in brackets. MiB and GiB are binary, as everywhere.
"""


def main() -> int:
    """Measure what the command line asks for; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", metavar="GROUP,...", help=f"some of: {', '.join(GROUPS)}", type=_groups
    )
    parser.add_argument(
        "--quick", action="store_true", help="little of everything, to see that it works"
    )
    parser.add_argument("--alone", action="store_true", help="without the peers, to be done sooner")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="measure that one's package as well"
    )
    parser.add_argument("--sdists", type=Path, default=ROOT / ".sdists", help="where these lie")
    parser.add_argument("--output", type=Path, help="where to write the tables, besides here")
    asked = parser.parse_args()
    against = asked.against and asked.against.resolve()
    plan = Plan(asked.quick, asked.alone, against, asked.sdists.resolve())
    output = asked.output
    if output is None and not (asked.quick or asked.alone or asked.only):
        # What is incomplete never takes the place of what is complete.
        output = RESULTS

    lines = [HEAD, *machine.lines(), ""]
    print("\n".join(lines), flush=True)
    missed: list[str] = []
    for name in asked.only or GROUPS:
        started = time.perf_counter()
        for table in GROUPS[name](plan):
            found = list(table.lines())
            print("\n".join(found), flush=True)
            lines += found
            missed += table.missed
        minutes = (time.perf_counter() - started) / MINUTE
        print(f"{name}: {minutes:.1f} minutes", file=sys.stderr, flush=True)
    verdict = ["## Targets not met", "", *(f"- {one}" for one in missed or ["none"])]
    print("\n".join(verdict), flush=True)
    if output is not None:
        output.write_text("\n".join([*lines, *verdict]) + "\n", encoding="utf-8")
    # Figures of a quick run are too few to miss anything.
    return int(bool(missed) and not asked.quick)


def _groups(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        msg = f"no group is called {', '.join(unknown)}"
        raise argparse.ArgumentTypeError(msg)
    return names


if __name__ == "__main__":
    sys.exit(main())
