"""Captured output that is too long to be kept whole: its beginning, its end, and a word between."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pytest_memreturn._sizes import MIB, format_size

# A test that says more than a book is read at both ends. With its reports, this much is in memory
# at once, and stays there where pytest keeps the reports of a run.
MOST_CHARACTERS = 8 * MIB


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, or what `most` allows of it, with how much is missing where it is missing."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}{_gap(len(text) - most)}{text[len(text) - most // 2 :]}"


def all_shortened(sections: Iterable[Iterable[str]]) -> list[tuple[str, str]]:
    """The sections of a report, each with what `MOST_CHARACTERS` allows of it."""
    return [(name, shortened(text)) for name, text in sections]


def read_shortened(descriptor: int, most: int = MOST_CHARACTERS) -> str:
    """What is in a file, without more of it in memory than is kept; its position stays."""
    size = os.fstat(descriptor).st_size
    if size <= most:
        return _text(os.pread(descriptor, size, 0))
    first = os.pread(descriptor, most // 2, 0)
    last = os.pread(descriptor, most // 2, size - most // 2)
    return f"{_text(first)}{_gap(size - most)}{_text(last)}"


def _gap(missing: int) -> str:
    return (
        f"\n[memreturn: {format_size(missing)} of output are left out here; -s shows all of it]\n"
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
