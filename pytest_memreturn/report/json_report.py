"""The JSON report, schema version 1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.report.tally import Tally

SCHEMA_VERSION = 1


def json_report(
    records: Iterable[Record], tally: Tally, environment: Mapping[str, Any]
) -> Iterator[str]:
    """The whole report, piece by piece; ``schema-1.json`` beside this file says what is in it.

    A line for each test, so that a report of many can be searched and compared.
    """
    head = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment,
        "summary": tally.to_dict(),
    }
    yield json.dumps(head, indent=1).removesuffix("\n}")
    yield ',\n "tests": ['
    separator = "\n  "
    for one in records:
        yield separator + json.dumps(one.to_dict())
        separator = ",\n  "
    yield "\n ]\n}\n"
