"""The failure message: one record in, about eight lines out."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pytest_memreturn._ledger import UNEXPLAINED
from pytest_memreturn._sizes import MIB, format_mib, format_size
from pytest_memreturn.report.causes import advice_for, cause_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_memreturn._record import Record

_INDENT = "  "
_LABEL_WIDTH = 11
# What would print as 0.0 MiB says nothing.
_SHOWN_FROM_BYTES = MIB // 20
_SURVIVORS_NAMED = 3
# A trim is worth naming when it returns this part of what was retained.
_WORTH_NAMING = 1 / 10


def render_message(record: Record, *, width: int = 100, verbosity: int = 0) -> list[str]:
    """The lines of the message for a record that retained, at most `width` columns each.

    From a verbosity of 2 on, every account, every listed survivor and exact bytes are shown.
    """
    lines = [_headline(record)]
    for label, text in _entries(record, verbosity):
        lines += textwrap.wrap(
            text,
            width,
            initial_indent=_INDENT + label.ljust(_LABEL_WIDTH),
            subsequent_indent=" " * (len(_INDENT) + _LABEL_WIDTH),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _headline(record: Record) -> str:
    what = f"{record.label}: " if record.label else ""
    kept = format_size(record.retained_bytes or 0)
    allowed = format_size(record.allowed_bytes or 0)
    return f"{what}kept {kept} (allowed {allowed}, {record.allowed_origin})"


def _entries(record: Record, verbosity: int) -> Iterator[tuple[str, str]]:
    yield "footprint", _footprint(record)
    for slug, size in (record.causes or {}).items():
        label = "cause" if slug == record.cause else "and"
        yield label, f"{slug}: {format_size(size)} is {cause_in_words(slug)}"
    yield "where", _accounts(record, verbosity)
    survivors = record.explanation.survivors if record.explanation else ()
    if survivors and "live-python" in (record.causes or {}):
        named = survivors if verbosity > 1 else survivors[:_SURVIVORS_NAMED]
        yield (
            "survivors",
            " · ".join(f"{one.count:,} {one.type} {format_size(one.bytes)}" for one in named),
        )
    for advice in _advice(record):
        yield "try", advice
    if verbosity > 1:
        shown = record.shown or {}
        yield (
            "not counted",
            " · ".join(
                f"{name} {format_size(size, sign=True)}" if size is not None else f"{name} unknown"
                for name, size in shown.items()
            ),
        )
        yield "exact", f"{record.retained_bytes:,} bytes kept, {record.allowed_bytes:,} allowed"


def _footprint(record: Record) -> str:
    readings = record.readings or {}
    baseline = readings.get("baseline") or 0
    at_least = "≥ " if record.peak_quality == "at-least" else ""
    peak = format_mib(baseline + (record.peak_growth_bytes or 0))
    text = f"{format_mib(baseline)} → peak {at_least}{peak} → "
    rungs = (("end", "MiB at the end"), ("collect", "after gc"), ("trim", "after trim"))
    return text + " · ".join(
        f"{format_mib(size)} {words}"
        for rung, words in rungs
        if (size := readings.get(rung)) is not None
    )


def _accounts(record: Record, verbosity: int) -> str:
    ledger = record.ledger or {}
    named = {
        account: size
        for account, size in ledger.items()
        if account != UNEXPLAINED and (abs(size) >= _SHOWN_FROM_BYTES or (verbosity > 1 and size))
    }
    parts = [f"{account} {format_mib(size)}" for account, size in named.items()]
    parts.append(f"{UNEXPLAINED} {format_mib(ledger.get(UNEXPLAINED, 0))} MiB")
    return " · ".join(parts)


def _advice(record: Record) -> Iterator[str]:
    readings = record.readings or {}
    at_gate, after_trim = readings.get(record.gate), readings.get("trim")
    if record.gate != "trim" and at_gate is not None and after_trim is not None:
        returns = at_gate - after_trim
        if returns > (record.retained_bytes or 0) * _WORTH_NAMING:
            yield f"trim=True (tried: returns {format_size(returns)})"
    advice = advice_for(record.cause or UNEXPLAINED)
    if advice is not None:
        yield advice
