"""Figures in the reports that pytest itself and other plugins write."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Properties: TypeAlias = Mapping[str, list[tuple[str, str]]]

_MIB = 1024 * 1024
_SUITE = r"""
import pytest

@pytest.fixture
def broken(): raise OSError("no disk")
@pytest.fixture
def ends_badly():
    yield
    raise OSError("no disk")

@pytest.mark.returns_memory
class TestJudged:
    def test_keeps_30(self): pass
    def test_returns(self): pass
    def test_fails(self): assert 0
    def test_skips(self): pytest.skip("not today")
    def test_unreadable(self): pass
    def test_error(self, broken): pass
    def test_keeps_9(self, ends_badly): pass
    def test_block(self, memreturn, record_property):
        record_property("own", 1)
        with memreturn(label="<a>\x00&"): pass

def test_not_judged(record_property):
    record_property("own", 2)
"""
_RETURNED = [
    ("memreturn_verdict", "returned"),
    ("memreturn_retained_bytes", "0"),
    ("memreturn_allowed_bytes", str(2 * _MIB)),
    ("memreturn_peak_growth_bytes", str(100 * _MIB)),
]


def _retained(mib: int) -> list[tuple[str, str]]:
    return [
        ("memreturn_verdict", "retained"),
        ("memreturn_retained_bytes", str(mib * _MIB)),
        *_RETURNED[2:],
        ("memreturn_cause", "unexplained"),
    ]


def _unjudged(reason: str) -> list[tuple[str, str]]:
    return [("memreturn_verdict", "unjudged"), ("memreturn_reason", reason)]


_BLOCK = r"[<a>\x00&]"
_EXPECTED = {
    "test_keeps_30": _retained(30),
    "test_returns": _RETURNED,
    "test_fails": _unjudged("the test failed by itself"),
    "test_skips": _unjudged("the test was skipped by itself"),
    "test_unreadable": _unjudged("the script has no reading at end"),
    "test_error": _unjudged("the test ended with an error in set-up"),
    "test_keeps_9": _retained(9),
    "test_block": [
        ("own", "1"),
        *((name + _BLOCK, value) for name, value in _RETURNED),
        *_RETURNED,
    ],
    "test_not_judged": [("own", "2")],
}
_WAYS = {"alone": (), "spread": ("-p", "xdist", "-n2")}


def _junit(path: Path) -> Properties:
    return {
        case.attrib["name"]: [
            (one.attrib["name"], one.attrib["value"]) for one in case.iter("property")
        ]
        for case in ET.parse(path).iter("testcase")  # noqa: S314 - written by this test
    }


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
@pytest.mark.parametrize("way", _WAYS)
def test_junit_properties(pytester: pytest.Pytester, run: Run, family: str, way: str) -> None:
    """A JUnit file has the figures of each judged test and block, and nothing of any other."""
    pytester.makepyfile(test_app=_SUITE)

    run("--junit-xml=junit.xml", "-o", f"junit_family={family}", *_WAYS[way])

    assert _junit(pytester.path / "junit.xml") == _EXPECTED


def test_junit_without_judging(pytester: pytest.Pytester, run: Run) -> None:
    """Where nothing is judged, a JUnit file has what it would have without the plugin."""
    pytester.makepyfile(test_app=_SUITE)

    run("--junit-xml=junit.xml", "--memreturn-mode=off")

    found = _junit(pytester.path / "junit.xml")
    assert {name: one for name, one in found.items() if one} == {
        "test_block": [("own", "1")],
        "test_not_judged": [("own", "2")],
    }


@pytest.mark.parametrize("way", _WAYS)
def test_pytest_json_report(pytester: pytest.Pytester, run: Run, way: str) -> None:
    """The report of pytest-json-report has them among its ``user_properties``, numbers as such."""
    pytester.makepyfile(test_app=_SUITE)

    run(
        "-p",
        "pytest_metadata.plugin",
        "-p",
        "pytest_jsonreport.plugin",
        "--json-report",
        *_WAYS[way],
    )

    report = json.loads((pytester.path / ".report.json").read_text(encoding="utf-8"))
    found: dict[str, list[tuple[str, Any]]] = {}
    for one in report["tests"]:
        properties = one.get("user_properties", ())
        found[one["nodeid"].rpartition("::")[2]] = [
            pair for each in properties for pair in each.items()
        ]
    assert ("memreturn_retained_bytes", 30 * _MIB) in found["test_keeps_30"]
    assert {
        name: [(key, str(value)) for key, value in pairs] for name, pairs in found.items()
    } == _EXPECTED


@pytest.mark.parametrize("way", _WAYS)
def test_pytest_html(pytester: pytest.Pytester, run: Run, way: str) -> None:
    """The page of pytest-html says them below each judged test, as text."""
    pytester.makepyfile(test_app=_SUITE)

    arguments = ("-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin")
    run(*arguments, "--html=page.html", *_WAYS[way])

    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    data = re.search('data-jsonblob="([^"]*)"', page)
    assert data is not None
    logs = {
        name.rpartition("::")[2]: [
            line for row in rows for line in row["log"].splitlines() if "memory " in line
        ]
        for name, rows in json.loads(html.unescape(data[1]))["tests"].items()
    }
    assert logs["test_keeps_30"] == [
        "memory verdict: retained",
        "memory retained: 30.0 MiB",
        "memory allowed: 2.0 MiB",
        "memory peak growth: 100.0 MiB",
        "memory cause: unexplained",
    ]
    assert logs["test_unreadable"] == [
        "memory verdict: unjudged",
        "memory reason: the script has no reading at end",
    ]
    assert r"memory retained[&lt;a&gt;\x00&amp;]: 0 B" in logs["test_block"]
    assert logs["test_not_judged"] == []
