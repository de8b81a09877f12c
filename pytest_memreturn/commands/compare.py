"""``compare``: what tests keep now, and kept before."""

from __future__ import annotations

import argparse

from pytest_memreturn._sizes import MIB, format_size, parse_size
from pytest_memreturn.commands import _streams
from pytest_memreturn.report.compared import compared
from pytest_memreturn.report.comparison_text import render_comparison

NAME = "compare"
HELP = "two reports: what retains more than it did"
DESCRIPTION = (
    "Compare two reports, test by test: what is retained, verdicts that changed, tests that came "
    "or went. Where a report has several records of a test, the worst counts. Differences of the "
    "environments are said first."
)
STATUSES = {
    0: "nothing is worse",
    1: "a test retains more, by more than --tolerance, or its verdict became worse",
    2: "wrong usage, or a report that cannot be read",
}

# An arena of CPython's small-object allocator: which test happens to begin one is chance.
DEFAULT_TOLERANCE_BYTES = MIB


def declare(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    for name in ("old", "new"):
        parser.add_argument(name, metavar=name.upper(), help="a JSON report; - is standard input")
    parser.add_argument(
        "--tolerance",
        metavar="SIZE",
        type=_size,
        default=DEFAULT_TOLERANCE_BYTES,
        help="how much more a test may retain before it counts as worse; by default "
        f"{format_size(DEFAULT_TOLERANCE_BYTES)}",
    )
    parser.add_argument(
        *("-v", "--verbose"), action="store_true", help="every test, whether it changed or not"
    )
    _streams.add_width(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read both, and tell."""
    (_, old), (_, new) = _streams.read_all((arguments.old, arguments.new))
    found = compared(old, new)
    text = render_comparison(
        found,
        tolerance_bytes=arguments.tolerance,
        width=_streams.width_of(arguments),
        verbose=arguments.verbose,
    )
    _streams.write(_streams.lines(text), None)
    return 1 if found.worse(arguments.tolerance) else 0


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
