"""What an isolated test's process told, as far as it came: plain data that goes through a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Phase: TypeAlias = Literal["setup", "call", "teardown"]

PHASES: tuple[Phase, ...] = ("setup", "call", "teardown")

# The line that nothing comes after.
LAST_LINE = b'{"done": true}\n'


@dataclass(slots=True)
class Told:
    """What the process told of its test, as far as it came.

    `reports`: those of its phases; `beside`: those of subtests. `warnings`: as
    `warning_of` reads them. `stopped`: what ended pytest itself, such as Ctrl-C: the name of
    the exception, its text, and the exit status that it asks for. `problems`: what kept the test
    from running. `expected_failure`: the reason of an ``xfail`` that any failure of its body would
    do for. `found`: how many tests have its name; ``None`` where collection did not end. `done`:
    whether pytest came to its end there.
    """

    reports: dict[Phase, dict[str, Any]] = field(default_factory=dict)
    beside: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    stopped: tuple[str, str, int | None] | None = None
    problems: list[str] = field(default_factory=list)
    expected_failure: str | None = None
    found: int | None = None
    done: bool = False

    def seconds(self) -> float:
        """How long its phases took, as far as they were told."""
        return float(sum(one["duration"] for one in self.reports.values()))

    def missing_phase(self) -> Phase | None:
        """The phase of which there is no report, though there should be."""
        for phase in PHASES:
            if phase in self.reports:
                continue
            if phase == "call" and self.reports["setup"]["outcome"] != "passed":
                continue
            return phase
        return None


def parse_told(lines: Iterable[str]) -> Told:
    """What was told by one JSON object a line; a last line that breaks off counts for nothing."""
    told = Told()
    for line in lines:
        try:
            one = json.loads(line)
        except ValueError:
            continue  # it was ended while it wrote
        match one:
            case {"report": report, "is_phase": True}:
                told.reports[report["when"]] = report
            case {"report": report}:
                told.beside.append(report)
            case {"warning": warning}:
                told.warnings.append(warning)
            case {"stopped": [name, text, status]}:
                told.stopped = name, text, status
            case {"problem": problem}:
                told.problems.append(problem)
            case {"expected_failure": _} | {"found": _} | {"done": _}:
                for name, value in one.items():
                    setattr(told, name, value)
    return told
