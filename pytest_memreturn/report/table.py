"""The table at the end of a run: records in, lines out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.names import name_of, state_of
from pytest_memreturn.report.printable import on_one_line

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn._verdict import Outcome
    from pytest_memreturn.report.tally import Tally

TITLE = "memory returned to the operating system"
_HEADINGS = ("retained", "peak", "allowed", "cause or verdict", "test")
_NUMBERS = 3
_GAP = "  "
_CUT = "…"
_BOUNDARY = re.compile(r"/|::")
_LEAST_NAME_WIDTH = 20


class Row(NamedTuple):
    """One line of the table, and the verdict it is about; ``None`` for the headings."""

    text: str
    verdict: Outcome | None


def render_table(records: Iterable[Record], width: int) -> Iterator[Row]:
    """One row for each record, most retained first, then what was not judged; sizes in MiB."""
    found = sorted_records(records)
    verdicts = [None, *(one.verdict for one in found)]
    rows = aligned([_HEADINGS, *map(_cells, found)], width)
    yield from map(Row, rows, verdicts)


def aligned(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Rows of three figures, a word and a name, one below the other.

    A name is cut at its front where `width` columns are too few: its end tells more.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    name_width = max(_LEAST_NAME_WIDTH, width - sum(widths) - len(_GAP) * len(widths))
    for row in rows:
        cells = [
            cell.rjust(columns) if index < _NUMBERS else cell.ljust(columns)
            for index, (cell, columns) in enumerate(zip(row, widths, strict=False))
        ]
        yield _GAP.join([*cells, shortened(row[-1], name_width)]).rstrip()


def sorted_records(records: Iterable[Record]) -> list[Record]:
    """Most retained first, then what was not judged."""
    return sorted(records, key=lambda one: (one.verdict == "unjudged", -(one.retained_bytes or 0)))


def summary_line(tally: Tally) -> str:
    """How many tests were judged, and with what result."""
    recorded = f" ({tally.recorded} as recorded)" if tally.recorded else ""
    text = f"{tally.judged} judged: {tally.returned} returned{recorded}, {tally.retained} retained"
    if tally.retained:
        text += f" ({format_size(tally.retained_bytes)})"
    return f"{text}, {tally.unjudged} unjudged" if tally.unjudged else text


def unjudged_line(record: Record) -> str | None:
    """For a test that should have been judged and could not be: the reason."""
    if record.verdict != "unjudged" or record.own_outcome is not None:
        return None
    return f"UNJUDGED {_name(record)} - {on_one_line(record.reason or 'no reason known')}"


def _cells(record: Record) -> tuple[str, ...]:
    if record.verdict == "unjudged":
        return ("-", "-", "-", state_of(record), _name(record))
    at_least = "≥" if record.peak_quality == "at-least" else ""
    return (
        format_mib(record.retained_bytes or 0),
        at_least + format_mib(record.peak_growth_bytes or 0),
        format_mib(record.allowed_bytes or 0),
        state_of(record),
        _name(record),
    )


def _name(record: Record) -> str:
    return on_one_line(name_of(record))


def shortened(name: str, width: int) -> str:
    """The end of `name` that fits, from the beginning of a folder, file or test on if it can be."""
    if len(name) <= width:
        return name
    before_parameters, _, _ = name.partition("[")
    room = width - len(_CUT)
    for boundary in _BOUNDARY.finditer(before_parameters):
        end = name[boundary.start() if boundary[0] == "::" else boundary.end() :]
        if len(end) <= room:
            return _CUT + end
    return _CUT + name[len(name) - room :]
