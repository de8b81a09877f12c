"""The report of one test: its records, and a verdict where a traceback would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest

from pytest_memreturn import _properties, _xdist
from pytest_memreturn._errors import InvalidSettingError, MemoryNotReturnedWarning
from pytest_memreturn._failures import VerdictFailure
from pytest_memreturn._record import LABELLED, Due, Record

if TYPE_CHECKING:
    from pytest_memreturn._record import Window
    from pytest_memreturn._settings import Gate, Settings

SettingsFor: TypeAlias = Callable[[pytest.Item], "Settings | None"]

_HOW_IT_ENDED = {
    "failed": "failed",
    "error": "ended with an error",
    "skipped": "was skipped",
    "xfailed": "failed as expected",
}


@dataclass(slots=True)
class TestState:
    """What has become of a test so far, kept with its item.

    `due`: what is to be judged from here on, the test itself as the last of it. `records` wait for
    the next report.
    `failure` is what its verdict raised: a warning where the run turns warnings into errors.
    `subtest_failed` is told while the window is open. `where`: in which of its rounds the body is.
    `has_wide_window`: one that began before its set-up. `is_watched`: the end of its fixtures is.
    `retained`: what its body retained, with rounds or without (`has_rounds`), and the figures
    of then; `torn_down_bytes` came back at that end, as `sentence` says.
    """

    __test__ = False  # pytest takes classes of this name for tests

    due: list[Due] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    failure: VerdictFailure | MemoryNotReturnedWarning | None = None
    window_is_open: bool = False
    subtest_failed: bool = False
    where: str = ""
    has_wide_window: bool = False
    is_watched: bool = False
    retained: tuple[int, int, int] | None = None
    has_rounds: bool = False
    torn_down_bytes: int | None = None
    sentence: str = ""


_STATE = pytest.StashKey[TestState]()


def state_of(item: pytest.Item) -> TestState:
    """The state of `item`, new when there is none yet."""
    return item.stash.setdefault(_STATE, TestState())


def expect_verdict(item: pytest.Item, due: Due) -> None:
    """Note that a test, or what it is the first one of, is to be judged.

    The report of its set-up will say it.
    """
    state_of(item).due.append(due)


def due_by(settings: Settings, nodeid: str) -> Due:
    """What is to be judged by these settings."""
    return Due(nodeid, settings.gate.value, settings.window.value)


def location(item: pytest.Item) -> str:
    """Where the test begins, from the root folder on, as in its node id."""
    return f"{item.location[0]}:{line_number(item)}"


def line_number(item: pytest.Item) -> int:
    """The line on which the test begins, from 1 on."""
    return (item.location[1] or 0) + 1


def finish_report(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    settings_for: SettingsFor,
) -> None:
    """Send the records of a phase with its report, and say the verdict in place of a traceback.

    A test that fails or skips by itself keeps its outcome: its traceback holds its locals
    alive, so that its memory can't be judged.
    """
    state = item.stash.get(_STATE, None)
    if report.when == "setup":
        _properties.forget(item)
    if report.when == "teardown" and state is not None:
        # pytest keeps every item to the end of the run.
        del item.stash[_STATE]
    if report.when == "teardown" and state is not None and state.torn_down_bytes is not None:
        _xdist.attach_torn_down(report, state.torn_down_bytes)
        if state.sentence:
            # pytest shows such a section beneath the failure, after what the body has shown.
            report.sections.append(("memory at teardown", state.sentence))
    if report.when == "setup" and state is not None:
        _announce(item, report, state.due)
    if call.excinfo is None and (state is None or not state.records):
        return
    state = state or state_of(item)
    if state.window_is_open:  # a subtest, of a test that still runs
        state.subtest_failed |= report.failed
        return
    records = list(state.records)
    state.records.clear()
    if call.excinfo is not None and call.excinfo.value is state.failure:
        state.failure = None
        _say_without_traceback(item, call.excinfo, report)
    elif call.excinfo is not None and report.when != "teardown":
        blocks = [one for one in records if one.window in LABELLED]
        records = [*blocks, *_own_outcome(item, report, settings_for, state.where)]
    _xdist.attach(report, records)
    _properties.attach(item, report, records)


def _announce(item: pytest.Item, report: pytest.TestReport, due: Sequence[Due]) -> None:
    """Whoever reports learns what it will miss if this process ends in the test."""
    # Of a test whose set-up has not come to its end there is nothing more to come.
    found = [one for one in due if report.passed or one.nodeid != item.nodeid]
    if found:
        _xdist.announce(report, found)


def _own_outcome(
    item: pytest.Item, report: pytest.TestReport, settings_for: SettingsFor, where: str
) -> list[Record]:
    outcome: str = "xfailed" if hasattr(report, "wasxfail") else report.outcome
    if outcome not in _HOW_IT_ENDED:
        # A plugin that forgives or repeats it has a word of its own; an exception it is.
        outcome = "failed"
    if report.when == "setup" and outcome == "failed":
        outcome = "error"
    phase = "in set-up" if report.when == "setup" else "by itself"
    reason = f"the test {_HOW_IT_ENDED[outcome]} {phase}"
    if where:
        reason += f", in {where}"
    window: Window = "call"
    gate: Gate = "collect"  # where a mark is wrong, nobody knows what it asked for
    try:
        settings = settings_for(item)
        if settings is None:
            return []
        gate, window = settings.gate.value, settings.window.value
    except InvalidSettingError as error:
        reason = str(error)
    return [
        Record(
            nodeid=item.nodeid,
            verdict="unjudged",
            gate=gate,
            window=window,
            location=location(item),
            reason=reason,
            own_outcome=outcome,
        )
    ]


def _say_without_traceback(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport
) -> None:
    """Show the exception's text and the place of the test: where we raised helps nobody.

    A representation made by pytest, and not a text, travels through pytest-xdist whole and has
    the parts that ``--tb=line``, the summary and JUnit files ask for.
    """
    shown = excinfo.getrepr(style="value")
    first_line, _, _ = str(excinfo.value).partition("\n")
    crash = shown.reprcrash
    assert crash is not None  # an exception that was raised has a traceback
    crash.path, crash.lineno, crash.message = _clickable(item), line_number(item), first_line
    # As pytest ends a traceback, so that editors and terminals make it a link.
    place = f"{crash.path}:{crash.lineno}: {type(excinfo.value).__name__}"
    entry = shown.reprtraceback.reprentries[-1]
    entry.lines = [*entry.lines, "", place]
    report.longrepr = shown


def _clickable(item: pytest.Item) -> str:
    """The test's file, from the folder that pytest was started in."""
    started_in = item.config.invocation_params.dir
    inside = started_in in item.path.parents
    return str(item.path.relative_to(started_in) if inside else item.path)
