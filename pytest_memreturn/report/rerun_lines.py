"""What re-runs in fresh interpreters told, in lines of the failure message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.advice import matters, recommended
from pytest_memreturn.report.holders import VERBOSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_memreturn._explanation import Explanation, Line, Remedy
    from pytest_memreturn._record import Record

# How many lines of code are named where nobody asked for more.
_LINES = 2


def rerun_lines(record: Record, found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """All of it but for the remedies that helped: those are advice."""
    verbose = verbosity >= VERBOSE
    if found.one_time:
        kept = format_size(record.retained_bytes or 0)
        yield "one-time", f"{kept} on first use: a second call in the same process keeps no more"
    for line in found.lines if verbose else found.lines[:_LINES]:
        if verbose or matters(record, line.bytes):
            yield "line", _line(line)
    for reason in found.incomplete if verbose else found.incomplete[:1]:
        yield "incomplete", reason
    for remedy in found.remedies if verbose else ():
        yield "remedy", _remedy(record, remedy)


def _line(found: Line) -> str:
    source = f" {found.source}" if found.source else ""
    native = f" (native: {found.native})" if found.native else ""
    return f"{format_size(found.bytes)} {found.file}:{found.line}{source}{native}"


def _remedy(record: Record, remedy: Remedy) -> str:
    """A row of the table of all that was tried."""
    if remedy.retained_bytes is None or remedy.returns_bytes is None:
        return f"{remedy.name}: not known: {remedy.reason}"
    kept, returns = format_size(remedy.retained_bytes), format_size(remedy.returns_bytes, sign=True)
    figures = f"{remedy.name}: keeps {kept}, returns {returns}"
    return f"{figures}: {remedy.how}" if recommended(record, remedy) else figures
