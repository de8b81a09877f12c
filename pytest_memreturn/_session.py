"""Judging inside one pytest run: which tests, how, and what becomes of their outcome."""

from __future__ import annotations

import functools
import shutil
import sys
import warnings
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_memreturn import _options, _xdist
from pytest_memreturn._errors import InvalidSettingError, MemoryNotReturnedWarning
from pytest_memreturn._failures import VerdictFailure
from pytest_memreturn._record import Record
from pytest_memreturn._settings import Source, check, resolve

if TYPE_CHECKING:
    from pytest_memreturn._measure import Measure
    from pytest_memreturn._recorder import Instruments
    from pytest_memreturn._settings import Settings

T = TypeVar("T")

_MOST_MESSAGE_COLUMNS = 120

# What a test of this plugin puts here is used instead of this process's own instruments.
INSTRUMENTS = pytest.StashKey[Callable[[], "Instruments"]]()
_RECORDS = pytest.StashKey[list[Record]]()
_OWN_FAILURE = pytest.StashKey[VerdictFailure | MemoryNotReturnedWarning]()
# There while a test's window is open.
_SUBTEST_FAILED = pytest.StashKey[bool]()


class Session:
    """Judges tests by the settings of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._sources = _options.run_sources(config)
        self._settings = resolve(self._sources)
        self._probe_name = _options.probe_name(config)
        # Asked now, since while a test runs pytest has put a file in the terminal's place.
        self._terminal_columns = shutil.get_terminal_size().columns

    def settings_for(self, item: pytest.Item) -> Settings | None:
        """How `item` is to be judged; ``None`` when it isn't. Raises `InvalidSettingError`."""
        if self._settings.mode.value == "off":
            return None
        marked = item.get_closest_marker(_options.MARK) is not None
        if not marked:
            return self._settings if self._settings.enabled.value else None
        settings = resolve([*_options.marker_sources(item), *self._sources])
        return settings if settings.enabled.value else None

    def settings_or_fail(self, item: pytest.Item) -> Settings | None:
        """The same; a mark that cannot be right fails the phase with no more than its message."""
        try:
            return self.settings_for(item)
        except InvalidSettingError as error:
            problem = f"{item.nodeid}: {error}"
        # Outside the handler, so that pytest shows no chain of exceptions.
        pytest.fail(problem, pytrace=False)

    def judged_call(self, item: pytest.Item, settings: Settings) -> Generator[None, T, T]:
        """Run the rest of the call phase inside a window and raise what the verdict asks for."""
        from pytest_memreturn._measure import Attempt, raise_verdict

        attempt = Attempt(settings, self.instruments, item.nodeid, _location(item))
        _forget_last_failure()
        item.stash[_SUBTEST_FAILED] = False
        opened = attempt.open()
        try:
            result = yield
        except BaseException:
            attempt.abandon(opened)
            raise
        finally:
            subtest_failed = item.stash[_SUBTEST_FAILED]
            del item.stash[_SUBTEST_FAILED]
        if subtest_failed or _failed_inside_unittest(item):
            attempt.abandon(opened)
            if subtest_failed:
                self.add(item, attempt.unjudged("a subtest failed", own_outcome="failed"))
            return result
        record, _ = attempt.close(opened)
        self.add(item, record)
        try:
            raise_verdict(
                record,
                settings,
                functools.partial(_warn, item),
                message="\n".join(self._message(record)),
            )
        except (VerdictFailure, MemoryNotReturnedWarning) as failure:
            # A warning comes this way when the run turns warnings into errors.
            item.stash[_OWN_FAILURE] = failure
            raise
        return result

    def measure(self, item: pytest.Item, keywords: Mapping[str, object], label: str) -> Measure:
        """A block inside `item`, judged by its own keywords and the settings of the run."""
        from pytest_memreturn._measure import Attempt, Measure

        source = Source(f"memreturn() in {item.nodeid}", keywords, is_marker=True)
        attempt = Attempt(
            resolve([check(source), *self._sources]),
            self.instruments,
            item.nodeid,
            _location(item),
            window="block",
            label=label,
        )
        return Measure(
            attempt,
            on_record=lambda record: self.add(item, record),
            warn=functools.partial(_warn, item),
        )

    def instruments(self) -> Instruments:
        """What this process measures with."""
        from pytest_memreturn._measure import instruments

        if INSTRUMENTS in self._config.stash:
            return self._config.stash[INSTRUMENTS]()
        return instruments(self._probe_name)

    def add(self, item: pytest.Item, record: Record) -> None:
        """Keep a record until the report that carries it is made."""
        item.stash.setdefault(_RECORDS, []).append(record)

    def finish_report(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> None:
        """Send the records of a phase with its report, and say the verdict in place of a traceback.

        A test that fails or skips by itself keeps its outcome: its traceback holds its locals
        alive, so that its memory can't be judged.
        """
        if _SUBTEST_FAILED in item.stash:  # a subtest, of a test that still runs
            item.stash[_SUBTEST_FAILED] |= report.failed
            return
        records = item.stash.get(_RECORDS, [])
        raised = call.excinfo.value if call.excinfo is not None else None
        if not records and raised is None:
            return
        item.stash[_RECORDS] = []
        failure = item.stash.get(_OWN_FAILURE, None)
        if failure is not None and raised is failure:
            del item.stash[_OWN_FAILURE]
            assert call.excinfo is not None  # it was raised
            _say_without_traceback(item, call.excinfo, report)
        elif raised is not None and report.when != "teardown":
            blocks = [one for one in records if one.window == "block"]
            records = [*blocks, *self._own_outcome(item, report)]
        _xdist.attach(report, records)

    def _own_outcome(self, item: pytest.Item, report: pytest.TestReport) -> list[Record]:
        settings, reason = self._settings, None
        try:
            found = self.settings_for(item)
            if found is None:
                return []
            settings = found
        except InvalidSettingError as error:
            reason = str(error)
        outcome: str = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if report.when == "setup" and outcome == "failed":
            outcome = "error"
        if reason is None:
            phase = "in set-up" if report.when == "setup" else "by itself"
            reason = f"the test {_PAST[outcome]} {phase}"
        return [
            Record(
                nodeid=item.nodeid,
                verdict="unjudged",
                gate=settings.gate.value,
                location=_location(item),
                reason=reason,
                own_outcome=outcome,
            )
        ]

    def _message(self, record: Record) -> list[str]:
        from pytest_memreturn.report.message import render_message

        if record.verdict != "retained":
            return []
        width = min(self._terminal_columns, _MOST_MESSAGE_COLUMNS)
        return render_message(record, width=width, verbosity=self._config.get_verbosity())


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
    crash.path, crash.lineno, crash.message = _clickable(item), _line(item), first_line
    # As pytest ends a traceback, so that editors and terminals make it a link.
    place = f"{crash.path}:{crash.lineno}: {type(excinfo.value).__name__}"
    entry = shown.reprtraceback.reprentries[-1]
    entry.lines = [*entry.lines, "", place]
    report.longrepr = shown


_PAST = {
    "failed": "failed",
    "error": "ended with an error",
    "skipped": "was skipped",
    "xfailed": "failed as expected",
}


def _location(item: pytest.Item) -> str:
    """Where the test begins, from the root folder on, as in its node id."""
    return f"{item.location[0]}:{_line(item)}"


def _clickable(item: pytest.Item) -> str:
    """The test's file, from the folder that pytest was started in."""
    started_in = item.config.invocation_params.dir
    inside = started_in in item.path.parents
    return str(item.path.relative_to(started_in) if inside else item.path)


def _line(item: pytest.Item) -> int:
    return (item.location[1] or 0) + 1


def _warn(item: pytest.Item, message: str) -> None:
    __tracebackhide__ = True
    warnings.warn_explicit(
        f"{item.nodeid} {message}",
        MemoryNotReturnedWarning,
        filename=str(item.path),
        lineno=_line(item),
    )


def _failed_inside_unittest(item: pytest.Item) -> bool:
    """Whether a method of `unittest.TestCase` has failed or skipped, though its call returned.

    pytest keeps what unittest caught here until it makes the report, and offers no other way
    to ask.
    """
    return bool(getattr(item, "_excinfo", None))


def _forget_last_failure() -> None:
    """Drop the traceback of the last failed test before the baseline.

    pytest keeps it for debuggers until the next test's call begins, which lies inside the
    window: what the failed test held would count as given back by this one.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
