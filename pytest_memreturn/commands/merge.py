"""``merge``: several reports into one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_memreturn.commands import _streams
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.merged import (
    DUPLICATES,
    MergeRefusedError,
    Named,
    different_environments,
    merged,
)
from pytest_memreturn.report.printable import printable

if TYPE_CHECKING:
    import argparse

NAME = "merge"
HELP = "several reports into one, such as those of shards"
DESCRIPTION = (
    "Make one JSON report of several: shards of a suite, or runs of several machines. Records are "
    "sorted by node id, so that the order of the reports makes no difference. A partial report "
    "makes the merged one partial."
)
STATUSES = {
    0: "merged",
    1: "refused: the same test in several reports, or environments that differ",
    2: "wrong usage, or a report that cannot be read or written",
}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument(
        "reports", metavar="REPORT", nargs="+", help="a JSON report; - is standard input"
    )
    parser.add_argument(
        *("-o", "--output"),
        metavar="PATH",
        help="write to a file, whole or not at all; by default, and for -, to standard output",
    )
    parser.add_argument(
        "--duplicates",
        choices=DUPLICATES,
        default="error",
        help="where several reports have the same test: refuse (the default), or take the records "
        "of the first report, the last, or the one with the worst verdict",
    )
    parser.add_argument(
        "--allow-different-environments",
        action="store_true",
        help="merge reports of different Pythons, C libraries, kernels or variables, too",
    )


def run(arguments: argparse.Namespace) -> int:
    """Read all, merge and write."""
    reports = [Named(name, run) for name, run in _streams.read_all(arguments.reports)]
    try:
        whole = merged(
            reports,
            duplicates=arguments.duplicates,
            allow_different_environments=arguments.allow_different_environments,
        )
    except MergeRefusedError as error:
        _say("not merged:", *str(error).split("\n"))
        return 1
    _streams.write(json_report(whole), arguments.output)
    for one in reports:
        if one.run.partial is not None:
            _say(f"partial: {one.name}: {one.run.partial.reason}")
    differing = list(different_environments(reports))
    if differing:
        _say("merged from environments that differ:", *differing)
    return 0


def _say(*texts: str) -> None:
    """To standard error, beside what may be a report on standard output."""
    for text in texts:
        sys.stderr.write(f"{printable(text)}\n")
