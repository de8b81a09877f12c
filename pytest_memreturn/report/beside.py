"""The verdict beside the outcome of a test, in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pytest_memreturn._record import LABELLED
from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.names import state_of

if TYPE_CHECKING:
    from pytest_memreturn._record import Record

# Alone, or with the colours that somebody wants it in.
Word: TypeAlias = str | tuple[str, Mapping[str, bool]]


def with_verdict(word: Word, records: Sequence[Record]) -> Word:
    """The word for a test's outcome, with what its records say behind it.

    An outcome that nobody has a word for gets none.
    """
    plain, colours = (word, None) if isinstance(word, str) else word
    verdict = _verdict(records)
    if not plain or not verdict:
        return word
    text = f"{plain} [{verdict}]"
    return text if colours is None else (text, colours)


def _verdict(records: Sequence[Record]) -> str:
    """Of the test where it was judged, or of the block that kept most."""
    # One that ended in its own way is no news beside its outcome.
    told = [one for one in records if one.verdict != "unjudged" or one.own_outcome is None]
    if not told:
        return ""
    first = max(told, key=_weight)
    others = len(told) - 1
    blocks = f", and {others} more block{'s' if others > 1 else ''}" if others else ""
    return _words(first) + blocks


def _weight(record: Record) -> tuple[bool, bool, int]:
    return record.window not in LABELLED, record.verdict == "retained", record.retained_bytes or 0


def _words(record: Record) -> str:
    kept_bytes = record.retained_bytes or 0
    if record.verdict == "retained":
        words = f"retained {format_size(kept_bytes)}"
        words += f", {record.cause}" if record.cause else ""
    elif record.verdict == "returned" and kept_bytes > 0:
        words = f"{state_of(record)}, kept {format_size(kept_bytes)}"
    else:
        words = record.verdict
    return f"{record.label}: {words}" if record.label else words
