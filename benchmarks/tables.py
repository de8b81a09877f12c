"""Figures in rows, as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """What a figure is to reach: at most so much."""

    at_most: float
    unit: str = ""

    def text(self) -> str:
        """As a table shows it."""
        return f"≤ {self.at_most:g}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True)
class Table:
    """Rows under one title, with what has to be known to read them."""

    title: str
    columns: tuple[str, ...]
    note: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """One row without a target."""
        self._append((*cells, "", ""))

    def judge(self, *cells: str, value: float, target: Target) -> None:
        """One row with a target, and whether `value` meets it."""
        met = value <= target.at_most
        if not met:
            self.missed.append(f"{self.title}, {cells[0]}")
        self._append((*cells, target.text(), "met" if met else "**not met**"))

    def leave_out(self, subject: str, reason: str) -> None:
        """One row that could not be measured here: it never counts as met."""
        self.missed.append(f"{self.title}, {subject}")
        blanks = ("",) * (len(self.columns) - 2)
        self._append((subject, f"left out: {reason}", *blanks, "", "**not measured**"))

    def _append(self, row: tuple[str, ...]) -> None:
        if len(row) != len(self.columns) + 2:
            msg = f"{row} does not fit under {self.columns}"
            raise ValueError(msg)
        self.rows.append(row)
        # A full run takes long: whoever waits sees each figure when it is there.
        print(f"{self.title}: {' · '.join(cell for cell in row if cell)}", file=sys.stderr)

    def lines(self) -> Iterator[str]:
        """The table as Markdown."""
        yield f"## {self.title}"
        yield ""
        if self.note:
            yield self.note
            yield ""
        yield from grid((*self.columns, "target", "met"), self.rows)
        yield ""


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows under a head, as lines of Markdown."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
