"""One run of pytest as every report shows it: its records, counted, and what they were taken in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.report.tally import Tally


@dataclass(frozen=True, slots=True)
class Partial:
    """Why a report has not all that it should have, and the node ids of tests that never ended."""

    reason: str
    running: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What a report is made of. `records` can be gone through more than once.

    `environment` is the object of that name in the report schema. `partial` is ``None`` where the
    run came to its end and no record was lost.
    """

    records: Iterable[Record]
    tally: Tally
    environment: Mapping[str, Any]
    partial: Partial | None = None

    def head(self) -> dict[str, Any]:
        """What the report schema has beside the records."""
        return {
            "environment": self.environment,
            "summary": self.tally.to_dict(),
            "partial": None if self.partial is None else asdict(self.partial),
        }
