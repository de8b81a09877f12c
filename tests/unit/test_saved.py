"""Reports read back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.saved import SavedReportError, parse_report, read_report
from pytest_memreturn.report.tally import Tally

RECORDS = (
    Record("test_x.py::test_x", "unjudged", "collect", reason="cannot read"),
    Record("test_x.py::test_y", "returned", "trim", retained_bytes=7, allowed_bytes=8),
)


@pytest.mark.parametrize(
    "partial", [None, Partial("interrupted"), Partial("a worker died", ("test_x.py::test_z",))]
)
def test_a_run_comes_back_as_it_was(tmp_path: Path, partial: Partial | None) -> None:
    """With its records, its counts, where it ran and what is missing."""
    run = Run(RECORDS, Tally.of(RECORDS), {"python": "3.13.0"}, partial)
    path = tmp_path / "report.json"
    path.write_text("".join(json_report(run)), encoding="utf-8")
    assert read_report(path) == run


WHOLE: dict[str, Any] = {"schema_version": 1, "environment": {}, "summary": {}, "tests": []}


def test_what_is_not_known_is_passed_over(tmp_path: Path) -> None:
    """A later version may have more keys, and an earlier one had fewer."""
    path = tmp_path / "report.json"
    record = {**RECORDS[1].to_dict(), "weather": "fine"}
    path.write_text(json.dumps({**WHOLE, "weather": "fine", "tests": [record]}), encoding="utf-8")
    assert read_report(path) == Run(RECORDS[1:], Tally.of(RECORDS[1:]), {})


# In the words of CPython, which says since 3.14 how much of the stack was used.
TOO_DEEP = "Stack overflow" if sys.version_info >= (3, 14) else "maximum recursion depth exceeded"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"\xff", "it is no text in UTF-8"),
        (b'{"tests": [', "it is no JSON (Expecting value: line 1 column 12 (char 11))"),
        (b"[" * 100_000, f"it is no JSON ({TOO_DEEP}*)"),
        (b"[]", "it is no report of pytest-memreturn: it has no schema_version"),
        (b'{"tests": []}', "it is no report of pytest-memreturn: it has no schema_version"),
        (b'{"schema_version": "1"}', "its schema_version is '1', which is none"),
        (b'{"schema_version": true}', "its schema_version is True, which is none"),
        (
            b'{"schema_version": 2}',
            (
                "it is of schema version 2, and this pytest-memreturn reads versions up to 1: "
                "read it with the version that wrote it, or a newer one"
            ),
        ),
        (b'{"schema_version": 1}', "it is not as its schema says (KeyError: 'tests')"),
        (
            json.dumps({**WHOLE, "tests": [7]}).encode(),
            "it is not as its schema says (tests[0] is 7, and no object)",
        ),
        (
            json.dumps({**WHOLE, "tests": [{"nodeid": "x"}]}).encode(),
            "it is not as its schema says (TypeError: *)",
        ),
        (
            json.dumps({**WHOLE, "partial": {}}).encode(),
            "it is not as its schema says (KeyError: 'reason')",
        ),
    ],
)
def test_what_is_no_report_is_named(tmp_path: Path, text: bytes, problem: str) -> None:
    """The file, and what is wrong with it."""
    path = tmp_path / "report.json"
    path.write_bytes(text)
    with pytest.raises(SavedReportError) as caught:
        read_report(path)
    said = str(caught.value)
    expected = f"cannot read {path}: {problem}"
    start, star, end = expected.partition("*")
    assert said.startswith(start)
    assert said.endswith(end)
    assert star or said == expected


EXPLAINED: dict[str, Any] = {
    **RECORDS[1].to_dict(),
    "verdict": "retained",
    "explanation": {"parts": {}, "timeline": [[0.5, 7]], "heap": None},
}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"verdict": "great"}, 'verdict is "great", and none of returned, retained, unjudged'),
        ({"retained_bytes": "7"}, 'retained_bytes is "7", and no integer or null'),
        ({"retained_bytes": True}, "retained_bytes is true, and no integer or null"),
        ({"ledger": {"malloc-live": 0.5}}, 'ledger."malloc-live" is 0.5, and no integer'),
        (
            {"nodeid": ["x" * 50]},
            'nodeid is ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…, and no string',
        ),
        ({"explanation": {"heap": 7}}, "explanation.heap is 7, and no object"),
        (
            {"explanation": {"timeline": [[1, 2], ["1", 2]]}},
            'explanation.timeline[1][0] is "1", and no number',
        ),
    ],
)
def test_a_value_of_another_kind_is_named(changed: dict[str, Any], problem: str) -> None:
    """Where it stands, what it is, and what it should be."""
    report = {**WHOLE, "tests": [{**EXPLAINED, **changed}]}
    with pytest.raises(SavedReportError) as caught:
        parse_report(json.dumps(report).encode(), "a report")
    assert str(caught.value) == (
        f"cannot read a report: it is not as its schema says (tests[0].{problem})"
    )


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """Python's own writer has words for them that are no JSON."""
    path = tmp_path / "report.json"
    path.write_text('{"schema_version": 1, "tests": [NaN]}', encoding="utf-8")
    with pytest.raises(SavedReportError, match=r"it is no JSON .NaN is no number there"):
        read_report(path)


def test_a_mark_of_byte_order_is_no_part_of_it() -> None:
    """Shells on Windows write one."""
    text = json.dumps({**WHOLE, "tests": [EXPLAINED]}).encode("utf-8-sig")
    (record,) = parse_report(text, "x").records
    assert record.explanation is not None
    assert record.explanation.timeline == ((0.5, 7),)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As the operating system says it."""
    with pytest.raises(SavedReportError, match=r"cannot read .*: No such file or directory"):
        read_report(tmp_path / "none.json")
