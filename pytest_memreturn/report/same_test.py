"""Records of the same test: how they are known, and which of them is the worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


class Key(NamedTuple):
    """What the records of one test, or of one block in it, have in common."""

    nodeid: str
    label: str | None
    window: str

    def __str__(self) -> str:
        return self.nodeid if self.label is None else f"{self.nodeid} [{self.label}]"


def key_of(record: Record) -> Key:
    """What it shares with other records of the same test or block."""
    return Key(record.nodeid, record.label, record.window)


def kept_bytes(record: Record) -> int:
    """What was retained; a test that gave memory back retained none, as one without a verdict."""
    return max(0, record.retained_bytes or 0)


def rank(record: Record) -> int:
    """How bad a verdict is: one that is missing is worse than a good one, and better than a bad.

    A test with an outcome of its own, such as a skipped one, says nothing about memory.
    """
    if record.verdict == "retained":
        return 3
    if record.verdict == "returned":
        return 1
    return 2 if record.own_outcome is None else 0


def badness(record: Record) -> tuple[int, int]:
    """To be compared: the verdict first, then how much was retained."""
    return rank(record), kept_bytes(record)
