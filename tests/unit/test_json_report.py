"""The JSON report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import resources
from typing import Any

import jsonschema
import pytest

from pytest_memreturn._explanation import (
    AllocatorGrowth,
    Explanation,
    HeapPicture,
    Holding,
    Line,
    MappingChange,
    Pin,
    PooledArenas,
    Region,
    Remedy,
    SizeClass,
    SurvivorType,
)
from pytest_memreturn._outside import ChildProcess, Segment
from pytest_memreturn._processes import WatchedProcess
from pytest_memreturn._record import Attempt, Exclusion, Isolation, Record, Rounds
from pytest_memreturn.probes.environment import environment
from pytest_memreturn.report.json_report import SCHEMA_VERSION, json_report
from pytest_memreturn.report.run import Run
from pytest_memreturn.report.tally import Tally

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
    reserve_bytes=3,
    recorded_bytes=2,
    test_count=2,
    torn_down_bytes=1,
    hidden_bytes=4,
    drift_bytes=-5,
    excluded=(Exclusion("server", "session", -6),),
    examined_bytes=7,
    processes=(WatchedProcess(5, "python", "python -m serve", 3, 9, "process 5 sleeps"),),
    earlier_attempts=(Attempt("unjudged", None, None, "cannot read"),),
    isolation=Isolation({"MALLOC_ARENA_MAX": "1"}, "malloc", 0.25),
    rounds=Rounds(20, 16, 1, growth="steady", exceeds=True, points=((0, 5, 6), (2, 7, 9))),
    settled_seconds=0.5,
    peak_growth_bytes=20,
    peak_quality="at-least",
    returned_ratio=0.5,
    readings={"baseline": 1, "end": 12, "collect": 11, "trim": None},
    ledger={"python-live": 9, "unexplained": 1, "mapped": -1},
    shown={"lazy-free": 0, "file": None, "huge-pages": 2, "torch-gpu": -7},
    overhead_seconds=0.25,
    worker="gw0",
    explanation=Explanation(
        parts={"malloc-free": {"main-heap-trimmable": 5, "main-heap-pinned": -5}},
        released={"malloc": 5, "pyarrow": -1},
        survivors=(SurvivorType("dict", 3, 9), SurvivorType("größe", 1, 1, "x")),
        children=(ChildProcess(77, "python3", "python3 -m worker", 8),),
        segments=(
            Segment("shm", "psm_1", 9, 4, "app"),
            Segment("sysv", "32769", 9, 0, "1000"),
            Segment("memfd", "memfd:pool", 9, 9, "app"),
        ),
        held_by_pytest=(Holding("log records", 5, 6),),
        tracers=("coverage",),
        unwritten_huge_page_bytes=2,
        allocators=(AllocatorGrowth("malloc", -1, 2, 3), AllocatorGrowth("arrow", 1, None, None)),
        layout=(MappingChange("heap", 1, 9, 1, 2), MappingChange("stack", 2, 1, None, None)),
        heap=HeapPicture(
            proven=True,
            partial=True,
            reason="no time",
            regions=(Region("main heap", "live", 4096, 10, 9), Region("heap", "returned", 1, 2, 0)),
            live_bytes=9,
            free_bytes=1,
            returned_bytes=2,
            live_sizes=(SizeClass(32, 1, 32), SizeClass(64, 2, 96)),
            arenas=PooledArenas(1024, (5, 0)),
        ),
        pins=(Pin("dict", 1, 2, "main heap", 3, 4, "app.CACHE"), Pin("x", 1, 2, "a", 3, 4)),
        one_time=True,
        lines=(Line("app.py", 7, 8, "x = 1"), Line("app.c", 7, -8, native="parse")),
        remedies=(Remedy("trim", "call it", 1, 2), Remedy("jemalloc", "load it", None, None, "no")),
        timeline=((0.0, 5), (0.5, 6)),
        incomplete=("not found again",),
    ),
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
ENVIRONMENT = environment("linux", ["malloc"], {"tcmalloc": "no known version"})


def written(records: Sequence[Record], about: Mapping[str, Any]) -> str:
    """The whole report."""
    return "".join(json_report(Run(records, Tally.of(records), about)))


def test_a_report_holds_every_record_and_their_sums() -> None:
    """The records come back as they were; retained bytes are of those that retained."""
    records = [RETURNED, RETAINED, RETURNED, UNJUDGED, RETURNED, SKIPPED]
    text = written(records, ENVIRONMENT)
    report = json.loads(text)
    assert report["schema_version"] == SCHEMA_VERSION == 1
    assert report["environment"] == ENVIRONMENT
    assert report["summary"] == {
        "judged": 4,
        "returned": 3,
        "recorded": 0,
        "retained": 1,
        "unjudged": 2,
        "retained_bytes": 10,
    }
    assert [Record.from_dict(one) for one in report["tests"]] == records
    assert text.endswith("}\n")


def test_what_was_recorded_is_counted_among_the_returned() -> None:
    """It passes, and has not returned its memory."""
    records = [RETURNED, replace(RETURNED, recorded_bytes=7), replace(RETAINED, recorded_bytes=7)]
    summary = json.loads(written(records, ENVIRONMENT))["summary"]
    assert (summary["returned"], summary["recorded"], summary["retained"]) == (2, 1, 1)


def test_a_report_without_tests() -> None:
    """A run that judged nothing has a report as well."""
    report = json.loads(written([], {}))
    assert report["tests"] == []
    assert set(report["summary"].values()) == {0}


SCHEMA: Mapping[str, Any] = json.loads(
    (resources.files("pytest_memreturn.report") / "schema-1.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([], id="none"),
        pytest.param([RETAINED, RETURNED, UNJUDGED, SKIPPED], id="one of each verdict"),
        pytest.param([replace(RETAINED, explanation=Explanation())], id="nothing was found"),
        pytest.param(
            [replace(RETAINED, shown=None, worker=None, label=None, location=None, window="call")],
            id="what need not be",
        ),
    ],
)
def test_a_report_keeps_to_its_schema(records: Sequence[Record]) -> None:
    """The schema that is shipped beside the code describes what is written."""
    VALIDATOR.check_schema(SCHEMA)
    VALIDATOR.validate(json.loads(written(records, ENVIRONMENT)))


def test_every_field_is_filled_in_the_record_that_is_checked() -> None:
    """So that no field is valid only for being empty."""
    fields = RETAINED.to_dict()
    empty = {name for name, value in fields.items() if value in (None, (), [], {}, 0, 0.0)}
    assert empty == {"reason", "own_outcome"}
    assert all(fields["explanation"].values())


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "kept"},
        {"gate": "start"},
        {"window": "session"},
        {"retained_bytes": 1.5},
        {"retained_bytes": None},
        {"cause": None},
        {"ledger": {"mapped": 1}},
        {"explanation": None},
        {"hidden_bytes": -1},
        {"returned_ratio": 1.5},
        {"peak_quality": "good"},
        {"readings": {"baseline": 1, "end": 2}},
        {"excluded": [{"fixture": "x"}]},
        {"earlier_attempts": [{"verdict": "kept"}]},
        {"isolation": {"env": {"A": 1}, "allocator": None, "overhead_seconds": 1}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_cannot_be(change: dict[str, Any]) -> None:
    """It describes records of ours, and not just any JSON."""
    report = json.loads(written([RETAINED], ENVIRONMENT))
    report["tests"][0] |= change
    assert not VALIDATOR.is_valid(report)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("record", RETAINED.to_dict()),
        ("environment", ENVIRONMENT),
        ("survivor", asdict(SurvivorType("x", 1, 2))),
        ("exclusion", asdict(Exclusion("x", "class", 1))),
        ("isolation", asdict(Isolation({"A": None}, "jemalloc", 0.5))),
        ("attempt", asdict(Attempt("retained", 1, "mapped", None))),
        ("child", asdict(ChildProcess(1, "x", "x", 1))),
        ("segment", asdict(Segment("shm", "x", 1, 1, "x"))),
        ("holding", asdict(Holding("x", 1, 1))),
        ("allocator", asdict(AllocatorGrowth("x", 1, 1, 1))),
        ("mapping_change", asdict(MappingChange("x", 1, 1, 1, 1))),
    ],
)
def test_the_schema_knows_every_key(name: str, written: dict[str, Any]) -> None:
    """A key that is written is described and always there."""
    described = SCHEMA["$defs"][name]
    assert set(described["properties"]) == set(written) == set(described["required"])


def test_the_schema_knows_every_key_of_an_explanation() -> None:
    """The same, where a record holds it."""
    described = SCHEMA["$defs"]["record"]["properties"]["explanation"]
    written = RETAINED.to_dict()["explanation"]
    assert set(described["properties"]) == set(written) == set(described["required"])
