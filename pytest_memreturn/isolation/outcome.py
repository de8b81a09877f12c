"""What became of an isolated test: what it told, and what is to be said where that is not all."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_memreturn.isolation.ending import Ending
from pytest_memreturn.isolation.sections import shortened
from pytest_memreturn.isolation.told import Phase, Told

# Of what a process said before it ended, so much is in the message: the stacks of its threads, as
# faulthandler and pytest-timeout print them, with some 6,000 characters for that of pytest itself.
_MOST_CHARACTERS = 20_000

# What a process said outside the phases of its test. pytest shows what has this word in its name
# beside a test that failed, whichever phase that was in.
_BESIDE = "Captured beside setup, call and teardown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an isolated test.

    `captured`: what pytest had captured of a phase that did not end, of stdout and of stderr.
    `said`: what the process said besides.
    """

    told: Told
    ending: Ending
    captured: tuple[str, str] = ("", "")
    said: str = ""


def failure_of(outcome: Outcome) -> tuple[Phase, str] | None:
    """The phase in which the process was lost, and the message; ``None`` where it was not."""
    told, ending = outcome.told, outcome.ending
    phase = told.missing_phase()
    said = outcome.said.strip()
    is_lost = ending.status is None and not told.done
    if phase is None and not ending.is_crash and not is_lost:
        return None
    if phase is None:
        phase = "teardown"
        text = f"the interpreter of this isolated test {ending.words()} (after its tear-down)"
    elif phase == "setup" and told.problems:
        text = "this test could not be run in a fresh interpreter"
    elif phase == "setup" and told.found == 0:
        text = (
            "this test was not found again in a fresh interpreter: its id may change from run to "
            "run, or depend on what else is collected"
        )
    elif phase == "setup" and told.found is not None and told.found > 1:
        text = f"{told.found} tests have this id: which of them is to be isolated can't be told"
    else:
        text = ending.sentence(phase)
    lines = [text, *told.problems]
    if said:
        lines += ["", "what it said:", shortened(said, _MOST_CHARACTERS)]
    return phase, "\n".join(lines)


def put_beside(outcome: Outcome) -> None:
    """Put what a process that came to its end said besides on the reports of its test."""
    reports = outcome.told.reports
    if outcome.said.strip():
        failed = [one for one in reports.values() if one["outcome"] == "failed"]
        for one in failed or [reports["teardown"]]:
            one["sections"].append((_BESIDE, outcome.said))
