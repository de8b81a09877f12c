"""Text from anywhere, put into GitHub's Markdown so that it stays text."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from pytest_memreturn.report.printable import on_one_line

_MOST_CHARACTERS = 200
_CUT = "…"
# Nothing that Markdown or GitHub could take for anything else: no mark, link, mention, reference
# to an issue or commit.
_PLAIN = re.compile(
    r"(?!\d+[.)])(?!.*[0-9a-f]{7})"
    r"[A-Za-z0-9(]([A-Za-z0-9 ,()%]|[.:;](?= |$)|(?<=\d)\.(?=\d)|(?<=[a-z])-(?=[a-z]))*",
    re.ASCII,
)
_BACKTICKS = re.compile("`+")
_LEAST_FENCE = 3


def name(text: str) -> str:
    """The text on one line, cut in its middle where it is longer than anybody reads."""
    line = on_one_line(text)
    if len(line) <= _MOST_CHARACTERS:
        return line
    half = _MOST_CHARACTERS // 2
    return line[:half] + _CUT + line[-half + len(_CUT) :]


def code(text: str) -> str:
    """A name as code, in which nothing is a mark, a mention or a link; fit for a table's cell.

    A bar ends a cell even inside code, and parsers differ on how to escape one that follows a
    backslash: it stands between two pieces of code, by its number.
    """
    return "&#124;".join(_span(piece) for piece in name(text).split("|"))


def words(text: str) -> str:
    """A sentence: as it is where it can't be taken for anything else, and as code otherwise."""
    line = name(text)
    return line if _PLAIN.fullmatch(line) else code(line)


def html_code(text: str) -> str:
    """A name as code inside a block of HTML, where Markdown has no say."""
    return f"<code>{html.escape(name(text))}</code>"


def fenced(lines: Sequence[str]) -> str:
    """Lines in a block of their own, whose fence is longer than any that is in them."""
    text = "\n".join(lines)
    fence = "`" * max(_LEAST_FENCE, 1 + _longest_run(text))
    return f"{fence}text\n{text}\n{fence}\n"


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |\n"


def _span(piece: str) -> str:
    if not piece:
        return ""
    marks = "`" * (1 + _longest_run(piece))
    # One space is taken off both ends, where both have one: that is how a mark can stand there.
    padded = piece.startswith(("`", " ")) or piece.endswith(("`", " "))
    pad = " " if padded and piece.strip() else ""
    return f"{marks}{pad}{piece}{pad}{marks}"


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)
