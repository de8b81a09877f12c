"""Several reports made into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jsonschema
import pytest

from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes.environment import environment
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.merged import MergeRefusedError, Named, merged
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally

SCHEMA = json.loads(
    resources.files("pytest_memreturn.report").joinpath("schema-1.json").read_text("utf-8")
)
ENVIRONMENT: Mapping[str, Any] = environment("linux", ["python", "malloc"], {})


def record(nodeid: str, mib: float = 0, **more: Any) -> Record:  # noqa: ANN401 - any field
    """A record of a test that kept so much, judged by the default allowance."""
    values: dict[str, Any] = {
        "verdict": "returned" if mib <= 2 else "retained",
        "gate": "collect",
        "retained_bytes": int(mib * MIB),
    }
    if more.get("verdict") == "unjudged":
        values["retained_bytes"] = None
    return Record(nodeid, **(values | more))


def named(name: str, *records: Record, partial: Partial | None = None, **facts: object) -> Named:
    """A report of that name, from an environment with these facts."""
    run = Run(records, Tally.of(records), {**ENVIRONMENT, **facts}, partial)
    return Named(name, run)


A, B, C, D = (
    record(f"test_{name}.py::test", size) for name, size in (("a", 0), ("b", 9), ("c", 1), ("d", 4))
)


def test_shards_are_as_the_whole() -> None:
    """Whatever their order, and whatever the order in the report of the whole suite."""
    whole = merged([named("whole", C, A, D, B)])
    shards = [named("4", D), named("2", B), named("1", A), named("3", C)]
    assert merged(shards) == whole
    assert whole.records == (A, B, C, D)
    assert whole.tally.to_dict() == {
        "judged": 4,
        "returned": 2,
        "recorded": 0,
        "retained": 2,
        "unjudged": 0,
        "retained_bytes": 13 * MIB,
    }


def test_a_merged_report_is_one_as_any() -> None:
    """As its schema says; from environments that differ, and partial, as well."""
    reports = [
        named("1", record("x", verdict="unjudged", reason="?"), partial=Partial("killed", ("x",))),
        named("2", record("y", verdict="unjudged", reason="?"), kernel="Linux 5"),
    ]
    found = merged(reports, allow_different_environments=True)
    report = json.loads("".join(json_report(found)))
    jsonschema.validate(report, SCHEMA)
    assert [one["nodeid"] for one in report["tests"]] == ["x", "y"]


def test_several_records_of_one_report_stay() -> None:
    """Blocks of a test, and reruns of one, are no duplicates, and keep their order."""
    records = (
        record("a", 3),
        record("a", 1),
        record("a", 5, label="b", window="block"),
        record("a", 4, label="a", window="block"),
    )
    assert merged([named("1", *records), named("2", B)]).records == (*records, B)


def test_duplicates_are_refused() -> None:
    """With the tests and the files that have them."""
    block = record("t", label="load", window="block")
    with pytest.raises(MergeRefusedError) as caught:
        merged([named("1.json", A, block), named("2.json", A, B), named("3.json", block)])
    assert str(caught.value) == (
        "2 tests are in more than one report (--duplicates says which to take):\n"
        "  test_a.py::test: 1.json, 2.json\n"
        "  t [load]: 1.json, 3.json"
    )


def test_many_duplicates_are_counted() -> None:
    """Ten of them are named."""
    records = [record(f"test_{number}") for number in range(12)]
    with pytest.raises(MergeRefusedError) as caught:
        merged([named("1", *records), named("2", *records)])
    heading, *lines = str(caught.value).split("\n")
    assert heading.startswith("12 tests are in more")
    assert len(lines) == 11
    assert lines[-1] == "  and 2 more"


def test_one_duplicate() -> None:
    """In the singular."""
    with pytest.raises(MergeRefusedError, match=r"^1 test is in more than one report"):
        merged([named("1", A), named("2", A)])


SKIPPED = record("a", verdict="unjudged", own_outcome="skipped")
UNREAD = record("a", verdict="unjudged", reason="cannot read")
SMALL, LARGE, BAD, WORSE = (record("a", size) for size in (0, 1, 3, 8))


def test_the_first_or_the_last_of_duplicates() -> None:
    """All that one report has of the test, and nothing of the other."""
    reports = [named("1", SMALL, BAD), named("2", LARGE, A)]
    assert merged(reports, duplicates="first").records == (SMALL, BAD, A)
    assert merged(reports, duplicates="last").records == (LARGE, A)


@pytest.mark.parametrize(
    ("better", "worse"),
    [(SKIPPED, SMALL), (SMALL, LARGE), (LARGE, UNREAD), (UNREAD, BAD), (BAD, WORSE)],
)
def test_the_worst_of_duplicates(better: Record, worse: Record) -> None:
    """A retained verdict is worse than none, none worse than a good one; then size counts."""
    one, other = named("1", better), named("2", worse)
    assert merged([one, other], duplicates="worst").records == (worse,)
    assert merged([other, one], duplicates="worst").records == (worse,)


def test_the_first_of_duplicates_that_are_as_bad() -> None:
    """Memory that was given back is not better than memory that was never taken."""
    gave_back = record("a", -9)
    reports = [named("1", gave_back), named("2", SMALL)]
    assert merged(reports, duplicates="worst").records == (gave_back,)


def test_environments_that_differ_are_refused() -> None:
    """Fact by fact, with the files; variables and versions one by one."""
    other: dict[str, Any] = {
        "kernel": "Linux 5",
        "libc": None,
        "variables": {"MALLOC_ARENA_MAX": "1"},
        "versions": {**ENVIRONMENT["versions"], "pytest": "7"},
    }
    reports = [named("1.json", A, libc="glibc 2.36"), named("2.json", B, **other)]
    with pytest.raises(MergeRefusedError) as caught:
        merged(reports)
    assert str(caught.value).split("\n") == [
        (
            "the reports are from environments that differ "
            "(--allow-different-environments merges them all the same):"
        ),
        "  libc: glibc 2.36 in 1.json, not set in 2.json",
        f"  kernel: {ENVIRONMENT['kernel']} in 1.json, Linux 5 in 2.json",
        f"  version pytest: {pytest.__version__} in 1.json, 7 in 2.json",
        "  variable MALLOC_ARENA_MAX: not set in 1.json, 1 in 2.json",
    ]


def test_environments_that_differ_are_kept() -> None:
    """The first one's stands where it always does, the others beside it, each once."""
    reports = [
        named("1", A),
        named("2", B, kernel="Linux 5"),
        named("3", C),
        named("4", D, kernel="Linux 5"),
    ]
    found = merged(reports, allow_different_environments=True).environment
    assert found["kernel"] == ENVIRONMENT["kernel"]
    assert [one["kernel"] for one in found["others"]] == ["Linux 5"]
    assert "others" not in found["others"][0]


def test_allocators_that_a_shard_happened_to_use_are_no_difference() -> None:
    """They are those that its tests had imported: all of them were seen there."""
    reports = [
        named("1", A, allocators=["python", "malloc"], unavailable={}),
        named("2", B, allocators=["pyarrow", "malloc"], unavailable={"mimalloc": "says nothing"}),
    ]
    found = merged(reports).environment
    assert found["allocators"] == ["malloc", "pyarrow", "python"]
    assert found["unavailable"] == {"mimalloc": "says nothing"}
    assert found["others"] == []


def test_a_partial_shard_makes_the_whole_partial() -> None:
    """With every reason, and each test that never ended; nothing is said twice."""
    reports = [
        named("1", A, partial=Partial("interrupted", ("x",))),
        named("2", B),
        named("3", C, partial=Partial("a worker died; interrupted", ("y", "x"))),
    ]
    assert merged(reports).partial == Partial("interrupted; a worker died", ("x", "y"))
