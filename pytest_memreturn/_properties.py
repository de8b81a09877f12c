"""The figures of judged tests, for the reports that pytest and other plugins write."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.printable import on_one_line

if TYPE_CHECKING:
    import pytest

    from pytest_memreturn._record import Record

_PREFIX = "memreturn_"
_BYTES = "_bytes"
# Of a record, by its own names; what it has not is left out.
_FIGURES = (
    *("verdict", "retained" + _BYTES, "allowed" + _BYTES, "peak_growth" + _BYTES),
    *("cause", "reason"),
)


def attach(item: pytest.Item, report: pytest.TestReport, records: Iterable[Record]) -> None:
    """Put the figures where JUnit files are made from; on the item, for its reports to come."""
    figures = [one for record in records for one in _figures(record)]
    for properties in (item.user_properties, report.user_properties):
        properties.extend(figures)


def forget(item: pytest.Item) -> None:
    """Take off what an earlier attempt at the same test has left."""
    kept = [one for one in item.user_properties if not _is_ours(one)]
    item.user_properties[:] = kept


def html_lines(report: pytest.TestReport) -> Iterator[str]:
    """The figures on a report, as lines that can be put into HTML."""
    for name, value in filter(_is_ours, getattr(report, "user_properties", ())):
        what, text = name.removeprefix(_PREFIX), value
        if isinstance(value, int):
            what, text = what.replace(_BYTES, "", 1), format_size(value)
        yield html.escape(f"memory {what.replace('_', ' ')}: {text}\n")


def _figures(record: Record) -> Iterator[tuple[str, object]]:
    block = f"[{on_one_line(record.label)}]" if record.label else ""
    for name in _FIGURES:
        value = getattr(record, name)
        if value is not None:
            yield _PREFIX + name + block, on_one_line(value) if isinstance(value, str) else value
    if record.rounds is not None and record.rounds.growth is not None:
        yield _PREFIX + "per_round" + _BYTES + block, record.rounds.per_round_bytes


def _is_ours(one: Sequence[object]) -> bool:
    return str(one[0]).startswith(_PREFIX)
