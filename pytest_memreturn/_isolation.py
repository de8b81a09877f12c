"""Isolated tests in one run: each phase is here what it was in the fresh interpreter."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from pytest_memreturn import _xdist
from pytest_memreturn._failures import IsolationFailure
from pytest_memreturn._record import Isolation, Record
from pytest_memreturn._test_report import due_by, location, state_of
from pytest_memreturn.isolation.interpreter import Interpreters
from pytest_memreturn.isolation.order import Order
from pytest_memreturn.isolation.outcome import failure_of, put_beside
from pytest_memreturn.isolation.reported import report_of
from pytest_memreturn.isolation.variables import with_allocator, with_changes
from pytest_memreturn.isolation.warned import warning_of

if TYPE_CHECKING:
    from pytest_memreturn._record import Due
    from pytest_memreturn._session import Session
    from pytest_memreturn._settings import Settings
    from pytest_memreturn.fresh.command import Invocation
    from pytest_memreturn.isolation.outcome import Outcome
    from pytest_memreturn.isolation.told import Phase

# What plugins would choose anew in another process, by where pytest keeps it.
_CHOSEN_OPTIONS = ("randomly_seed",)

# So many kinds of interpreters are kept ready, each in some 25 MiB.
_MOST_KINDS = 4

# What the run itself has checked already.
_CHECKED = {"memreturn_any_environment": True}


class _RanElsewhere(Exception):  # noqa: N818 - no error: it keeps all that would run here from it
    """A phase of an isolated test: its report is there already."""


@dataclass(frozen=True, slots=True)
class _Isolated:
    """A test that has run elsewhere. `failure`: in which phase its process was lost, and how."""

    settings: Settings
    outcome: Outcome
    isolation: Isolation
    failure: tuple[Phase, str] | None


_ISOLATED = pytest.StashKey[_Isolated]()


class IsolatedTests:
    """The hooks of a run with isolated tests. pytest goes through the phases of each as ever.

    `verdict_is_due`: told of a test before it runs. `give`: has a worker told what it needs.
    """

    def __init__(
        self,
        session: Session,
        config: pytest.Config,
        invocation: Invocation,
        verdict_is_due: Callable[[Due], None],
        give: Callable[[object], None],
    ) -> None:
        self._session = session
        self._config = config
        self._invocation = invocation
        self._verdict_is_due = verdict_is_due
        self._given: dict[str, Any] = {}
        give(SimpleNamespace(workerinput=self._given))
        self._shows = config.getoption("capture") in {"no", "tee-sys"}
        # By the variables that they start with, the last that was used at the end.
        self._interpreters: dict[frozenset[tuple[str, str]], Interpreters] = {}
        self._runs = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Run an isolated test, all of it; first, so that nothing of it is set up here.

        Only wrappers come before: some lay out there what they take away after tear-down.
        """
        __tracebackhide__ = True
        settings = self._session.isolated(item)
        if settings is None:
            return
        item.stash[_ISOLATED] = self._run(item, settings)
        self._end(item, "setup")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Give the reports of its subtests; outermost, since an ``xfail`` was looked at there."""
        __tracebackhide__ = True
        found = item.stash.get(_ISOLATED, None)
        if found is not None:
            for one in found.outcome.told.beside:
                report = report_of(self._config, {**one, "nodeid": item.nodeid})
                item.ihook.pytest_runtest_logreport(report=report)
            self._end(item, "call")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Tear down what earlier tests have set up here, and end as its tear-down ended there."""
        __tracebackhide__ = True
        result = yield
        if _ISOLATED in item.stash:
            self._end(item, "teardown")
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        """The report that came back: for others, and their wrappers, as if pytest had made it."""
        found = item.stash.get(_ISOLATED, None)
        if found is not None and call.when == "teardown":
            del item.stash[_ISOLATED]  # pytest keeps its items to the end of the run
        if found is None or call.excinfo is None:
            return None
        if not isinstance(call.excinfo.value, _RanElsewhere):
            return None
        call.excinfo = None  # it is nobody's concern how a phase ends here
        # Only a phase that has one ends so.
        data = found.outcome.told.reports[cast("Phase", call.when)]
        report = report_of(self._config, {**data, "nodeid": item.nodeid})
        # There it has no group of pytest-xdist's behind its name, which is what it goes by here.
        due = [dataclasses.replace(one, nodeid=item.nodeid) for one in _xdist.announced(report)]
        _xdist.announce(report, due)
        _xdist.attach(
            report,
            [
                dataclasses.replace(one, nodeid=item.nodeid, isolation=found.isolation)
                for one in _xdist.attached(report)
            ],
        )
        return report

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind that waits for a test that does not come."""
        while self._interpreters:
            self._interpreters.popitem()[1].close()

    def _run(self, item: pytest.Item, settings: Settings) -> _Isolated:
        __tracebackhide__ = True
        if settings.enabled.value:
            self._verdict_is_due(due_by(settings, item.nodeid))
        # The timer of the test is in its own process: this one waits for as long as that takes.
        stop_timer = getattr(self._config.hook, "pytest_timeout_cancel_timer", None)
        if stop_timer is not None:
            stop_timer(item=item)
        began = time.perf_counter()
        outcome = self._outcome(item, settings)
        if isinstance(outcome, str):
            pytest.fail(outcome, pytrace=False)
        overhead_seconds = time.perf_counter() - began - outcome.told.seconds()
        isolation = Isolation(settings.env.value, settings.allocator.value, overhead_seconds)
        for one in outcome.told.warnings:
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": warning_of(one),
                    "when": "runtest",
                    "nodeid": one["nodeid"],
                    "location": one["location"],
                }
            )
        failure = failure_of(outcome)
        if failure is None:
            put_beside(outcome)
        return _Isolated(settings, outcome, isolation, failure)

    def _outcome(self, item: pytest.Item, settings: Settings) -> Outcome | str:
        """What became of a test; or why it was not even begun."""
        try:
            try:
                variables, library = self._variables(settings)
            except ValueError as error:
                return f"{item.nodeid}: {settings.allocator.origin}: {error}"
            return self._with(variables).run(
                self._order(item, library), settings.isolate_timeout_seconds.value
            )
        except OSError as error:
            return f"a fresh interpreter could not be started: {error.strerror or error}"

    def _order(self, item: pytest.Item, library: str | None) -> Order:
        self._runs += 1
        # Where the run's own are, so that they are found, and kept as long, as those.
        factory = getattr(self._config, "_tmp_path_factory", None)
        base = Path() if factory is None else factory.getbasetemp()
        options = {name: getattr(self._config.option, name, None) for name in _CHOSEN_OPTIONS}
        return Order(
            nodeid=_xdist.plain_nodeid(item),
            path=str(item.path),
            args=self._invocation.arguments(base / f"isolated-{self._runs}"),
            program=sys.argv,
            keeps_first_path=self._invocation.keeps_first_path,
            options={**options, **_CHECKED},
            worker=getattr(self._config, "workerinput", None),
            given=self._given,
            library=library,
        )

    def _variables(self, settings: Settings) -> tuple[dict[str, str], str | None]:
        found = with_changes(self._invocation.variables, settings.env.value)
        allocator = settings.allocator.value
        return (found, None) if allocator is None else with_allocator(found, allocator)

    def _with(self, variables: dict[str, str]) -> Interpreters:
        """Those that start with these variables: the same as before, where they are still there."""
        key = frozenset(variables.items())
        found = self._interpreters.pop(key, None)
        if found is not None and not found.are_ready:
            found.close()
            found = None
        if found is None:
            found = Interpreters(self._invocation, variables, shows=self._shows)
        self._interpreters[key] = found
        if len(self._interpreters) > _MOST_KINDS:
            self._interpreters.pop(next(iter(self._interpreters))).close()
        return found

    def _end(self, item: pytest.Item, when: Phase) -> None:
        """End a phase as it ended there. It returns for a tear-down that nobody came to."""
        __tracebackhide__ = True
        found = item.stash[_ISOLATED]
        told = found.outcome.told
        if found.failure is not None and found.failure[0] == when:
            if told.stopped is not None:
                _stop(*told.stopped)
            self._fail(item, found, *found.failure)
        if when in told.reports:
            raise _RanElsewhere

    def _fail(self, item: pytest.Item, found: _Isolated, phase: Phase, text: str) -> NoReturn:
        """Fail the phase in which the process of the test was lost."""
        __tracebackhide__ = True
        told = found.outcome.told
        if phase == "call" and told.expected_failure is not None:
            pytest.xfail(f"{told.expected_failure}: {text.partition(chr(10))[0]}")
        sections = [one["sections"] for one in told.reports.values()]
        for name, content in sections[-1] if sections else ():
            stream, _, when = name.removeprefix("Captured ").rpartition(" ")
            item.add_report_section(when, stream, content)
        for stream, content in zip(("stdout", "stderr"), found.outcome.captured, strict=True):
            if content:
                item.add_report_section(phase, stream, content)
        record = Record(
            nodeid=item.nodeid,
            verdict="unjudged",
            gate=found.settings.gate.value,
            window=found.settings.window.value,
            location=location(item),
            reason=text.partition("\n")[0],
            own_outcome="error" if phase == "setup" else "failed",
            isolation=found.isolation,
        )
        state = state_of(item)
        # What its body came to, it told before its tear-down.
        if found.settings.enabled.value and phase != "teardown":
            state.records.append(record)
        state.failure = IsolationFailure(text, record)
        raise state.failure


def _stop(name: str, text: str, status: int | None) -> NoReturn:
    """End the run as the test wanted it ended."""
    if name == "Exit":
        pytest.exit(text, returncode=status)
    raise KeyboardInterrupt(text)
