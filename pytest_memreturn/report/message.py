"""The failure message: one record in, about eight lines out."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pytest_memreturn._ledger import UNEXPLAINED
from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.causes import advice_for, cause_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_memreturn._record import Record, SurvivorType

_INDENT = "  "
_LABEL_WIDTH = 11
_SURVIVORS_NAMED = 3
_VERBOSE = 2
# A trim is worth naming when it returns this part of what was retained.
_WORTH_NAMING = 1 / 10
# Keeps a figure and its words on one line while the text around them is wrapped.
_NO_BREAK = "\N{NO-BREAK SPACE}"


def headline(record: Record) -> str:
    """The first line, which also has to stand alone in a summary."""
    what = f"{record.label}: " if record.label else ""
    kept = format_size(record.retained_bytes or 0)
    allowed = format_size(record.allowed_bytes or 0)
    return " ".join(f"{what}kept {kept} (allowed {allowed}, {record.allowed_origin})".split())


def render_message(record: Record, *, width: int = 100, verbosity: int = 0) -> list[str]:
    """The lines of the message for a record that retained, at most `width` columns each.

    From a verbosity of 2 on, every account, every listed survivor and exact bytes are shown.
    """
    lines = _wrapped(headline(record), width, first="", rest=_INDENT)
    for label, text in _entries(record, verbosity):
        first = _INDENT + label.ljust(_LABEL_WIDTH)
        lines += _wrapped(text, width, first=first, rest=" " * len(first))
    return lines


def _wrapped(text: str, width: int, *, first: str, rest: str) -> list[str]:
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _joined(parts: Iterable[str]) -> str:
    # The dot stays with what it follows.
    return f"{_NO_BREAK}· ".join(part.replace(" ", _NO_BREAK) for part in parts)


def _entries(record: Record, verbosity: int) -> Iterator[tuple[str, str]]:
    causes = record.causes or {}
    yield "footprint", _footprint(record)
    for slug, size in causes.items():
        label = "cause" if slug == record.cause else "and"
        yield label, f"{slug}: {format_size(size)} is {cause_in_words(slug)}"
    yield "where", _accounts(record, verbosity)
    survivors = record.explanation.survivors if record.explanation else ()
    named = survivors if verbosity >= _VERBOSE else survivors[:_SURVIVORS_NAMED]
    if named and "live-python" in causes:
        yield "survivors", _joined(_survivor(one) for one in named)
    elif named and "pinned-python" in causes:
        yield "pinned by", _joined(_survivor(one) for one in named)
    for advice in _advice(record):
        yield "try", advice
    if verbosity >= _VERBOSE:
        if record.shown:
            yield (
                "uncounted",
                _joined(
                    f"{name} {'unknown' if size is None else format_size(size, sign=True)}"
                    for name, size in record.shown.items()
                ),
            )
        yield "exact", f"{record.retained_bytes:,} bytes kept, {record.allowed_bytes:,} allowed"


def _footprint(record: Record) -> str:
    readings = record.readings or {}
    baseline = readings.get("baseline") or 0
    at_least = "≥ " if record.peak_quality == "at-least" else ""
    peak = format_mib(baseline + (record.peak_growth_bytes or 0))
    steps = [format_mib(baseline), f"peak {at_least}{peak}"]
    for rung, words in (("end", "end"), ("collect", "gc"), ("trim", "trim")):
        size = readings.get(rung)
        if size is not None:
            steps.append(f"{words} {format_mib(size)}")
    return " → ".join(step.replace(" ", _NO_BREAK) for step in steps) + f"{_NO_BREAK}MiB"


def _accounts(record: Record, verbosity: int) -> str:
    ledger = record.ledger or {}
    parts = [
        f"{account} {format_mib(size)}"
        for account, size in ledger.items()
        if account != UNEXPLAINED
        and (format_mib(size) != "0.0" or (verbosity >= _VERBOSE and size))
    ]
    parts.append(f"{UNEXPLAINED} {format_mib(ledger.get(UNEXPLAINED, 0))} (MiB)")
    return _joined(parts)


def _survivor(found: SurvivorType) -> str:
    return f"{found.count:,} × {found.type} {format_size(found.bytes)}"


def _advice(record: Record) -> Iterator[str]:
    """What to try, for the first cause first."""
    advice = advice_for(record.cause or UNEXPLAINED)
    if record.cause == UNEXPLAINED and "mapped" in (record.ledger or {}):
        advice = None  # there was a layout: no other probe sees more
    if advice is not None:
        yield advice
    readings, causes = record.readings or {}, record.causes or {}
    worth_naming = (record.retained_bytes or 0) * _WORTH_NAMING
    at_gate, after_trim = readings.get(record.gate), readings.get("trim")
    if at_gate is None or after_trim is None:
        return
    returns = at_gate - after_trim
    if returns > worth_naming:
        yield (
            f"a trim (tried: returns {format_size(returns)}): trim=True judges after one; "
            "in production call malloc_trim(0) when such work is done"
        )
    if causes.get("held-by-malloc", 0) - returns > worth_naming:
        yield (
            "MALLOC_TRIM_THRESHOLD_=131072 at process start (not tried): what is free at the top "
            "of a thread's arena is out of a trim's reach"
        )
