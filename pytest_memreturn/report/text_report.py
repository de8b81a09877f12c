"""A whole report as text: the table, then what retained memory and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_memreturn.report.comparison_text import in_words
from pytest_memreturn.report.environments import others_in_words
from pytest_memreturn.report.message import render_message
from pytest_memreturn.report.printable import joined, on_one_line
from pytest_memreturn.report.same_test import kept_bytes
from pytest_memreturn.report.table import TITLE, render_table, summary_line, unjudged_line
from pytest_memreturn.report.wrapped import labelled, wrapped

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.report.run import Run


def render_text(run: Run, *, width: int, verbosity: int = 0) -> Iterator[str]:
    """The lines, of at most `width` columns where words allow it.

    What is missing in a partial report comes first, since all the rest is to be read with it.
    """
    if run.partial is not None:
        yield from labelled("partial", in_words(run.partial), width)
    yield from _environment_lines(run.environment, width)
    records = list(run.records)
    if records:
        yield ""
        yield f"{TITLE} (MiB)"
        yield from (row.text for row in render_table(records, width))
    yield summary_line(run.tally)
    for one in sorted(records, key=lambda one: -kept_bytes(one)):
        if one.verdict == "retained":
            yield ""
            yield from wrapped(_heading(one), width)
            yield from render_message(one, width=width, verbosity=verbosity)
    unjudged = [line for one in records if (line := unjudged_line(one)) is not None]
    if unjudged:
        yield ""
        for line in unjudged:
            yield from wrapped(line, width, rest="  ")


def _heading(record: Record) -> str:
    """Which test it is, where, and who ran it; blocks are named by their messages."""
    places = [one for one in (record.location, record.worker) if one is not None]
    return record.nodeid + (f" ({', '.join(places)})" if places else "")


def _environment_lines(environment: Mapping[str, Any], width: int) -> Iterator[str]:
    """Where it was measured, as far as the report tells."""
    versions = environment.get("versions", {})
    own = versions.get("pytest-memreturn")
    measured = [
        " ".join(str(environment.get(key) or "") for key in ("implementation", "python")),
        environment.get("libc"),
        environment.get("kernel"),
        f"pytest-memreturn {own}" if own else None,
    ]
    read = [
        f"probe {environment.get('probe') or 'none'}",
        f"allocators {', '.join(environment.get('allocators', ())) or 'none'}",
        f"huge pages {environment.get('huge_pages') or 'unknown'}",
    ]
    yield from _facts("measured", measured, width)
    yield from _facts("read by", read, width)
    variables = environment.get("variables", {})
    yield from _facts("variables", [f"{key}={value}" for key, value in variables.items()], width)
    for name, reason in environment.get("unavailable", {}).items():
        yield from labelled("silent", on_one_line(f"{name}: {reason}"), width)
    if (others := others_in_words(environment)) is not None:
        yield from labelled("and in", others, width)


def _facts(label: str, facts: Sequence[str | None], width: int) -> Iterator[str]:
    known = [on_one_line(one) for one in facts if one is not None and one.strip()]
    if known:
        yield from labelled(label, joined(known), width)
