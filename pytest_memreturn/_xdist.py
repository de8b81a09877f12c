"""Records across the border between a worker of pytest-xdist and its controller.

They ride on test reports, which pytest-xdist carries anyway, as it carries plain data to a worker
that starts and from one that ends; nothing here needs it installed.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memreturn._record import Due, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PREFIX = "memreturn_"
_RECORDS = _PREFIX + "records"
_DUE = _PREFIX + "due"
_TORN_DOWN = _PREFIX + "torn_down_bytes"
_GIVEN = pytest.StashKey["Mapping[str, Any]"]()


def attach(report: pytest.TestReport, records: Sequence[Record]) -> None:
    """Put records on a report; pytest serialises a report's attributes as they are.

    As JSON, in which whatever a label or a reason holds is plain text: a lone surrogate, as in the
    name of a file that is no UTF-8, would end the worker that sends it.
    """
    setattr(report, _RECORDS, json.dumps([one.to_dict() for one in records]))


def detach(report: pytest.TestReport) -> list[Record]:
    """Take away the records that `attach` put there, with the worker that made them.

    pytest keeps the reports of a run to its end, and would keep the records with them.
    """
    records = attached(report)
    report.__dict__.pop(_RECORDS, None)
    worker = worker_of(report)
    if worker is None:
        return records
    return [dataclasses.replace(one, worker=worker) for one in records]


def attached(report: pytest.TestReport) -> list[Record]:
    """The records that `attach` put there, which stay."""
    return [Record.from_dict(one) for one in json.loads(report.__dict__.get(_RECORDS, "[]"))]


def attach_torn_down(report: pytest.TestReport, torn_down_bytes: int) -> None:
    """Say with the report of a tear-down what came back in it of what the body had retained."""
    setattr(report, _TORN_DOWN, torn_down_bytes)


def detach_torn_down(report: pytest.TestReport) -> int | None:
    """Take away what `attach_torn_down` put there."""
    torn_down_bytes: int | None = report.__dict__.pop(_TORN_DOWN, None)
    return torn_down_bytes


def announce(report: pytest.TestReport, due: Sequence[Due]) -> None:
    """Say with the report of a test's set-up what will be judged."""
    setattr(report, _DUE, [dataclasses.astuple(one) for one in due])


def announced(report: pytest.TestReport) -> list[Due]:
    """What `announce` put there, which is taken away."""
    return [Due(*one) for one in report.__dict__.pop(_DUE, ())]


def worker_of(report: pytest.TestReport) -> str | None:
    """The worker that sent a report to the controller; ``None`` for a report made here."""
    node = getattr(report, "node", None)
    return None if node is None else name_of(node)


def name_of(node: Any) -> str:  # noqa: ANN401 - a class of pytest-xdist, which may not be there
    """What pytest-xdist calls a worker, such as ``gw0``."""
    return str(node.gateway.id)


def give(node: Any, name: str, value: object) -> None:  # noqa: ANN401 - one of pytest-xdist's
    """Give a worker that is about to start plain data, for `given` to find there."""
    node.workerinput[_PREFIX + name] = value


def be_worker(config: pytest.Config, given: Mapping[str, Any]) -> None:
    """Have this process, which is none of pytest-xdist's, report nothing: what it runs is sent.

    Other plugins do as they do without pytest-xdist. `given`: as `give` gave it.
    """
    config.stash[_GIVEN] = given


def given(config: pytest.Config, name: str) -> Any:  # noqa: ANN401 - whatever was given
    """In a worker, what its controller gave it under this name, or ``None``."""
    found = config.stash.get(_GIVEN, None) or getattr(config, "workerinput", {})
    return found.get(_PREFIX + name)


def answer(config: pytest.Config, name: str, value: object) -> None:
    """In a worker, have its controller find plain data when it has ended."""
    if hasattr(config, "workeroutput"):
        config.workeroutput[_PREFIX + name] = value


def answered(node: object, name: str) -> Any:  # noqa: ANN401 - whatever was answered
    """What a worker that has ended answered; ``None`` from one that died."""
    return getattr(node, "workeroutput", {}).get(_PREFIX + name)


def plain_nodeid(item: pytest.Item) -> str:
    """The name of a test without the group that ``--dist=loadgroup`` has workers put behind it.

    No other run gives it that: neither the controller nor a fresh interpreter.
    """
    if getattr(item.config.option, "loadgroup", False) and item.parent is not None:
        plain = f"{item.parent.nodeid}::{item.name}"
        if item.nodeid.startswith(f"{plain}@"):
            return plain
    return item.nodeid


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for a controller, which does the reporting."""
    return hasattr(config, "workerinput") or _GIVEN in config.stash
