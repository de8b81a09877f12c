"""The JSON report, schema version 1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn.report.run import Run

SCHEMA_VERSION = 1


def json_report(run: Run) -> Iterator[str]:
    """The whole report, piece by piece; ``schema-1.json`` beside this file says what is in it.

    A line for each test, so that a report of many can be searched and compared.
    """
    head = {"schema_version": SCHEMA_VERSION, **run.head()}
    yield json.dumps(head, indent=1).removesuffix("\n}")
    yield ',\n "tests": ['
    separator = "\n  "
    for one in run.records:
        yield separator + json.dumps(one.to_dict())
        separator = ",\n  "
    yield "\n ]\n}\n"
