"""How many tests were judged, and with what result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pytest_memreturn.report.names import is_recorded

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


@dataclass(slots=True)
class Tally:
    """The records counted so far; `retained_bytes` are those of retained verdicts.

    `recorded` are those of the returned that passed only since so much was recorded before.
    """

    returned: int = 0
    recorded: int = 0
    retained: int = 0
    unjudged: int = 0
    retained_bytes: int = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """The tally of these records."""
        tally = cls()
        for one in records:
            tally.add(one)
        return tally

    @property
    def judged(self) -> int:
        """How many have a verdict."""
        return self.returned + self.retained

    def add(self, record: Record) -> None:
        """Count one more."""
        if record.verdict == "returned":
            self.returned += 1
            self.recorded += is_recorded(record)
        elif record.verdict == "retained":
            self.retained += 1
            self.retained_bytes += record.retained_bytes or 0
        else:
            self.unjudged += 1

    def to_dict(self) -> dict[str, int]:
        """The summary of a report."""
        return {
            "judged": self.judged,
            "returned": self.returned,
            "recorded": self.recorded,
            "retained": self.retained,
            "unjudged": self.unjudged,
            "retained_bytes": self.retained_bytes,
        }
