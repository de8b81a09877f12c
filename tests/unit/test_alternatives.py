"""The page about alternatives says what was measured, of every tool on every work-load."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = ROOT / "benchmarks" / "alternatives"
PAGE = ROOT / "docs" / "explanation" / "alternatives.md"
KINDS = {"line", "type", "holder", "cause", "curve"}


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie beside the package, and are in no wheel."""
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def figures() -> dict[str, Any]:
    """What the last run found."""
    found: dict[str, Any] = json.loads((HERE / "figures.json").read_text(encoding="utf-8"))
    return found


def test_the_page_includes_what_was_measured(figures: dict[str, Any]) -> None:
    """And what it includes is what the data say, word for word."""
    from benchmarks.alternatives.page import render

    text = PAGE.read_text(encoding="utf-8")
    (included,) = re.findall(r"```\{include\} (\S+)\n```", text)
    tables = (PAGE.parent / included).read_text(encoding="utf-8")
    assert tables == render(figures)
    # No figure stands beside them that was not written by the run.
    assert not re.search(r"\d\.\d+ (s|MiB)", text)


def test_every_tool_was_asked_about_every_work_load(figures: dict[str, Any]) -> None:
    """No cell is missing, and each says alarm or silence, and names only after an alarm."""
    from benchmarks.alternatives.cases import CASES
    from benchmarks.alternatives.tools import TOOLS

    assert list(figures["cells"]) == [one.name for one in CASES]
    for cells in figures["cells"].values():
        assert list(cells) == [one.name for one in TOOLS]
        for cell in cells.values():
            assert isinstance(cell["alarm"], bool)
            assert set(cell["names"]) <= (KINDS if cell["alarm"] else set())
            assert cell["cpu_seconds"] > 0
    assert set(figures["costs"]) > {"nothing", "memreturn", "limit-leaks", "rss"}


def test_versions_are_said(figures: dict[str, Any]) -> None:
    """Of each tool that is no part of Python."""
    from benchmarks.alternatives.tools import TOOLS

    tables = (HERE / "figures.md").read_text(encoding="utf-8")
    for name in {one.distribution for one in TOOLS}:
        assert f"{name} {figures['environment']['versions'][name]}" in tables


def test_every_work_load_is_described(figures: dict[str, Any]) -> None:
    """Its function is there, and the page's words for what a tool names are all explained."""
    from benchmarks.alternatives.cases import CASES, CHURN

    for case in (*CASES, CHURN):
        assert len(case.lines()) > 1
    named = {
        name for row in figures["cells"].values() for cell in row.values() for name in cell["names"]
    }
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}` is" in text for name in named)


def test_every_pair_makes_a_file_of_python() -> None:
    """Without running it: the text is one that compiles, and asks for this work."""
    from benchmarks.alternatives.cases import CASES, CHURN
    from benchmarks.alternatives.tools import NOTHING, TOOLS

    for tool in (NOTHING, *TOOLS):
        for case in (*CASES, CHURN):
            text = tool.text(case)
            ast.parse(text)
            assert f"from work import {case.name}" in text


def test_an_alarm_is_told_from_anything_else() -> None:
    """A run that failed for another reason is an error, and never a figure."""
    from benchmarks.alternatives.cases import CASES
    from benchmarks.alternatives.matrix import WentWrongError, read
    from benchmarks.alternatives.tools import TOOLS

    case = next(one for one in CASES if one.name == "python_leak")
    tool = next(one for one in TOOLS if one.name == "memreturn")
    line = case.lines()[-1]
    said = (
        "  cause      live-python: 40.0 MiB is held by Python objects\n"
        "  survivors  9 × dict 1 B\n"
        "  kept by    work.KEPT (list)\n"
        f"  line       40.0 MiB work.py:{line} KEPT.append\n"
        "test_work.py:6: MemoryNotReturned\n"
    )
    found = read(case, tool, 1, said, 1.0)
    assert found.alarm
    assert found.names == ("line", "type", "holder", "cause")
    assert not read(case, tool, 0, "=== 1 passed in 0.1s ===", 1.0).alarm
    for status, text in ((1, "1 failed: NameError"), (0, "=== 1 skipped in 0.1s ==="), (4, said)):
        with pytest.raises(WentWrongError, match="memreturn on python_leak"):
            read(case, tool, status, text, 1.0)
