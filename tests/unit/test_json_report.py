"""The JSON report."""

from __future__ import annotations

import json
from importlib import resources

import jsonschema

from pytest_memreturn._record import Explanation, Record, SurvivorType
from pytest_memreturn.probes.environment import environment
from pytest_memreturn.report.json_report import SCHEMA_VERSION, json_report

RETAINED = Record(
    "tests/test_x.py::test_x",
    "retained",
    "collect",
    label="block 1",
    window="block",
    location="tests/test_x.py:7",
    cause="live-python",
    causes={"live-python": 9},
    retained_bytes=10,
    allowed_bytes=5,
    allowed_origin="default",
    peak_growth_bytes=20,
    peak_quality="at-least",
    returned_ratio=0.5,
    readings={"baseline": 1, "end": 12, "collect": 11, "trim": None},
    ledger={"python-live": 9, "unexplained": 1, "mapped": -1},
    shown={"lazy-free": 0, "file": None, "huge-pages": 2},
    overhead_seconds=0.25,
    worker="gw0",
    explanation=Explanation((SurvivorType("dict", 3, 9), SurvivorType("größe", 1, 1, "x"))),
)
RETURNED = Record(
    "tests/test_x.py::test_y",
    "returned",
    "trim",
    retained_bytes=7,
    allowed_bytes=8,
    allowed_origin="marker on tests/test_x.py::test_y",
    peak_growth_bytes=0,
    peak_quality="exact",
    readings={"baseline": 1, "end": 8, "collect": None, "trim": None},
)
UNJUDGED = Record("tests/test_x.py::test_z", "unjudged", "collect", reason="cannot read")
SKIPPED = Record(
    "tests/test_x.py::test_s", "unjudged", "collect", reason="skipped", own_outcome="skipped"
)
ENVIRONMENT = environment("linux", ["malloc"])


def test_a_report_holds_every_record_and_their_sums() -> None:
    """The records come back as they were; retained bytes are of those that retained."""
    records = [RETURNED, RETAINED, RETURNED, UNJUDGED, RETURNED, SKIPPED]
    text = json_report(records, ENVIRONMENT)
    report = json.loads(text)
    assert report["schema_version"] == SCHEMA_VERSION == 1
    assert report["environment"] == ENVIRONMENT
    assert report["summary"] == {
        "judged": 4,
        "returned": 3,
        "retained": 1,
        "unjudged": 2,
        "retained_bytes": 10,
    }
    assert [Record.from_dict(one) for one in report["tests"]] == records
    assert text.endswith("}\n")


def test_a_report_without_tests() -> None:
    """A run that judged nothing has a report as well."""
    report = json.loads(json_report([], {}))
    assert report["tests"] == []
    assert set(report["summary"].values()) == {0}


def test_a_report_keeps_to_its_schema() -> None:
    """The schema that is shipped beside the code describes what is written."""
    schema = json.loads(
        (resources.files("pytest_memreturn.report") / "schema-1.json").read_text(encoding="utf-8")
    )
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for records in ([], [RETAINED, RETURNED, UNJUDGED, SKIPPED]):
        validator.validate(json.loads(json_report(records, ENVIRONMENT)))


def test_the_schema_knows_every_key() -> None:
    """A key that is written is described, and what is described as needed is written."""
    schema = json.loads(
        (resources.files("pytest_memreturn.report") / "schema-1.json").read_text(encoding="utf-8")
    )
    record = schema["$defs"]["record"]
    assert set(record["properties"]) == set(RETAINED.to_dict())
    assert set(record["required"]) <= set(RETAINED.to_dict())
    described = schema["$defs"]["environment"]
    assert set(described["properties"]) == set(ENVIRONMENT) == set(described["required"])
