"""A comparison of two reports as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.printable import joined, on_one_line
from pytest_memreturn.report.same_test import kept_bytes
from pytest_memreturn.report.table import aligned, summary_line
from pytest_memreturn.report.wrapped import labelled, wrapped

if TYPE_CHECKING:
    from pytest_memreturn.report.compared import Change, Comparison, Side
    from pytest_memreturn.report.run import Partial

_HEADINGS = ("old", "new", "change", "cause or verdict", "test")
_MOST_LISTED = 10
_ABSENT = "-"


def render_comparison(
    found: Comparison, *, tolerance_bytes: int, width: int, verbose: bool = False
) -> Iterator[str]:
    """The lines: what makes the reports hard to compare, what changed, and what is worse of it.

    `verbose`: every test has its row, and every one that came or went its name.
    """
    yield from _surroundings(found, width)
    worse = found.worse(tolerance_bytes)
    rows = [
        one
        for one in found.changes
        if verbose or one in worse or one.is_noteworthy(tolerance_bytes)
    ]
    if rows:
        yield ""
        yield "memory retained (MiB)"
        yield from aligned([_HEADINGS, *map(_cells, rows)], width)
    if worse:
        yield ""
        for one in worse:
            yield from wrapped(f"WORSE {on_one_line(str(one.key))} - {_why(one)}", width, rest="  ")
    yield ""
    for label, changes in (("came", found.came()), ("went", found.went())):
        if changes:
            yield from _named(label, changes, width, verbose=verbose)
    left_out = len(found.changes) - len({*map(id, rows), *map(id, found.came() + found.went())})
    if left_out:
        tests = "1 test" if left_out == 1 else f"{left_out} tests"
        yield f"{tests} within {format_size(tolerance_bytes)} of before (-v lists them)"
    yield _conclusion(found, worse)


def _surroundings(found: Comparison, width: int) -> Iterator[str]:
    """What a reader has to know before the figures."""
    for label, run in (("old", found.old), ("new", found.new)):
        if run.partial is not None:
            yield from labelled("partial", f"the {label} report: {in_words(run.partial)}", width)
    for name, old, new in found.differences:
        yield from labelled("differs", on_one_line(f"{name}: {old} → {new}"), width)
    for label, run in (("old", found.old), ("new", found.new)):
        yield from labelled(label, summary_line(run.tally), width)


def in_words(partial: Partial) -> str:
    """Why a report is partial, and which tests never ended."""
    text = f"not all is here: {on_one_line(partial.reason)}"
    if partial.running:
        text += f"; running then: {joined(map(on_one_line, partial.running))}"
    return text


def _cells(one: Change) -> tuple[str, ...]:
    state = " → ".join(dict.fromkeys(side.state for side in (one.old, one.new) if side is not None))
    if one.old is None:
        state = f"came: {state}"
    elif one.new is None:
        state = f"went: {state}"
    judged = _size(one.old) != _ABSENT and _size(one.new) != _ABSENT
    change = f"{float(format_mib(one.growth_bytes)):+.1f}" if judged else _ABSENT
    return _size(one.old), _size(one.new), change, state, on_one_line(_name(one))


def _name(one: Change) -> str:
    counts = [str(side.records) if side is not None else _ABSENT for side in (one.old, one.new)]
    return (
        str(one.key)
        if counts in (["1", "1"], ["1", "-"], ["-", "1"])
        else (f"{one.key} (worst of {' → '.join(dict.fromkeys(counts))})")
    )


def _size(side: Side | None) -> str:
    if side is None or side.worst.verdict == "unjudged":
        return _ABSENT
    return format_mib(kept_bytes(side.worst))


def _why(one: Change) -> str:
    """In what a test is worse."""
    assert one.new is not None  # or it would not be
    new, old = one.new.worst, None if one.old is None else one.old.worst
    if new.verdict == "unjudged":
        return f"cannot be judged any more: {on_one_line(new.reason or 'no reason known')}"
    keeps = f"keeps {format_size(kept_bytes(new))} ({one.new.state})"
    if old is None:
        return f"{keeps}, and was not there before"
    if old.verdict == "unjudged":
        return f"{keeps}, and was {old.own_outcome or old.verdict} before"
    more = one.growth_bytes
    keeps += f", {format_size(more)} more than before" if more > 0 else ", no more than before"
    if new.verdict != old.verdict and old.allowed_bytes != new.allowed_bytes:
        now, before = (format_size(size.allowed_bytes or 0) for size in (new, old))
        keeps += f"; {now} is allowed, {before} was"
    return keeps


def _named(label: str, changes: Sequence[Change], width: int, *, verbose: bool) -> Iterator[str]:
    most = None if verbose else _MOST_LISTED
    names = [on_one_line(str(one.key)) for one in changes[:most]]
    if len(changes) > len(names):
        names.append(f"{len(changes) - len(names)} more (-v names them)")
    for name in names:
        yield from labelled(label, name, width)
        label = ""


def _conclusion(found: Comparison, worse: Sequence[Change]) -> str:
    both = sum(one.old is not None and one.new is not None for one in found.changes)
    counts = [f"{both} in both reports", f"{len(found.came())} came", f"{len(found.went())} went"]
    result = f"{len(worse)} worse" if worse else "none is worse"
    return f"{', '.join(counts)}: {result}"
