"""``doctor``: what this machine can measure, and how finely."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_memreturn.commands import _streams
from pytest_memreturn.probes.names import PROBE_NAMES
from pytest_memreturn.report.checkup_text import render_checkup

if TYPE_CHECKING:
    import argparse

NAME = "doctor"
HELP = "what this machine can measure, and how finely"
DESCRIPTION = (
    "Measure what can be measured here: which readings work, which allocators answer, what an "
    "empty test reads, what is unknown or unjudged and what would change that. It takes some "
    "seconds, and 8 MiB of memory."
)
STATUSES = {
    0: "tests can be judged here",
    1: "tests would be unjudged: the lines marked x say why",
    2: "wrong usage",
}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("--json", action="store_true", help="the same as JSON, for programs")
    parser.add_argument(
        "--probe",
        choices=PROBE_NAMES,
        default="auto",
        help="what reads memory, as the ini option memreturn_probe; by default auto",
    )
    _streams.add_width(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examine, and tell."""
    from pytest_memreturn._measure import instruments
    from pytest_memreturn.doctor.examination import examine

    found = examine(lambda: instruments(arguments.probe))
    if arguments.json:
        _streams.write([json.dumps(found.to_dict(), indent=1), "\n"], None)
    else:
        text = render_checkup(found, width=_streams.width_of(arguments))
        _streams.write(_streams.lines(text), None)
    return 0 if found.judges else 1
