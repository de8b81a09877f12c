"""The JSON report, schema version 1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_memreturn._record import Record

SCHEMA_VERSION = 1


def json_report(records: Sequence[Record], environment: Mapping[str, Any]) -> str:
    """The whole report as text; ``schema-1.json`` beside this file says what is in it."""
    verdicts = [one.verdict for one in records]
    report = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment,
        "summary": {
            "judged": sum(verdict != "unjudged" for verdict in verdicts),
            "returned": verdicts.count("returned"),
            "retained": verdicts.count("retained"),
            "unjudged": verdicts.count("unjudged"),
            "retained_bytes": sum(
                one.retained_bytes or 0 for one in records if one.verdict == "retained"
            ),
        },
        "tests": [one.to_dict() for one in records],
    }
    return json.dumps(report, indent=1) + "\n"
