"""Windows wider than the body of a test: when they open and close."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest

from pytest_memreturn._errors import InvalidSettingError, MemoryNotReturnedWarning
from pytest_memreturn._failures import MemoryNotReturned, VerdictFailure
from pytest_memreturn._test_report import due_by, expect_verdict, state_of
from pytest_memreturn._torn_down import after_tear_down, let_go_of

if TYPE_CHECKING:
    from _pytest.nodes import Node

    from pytest_memreturn._measure import Attempt
    from pytest_memreturn._record import Due, Record
    from pytest_memreturn._recorder import Recorder
    from pytest_memreturn._session import Session
    from pytest_memreturn._settings import Settings

Failure: TypeAlias = VerdictFailure | MemoryNotReturnedWarning

_GRAVEST_FIRST = (MemoryNotReturned, VerdictFailure)


@dataclass(eq=False, slots=True)
class _Wide:
    """An open window over a test, a class or a module, and what has happened in it."""

    node: Node
    attempt: Attempt
    opened: Recorder | str
    tests: int = 0
    failed: list[str] = field(default_factory=list)
    take_back: Callable[[], None] = lambda: None
    record: Record | None = None


class WideWindows:
    """Hooks of a run in which any test is judged together with its fixtures, or with others.

    A window opens before the set-up of its first test. It closes when all that belongs to it has
    been torn down: what pytest calls last of what it calls for a test, a class or a module. Where
    the tests of a class or module do not run in one go, each stretch has a verdict of its own.
    `verdict_is_due`: told of each that opens over more than a test.
    """

    def __init__(self, session: Session, verdict_is_due: Callable[[Due], None]) -> None:
        self._session = session
        self._verdict_is_due = verdict_is_due
        self._open: list[_Wide] = []
        self._closed: list[_Wide] = []
        self._ending: pytest.Item | None = None
        self._run_is_over = False
        # The test at whose end more was found to fail than what is its own.
        self._of_many: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Open the windows that begin with this test; outside all that its set-up does."""
        try:
            asked = self._session.wide_windows(item)
        except InvalidSettingError:
            return  # which is said where all wrong marks are said
        for node, settings in asked:
            if all(one.node is not node for one in self._open):
                self._open.append(self._opened(node, item, settings))
            state_of(item).has_wide_window |= node is item
        for one in self._open:
            one.tests += 1

    def _opened(self, node: Node, item: pytest.Item, settings: Settings) -> _Wide:
        attempt = self._session.attempt(
            settings, node.nodeid, item, None if settings.window.value == "test" else node
        )
        one = _Wide(node, attempt, attempt.open())
        if node is not item:  # which is said with all others that are judged
            due = due_by(attempt.settings, node.nodeid)
            expect_verdict(item, due)
            self._verdict_is_due(due)
        one.take_back = after_tear_down(node, functools.partial(self._close, one))
        return one

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Let subtests be told from the test, while its body runs."""
        if all(one.node is not item for one in self._open):
            return (yield)
        state = state_of(item)
        state.window_is_open = True
        try:
            return (yield)
        finally:
            state.window_is_open = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note a test that fails: its traceback keeps its locals alive, and so spoils a window."""
        report = yield
        if call.excinfo is not None and self._of_many is item:
            # That the test was expected to fail is no matter of the others.
            self._of_many = None
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
        if call.excinfo is not None and not self._session.runs_elsewhere(item):
            is_skipped = report.skipped and not hasattr(report, "wasxfail")
            for one in self._open:
                # A test that is skipped is not judged itself, and is no matter to the others.
                if one.node is item or not is_skipped:
                    one.failed.append(item.nodeid)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Judge what has closed; outermost, when everybody has torn down."""
        __tracebackhide__ = True
        self._ending = item
        going_on = nextitem.listchain() if nextitem is not None else []
        try:
            result = yield
        except BaseException:
            self._close_all_but(going_on)
            self._tear_down_failed(item)
            raise
        self._close_all_but(going_on)
        self._judge(item)
        return result

    def _close_all_but(self, going_on: list[Node]) -> None:
        """Close what has ended and was never set up, so that nobody tore it down."""
        for one in reversed(self._open.copy()):
            if one.node not in going_on:
                self._close(one)

    def _close(self, one: _Wide) -> None:
        """Take the last readings of a window, and its verdict."""
        one.take_back()
        self._open.remove(one)
        if self._run_is_over:
            one.attempt.abandon(one.opened)
            return
        self._closed.append(one)
        assert self._ending is not None  # pytest tears down at the end of a test, or of the run
        let_go_of(self._ending)
        if one.failed:
            one.attempt.abandon(one.opened)
            one.record = self._session.spoiled(one.attempt, one.node, one.failed, one.tests)
            return
        one.record = self._session.closed(one.attempt, one.opened, one.node, one.tests)

    def _tear_down_failed(self, item: pytest.Item) -> None:
        """Take back the verdicts of what has closed: a traceback may have kept the memory."""
        for one in self._closed:
            record = one.attempt.unjudged("a tear-down inside it failed", own_outcome="error")
            state_of(item).records.append(dataclasses.replace(record, test_count=one.tests))
        self._closed.clear()

    def _judge(self, item: pytest.Item) -> None:
        """Send what has closed with this test's report; raise one failure of all that failed."""
        __tracebackhide__ = True
        failures: list[Failure] = []
        closed, self._closed = self._closed, []
        for one in closed:
            if one.record is None:
                continue
            state_of(item).records.append(one.record)
            try:
                self._session.raise_verdict(item, one.record, one.attempt.settings)
            except (VerdictFailure, MemoryNotReturnedWarning) as failure:
                failures.append(failure)
                if one.node is not item:
                    self._of_many = item
        if failures:
            raised = state_of(item).failure = _all_in_one(failures)
            raise raised

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """What is torn down now has no report to go with."""
        self._run_is_over = True


def _all_in_one(failures: Sequence[Failure]) -> Failure:
    """The gravest, with what all of them say."""
    ordered = sorted(failures, key=lambda one: [not isinstance(one, of) for of in _GRAVEST_FIRST])
    gravest = ordered[0]
    if len(failures) == 1:
        return gravest
    text = "\n\n".join(map(str, ordered))
    if isinstance(gravest, VerdictFailure):
        return type(gravest)(text, gravest.record)
    return type(gravest)(text)
