"""Records across the border between a worker of pytest-xdist and its controller.

They ride on test reports, which pytest-xdist carries anyway; nothing here needs it installed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_memreturn._record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

_ATTRIBUTE = "memreturn_records"


def attach(report: pytest.TestReport, records: Sequence[Record]) -> None:
    """Put records on a report; pytest serialises a report's attributes as they are."""
    setattr(report, _ATTRIBUTE, [one.to_dict() for one in records])


def detach(report: pytest.TestReport) -> list[Record]:
    """Take away the records that `attach` put there, with the worker that made them.

    pytest keeps the reports of a run to its end, and would keep the records with them.
    """
    records = [Record.from_dict(one) for one in report.__dict__.pop(_ATTRIBUTE, ())]
    worker = worker_of(report)
    if worker is None:
        return records
    return [dataclasses.replace(one, worker=worker) for one in records]


def worker_of(report: pytest.TestReport) -> str | None:
    """Who made a report that has reached the controller; ``None`` where there is none."""
    node = getattr(report, "node", None)
    return None if node is None else node.gateway.id


def attached(report: pytest.TestReport) -> list[Record]:
    """The records that `attach` put there, which stay."""
    return [Record.from_dict(one) for one in report.__dict__.get(_ATTRIBUTE, ())]


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for a controller, which does the reporting."""
    return hasattr(config, "workerinput")
