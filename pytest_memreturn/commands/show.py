"""``show``: a saved report as text, or in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_memreturn.commands import _streams
from pytest_memreturn.report.formats import FORMATS
from pytest_memreturn.report.holders import VERBOSE
from pytest_memreturn.report.run import Run
from pytest_memreturn.report.tally import Tally
from pytest_memreturn.report.text_report import render_text

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "show"
HELP = "a saved JSON report as text"
DESCRIPTION = (
    "Show a report that --memreturn-report=PATH.json wrote: the table, then for each test that "
    "retained memory who has it and what would return it, then what could not be judged."
)
STATUSES = {
    0: "shown",
    1: "no test has SUBSTRING in its node id",
    2: "wrong usage, or a report that cannot be read or written",
}

_TEXT = "text"


def declare(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("report", metavar="REPORT", help="a JSON report; - is standard input")
    parser.add_argument(
        *("-v", "--verbose"), action="store_true", help="all that is known, as with pytest -vv"
    )
    parser.add_argument(
        "--test", metavar="SUBSTRING", help="only tests with this in their node id or label"
    )
    parser.add_argument(
        "--format",
        choices=(_TEXT, *FORMATS),
        help=f"what to write; by default by the suffix of --output, without one {_TEXT}",
    )
    parser.add_argument(
        *("-o", "--output"), metavar="PATH", help="write to a file; - is standard output"
    )
    _streams.add_width(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read, choose and write."""
    found = _streams.read(arguments.report)
    if arguments.test is not None:
        found = _only(found, arguments.test)
    _streams.write(_pieces(found, arguments), arguments.output)
    return 1 if arguments.test is not None and not list(found.records) else 0


def _only(run: Run, substring: str) -> Run:
    records = tuple(
        one for one in run.records if substring in one.nodeid or substring in (one.label or "")
    )
    return Run(records, Tally.of(records), run.environment, run.partial)


def _pieces(run: Run, arguments: argparse.Namespace) -> Iterable[str]:
    suffix = Path(arguments.output or "").suffix
    by_suffix = next((name for name, one in FORMATS.items() if one.suffix == suffix), _TEXT)
    chosen = arguments.format or by_suffix
    if chosen != _TEXT:
        if (problem := FORMATS[chosen].missing(chosen)) is not None:
            raise _streams.CommandError(f"the format {chosen} {problem}")
        return FORMATS[chosen].render(run)
    verbosity = VERBOSE if arguments.verbose else 0
    width = _streams.width_of(arguments)
    return _streams.lines(render_text(run, width=width, verbosity=verbosity))
