"""Lines of a label and a text, folded where they are too long."""

from __future__ import annotations

import re
import textwrap

from pytest_memreturn.report.printable import NO_BREAK, printable

INDENT = "  "
LABEL_WIDTH = 11
# Between a figure and its unit, where no line is folded.
_UNIT = re.compile(r"(?<=\d) (?=[KMGT]?i?B\b)")


def labelled(label: str, text: str, width: int, *, label_width: int = LABEL_WIDTH) -> list[str]:
    """The text beside its label, and below itself where it has several lines."""
    first = INDENT + label.ljust(label_width)
    return wrapped(text, width, first=first, rest=" " * len(first))


def wrapped(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """The text in lines of at most `width` columns, but for words that are longer."""
    lines = textwrap.wrap(
        _UNIT.sub(NO_BREAK, printable(text)),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]
