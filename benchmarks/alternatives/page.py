"""What was found, as the tables that the page about alternatives includes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.alternatives.cases import ALARM, CASES, EITHER, Case
from benchmarks.alternatives.tools import TOOLS, Tool
from benchmarks.tables import grid

HEAD = """\
<!-- Written by `python -m benchmarks.alternatives`. -->
"""

# Re-runs explain a verdict and do not change it.
_EXPLAINED: Final = "memreturn-explain"
_JUDGES: Final = tuple(tool for tool in TOOLS if tool.name != _EXPLAINED)


def render(found: Mapping[str, Any]) -> str:
    """The whole text; `found` is what `figures.json` has."""
    return "\n".join([HEAD, *_environment(found["environment"]), "", *_tables(found)]) + "\n"


def _environment(environment: Mapping[str, Any]) -> Iterator[str]:
    yield f"Measured on {environment['machine']}, with:"
    yield ""
    yield " · ".join(f"{name} {version}" for name, version in environment["versions"].items())


def _tables(found: Mapping[str, Any]) -> Iterator[str]:
    cells = found["cells"]
    yield "### Alarm or silence"
    yield ""
    for group in _groups(_JUDGES):
        yield from grid(
            ["what the work does", *(tool.column() for tool in group)],
            (
                [case.title, *(_said(case, cells[case.name][tool.name]) for tool in group)]
                for case in CASES
            ),
        )
        yield ""
    yield "### What the alarm names"
    yield ""
    for group in _groups(TOOLS):
        # Only an alarm that was wanted has somebody to name.
        yield from grid(
            ["what the work does", *(tool.column() for tool in group)],
            (
                [case.title, *(_named(cells[case.name][tool.name]) for tool in group)]
                for case in CASES
                if case.expected in (ALARM, EITHER)
            ),
        )
        yield ""
    yield "### Summed up"
    yield ""
    wanted = sum(case.expected != EITHER for case in CASES)
    yield from grid(
        ["tool", f"right, of {wanted}", "missed", "false alarms", "CPU seconds it adds"],
        (_summed_up(tool, found) for tool in _JUDGES),
    )


def _groups(tools: Sequence[Tool]) -> Iterator[list[Tool]]:
    """Tools that are made for tests, and then others: one table for all would be too wide."""
    yield [tool for tool in tools if tool.is_for_tests]
    yield [tool for tool in tools if not tool.is_for_tests]


def _said(case: Case, cell: Mapping[str, Any]) -> str:
    alarm = bool(cell["alarm"])
    if case.expected == EITHER or alarm == (case.expected == ALARM):
        return "alarm" if alarm else "silent"
    return "**false alarm**" if alarm else "**missed**"


def _named(cell: Mapping[str, Any]) -> str:
    if not cell["alarm"]:
        return "–"
    return ", ".join(cell["names"]) or "nothing"


def _summed_up(tool: Tool, found: Mapping[str, Any]) -> Sequence[str]:
    said = [_said(case, found["cells"][case.name][tool.name]) for case in CASES]
    wanted = sum(case.expected != EITHER for case in CASES)
    missed, false = said.count("**missed**"), said.count("**false alarm**")
    costs = found["costs"]
    cost = f"{costs[tool.name] - costs['nothing']:.2f}" if tool.name in costs else "–"
    return tool.title, str(wanted - missed - false), str(missed), str(false), cost
