"""Text from anywhere, made fit to be shown."""

from __future__ import annotations

from collections.abc import Iterable

# Holds words together where lines are folded.
NO_BREAK = "\N{NO-BREAK SPACE}"


def printable(text: str) -> str:
    """The text as a terminal shows it, and does not obey it: names are anybody's.

    White space becomes a space each; other control characters are written out.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def on_one_line(text: str) -> str:
    """The same, with single spaces."""
    return " ".join(printable(text).split())


def _shown(character: str) -> str:
    if character.isprintable() or character == NO_BREAK:
        return character
    return " " if character in " \t\n\r" else character.encode("unicode_escape").decode()


def joined(parts: Iterable[str]) -> str:
    """Parts of a line, of which each stays whole where the line is folded."""
    # The dot stays with what it follows.
    return f"{NO_BREAK}· ".join(part.replace(" ", NO_BREAK) for part in parts)
