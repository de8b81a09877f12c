"""One pytest run: which tests are judged, and what became of them."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_memreturn import _options, _xdist
from pytest_memreturn._errors import (
    InvalidSettingError,
    MemoryNotReturnedWarning,
    VerdictFailure,
)
from pytest_memreturn._settings import Source, check, resolve
from pytest_memreturn.report.files import TABLE

if TYPE_CHECKING:
    from pytest_memreturn._measure import Measure
    from pytest_memreturn._record import Record
    from pytest_memreturn._recorder import Instruments
    from pytest_memreturn._settings import Settings
    from pytest_memreturn._snapshot import Snapshot

T = TypeVar("T")

MARK = "returns_memory"
_MOST_MESSAGE_COLUMNS = 120

# What a test of this plugin puts here is used instead of this process's own instruments.
INSTRUMENTS = pytest.StashKey[Callable[[], "Instruments"]]()
_RECORDS = pytest.StashKey[list["Record"]]()
_OWN_FAILURE = pytest.StashKey[VerdictFailure]()


class Session:
    """Settings of the run, and the records of its tests.

    Under pytest-xdist each worker judges and the controller collects.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._sources = _options.run_sources(config)
        self._settings = resolve(self._sources)
        self._probe_name = _options.probe_name(config)
        self._targets = [] if _xdist.is_worker(config) else _options.report_targets(config)
        self.records: list[Record] = []

    # -- judging ---------------------------------------------------------------------------

    def settings_for(self, item: pytest.Item) -> Settings | None:
        """How `item` is to be judged; ``None`` when it isn't. Raises `InvalidSettingError`."""
        if self._settings.mode.value == "off":
            return None
        marked = item.get_closest_marker(MARK) is not None
        if not marked:
            return self._settings if self._settings.enabled.value else None
        settings = resolve([*map(check, _marker_sources(item)), *self._sources])
        return settings if settings.enabled.value else None

    def check_marks(self, item: pytest.Item) -> None:
        """Fail the set-up of a test whose mark cannot be right."""
        try:
            self.settings_for(item)
            problem = None
        except InvalidSettingError as error:
            problem = str(error)
        if problem is not None:  # outside the handler, so that no chain of exceptions is shown
            pytest.fail(f"{item.nodeid}: {problem}", pytrace=False)

    def judged_call(
        self, item: pytest.Item, settings: Settings
    ) -> Generator[None, T, T]:
        """Run the rest of the call phase inside a window and raise what the verdict asks for."""
        from pytest_memreturn._measure import Attempt, raise_verdict

        attempt = Attempt(settings, self.instruments, item.nodeid, location=_location(item))
        _forget_last_failure()
        opened = attempt.open()
        try:
            result = yield
        except BaseException:
            attempt.abandon(opened)
            raise
        record, _ = attempt.close(opened)
        self.add(item, record)
        try:
            raise_verdict(record, settings, lambda message: _warn(item, message))
        except VerdictFailure as failure:
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
            label=label,
            location=_location(item),
            detailed=True,
        )
        return Measure(
            attempt,
            on_record=lambda record: self.add(item, record),
            warn=lambda message: _warn(item, message),
        )

    def instruments(self) -> Instruments:
        """What this process measures with."""
        from pytest_memreturn._measure import instruments

        if INSTRUMENTS in self._config.stash:
            return self._config.stash[INSTRUMENTS]()
        return instruments(self._probe_name)

    # -- reporting -------------------------------------------------------------------------

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
        records = item.stash.get(_RECORDS, [])
        item.stash[_RECORDS] = []
        failure = item.stash.get(_OWN_FAILURE, None)
        raised = call.excinfo.value if call.excinfo is not None else None
        if report.when == "call" and failure is not None and raised is failure:
            report.longrepr = self._failure_text(failure)
            item.stash[_OWN_FAILURE] = None  # type: ignore[assignment]
        elif report.when != "teardown" and raised is not None:
            records = [one for one in records if one.label is not None]
            records += self._own_outcome(item, report)
        _xdist.attach(report, records)

    def _own_outcome(self, item: pytest.Item, report: pytest.TestReport) -> list[Record]:
        from pytest_memreturn._measure import Attempt

        try:
            settings = self.settings_for(item)
        except InvalidSettingError as error:
            attempt = Attempt(self._settings, self.instruments, item.nodeid, None, _location(item))
            return [attempt.unjudged(str(error), own_outcome="error")]
        if settings is None:
            return []
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if report.when == "setup" and outcome == "failed":
            outcome = "error"
        phase = "in set-up" if report.when == "setup" else "by itself"
        attempt = Attempt(settings, self.instruments, item.nodeid, None, _location(item))
        return [attempt.unjudged(f"the test {_PAST[outcome]} {phase}", own_outcome=outcome)]

    def _failure_text(self, failure: VerdictFailure) -> str:
        from pytest_memreturn.report.message import render_message

        record = failure.record
        if record.verdict == "unjudged":
            lines = [str(failure)]
        else:
            width = min(shutil.get_terminal_size().columns, _MOST_MESSAGE_COLUMNS)
            lines = render_message(
                record, width=width, verbosity=self._config.get_verbosity()
            )
        return "\n".join([*lines, "", f"{record.location}: {type(failure).__name__}"])

    def collect(self, report: pytest.TestReport) -> None:
        """Take the records off a report, in the one process that reports."""
        if not _xdist.is_worker(self._config):
            self.records += _xdist.detach(report)

    def write_files(self) -> None:
        """Write every report file that was asked for."""
        from pytest_memreturn.report.files import write_whole
        from pytest_memreturn.report.json_report import json_report

        paths = [target.path for target in self._targets if target.path is not None]
        if not paths:
            return
        text = json_report(self.records, self._environment())
        for path in paths:
            write_whole(path, text)

    def write_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The table where it was asked for, and every reading that could not be had."""
        from pytest_memreturn.report.table import render_table, summary_line, unjudged_lines

        missing = list(unjudged_lines(self.records))
        wants_table = any(target.format == TABLE for target in self._targets)
        if not wants_table and not missing:
            return
        terminal.section("memory returned to the operating system")
        if wants_table and self.records:
            for line in render_table(self.records, terminal.width if hasattr(terminal, "width") else 80):
                terminal.line(line)
        for line in missing:
            terminal.line(line, yellow=True)
        terminal.line(summary_line(self.records))

    def _environment(self) -> dict[str, Any]:
        from pytest_memreturn.probes.environment import environment

        instruments = self.instruments()
        names = [one.name for one in instruments.statistics()]
        return environment(instruments.memory.name, names)


_PAST = {
    "failed": "failed",
    "error": "ended with an error",
    "skipped": "was skipped",
    "xfailed": "failed as expected",
}


class MemreturnFixture:
    """The ``memreturn`` fixture: judge a block, take a snapshot, release memory."""

    def __init__(self, session: Session, item: pytest.Item) -> None:
        self._session = session
        self._item = item
        self._blocks = 0

    def __call__(
        self,
        max_retained: int | str | None = None,
        *,
        min_returned: str | None = None,
        trim: bool | None = None,
        label: str | None = None,
    ) -> Measure:
        """Judge the ``with`` block that follows; the keywords are those of the marker.

        `label` is what messages and reports call the block; by default ``block 1`` and so on.
        """
        self._blocks += 1
        keywords = {"max_retained": max_retained, "min_returned": min_returned, "trim": trim}
        return self._session.measure(self._item, keywords, label or f"block {self._blocks}")

    def snapshot(self) -> Snapshot:
        """A full reading of this process now."""
        return self._session.instruments().full_reading().snapshot()

    def release(self) -> int:
        """Collect garbage and ask every allocator to trim; the bytes by which the footprint fell."""
        instruments = self._session.instruments()
        before = instruments.memory.exact().footprint_bytes
        instruments.releaser.collect()
        instruments.releaser.trim()
        return before - instruments.memory.exact().footprint_bytes


def _marker_sources(item: pytest.Item) -> list[Source]:
    """The marks of `item`, closest first, with the names that messages give them."""
    sources = []
    for node, mark in item.iter_markers_with_node(MARK):
        origin = f"marker on {node.nodeid or node.name}"
        keywords: dict[str, object] = {"enabled": True, **mark.kwargs}
        if len(mark.args) > 1 or (mark.args and "max_retained" in mark.kwargs):
            raise InvalidSettingError(
                origin, "max_retained", f"takes one value, got {mark.args!r} {mark.kwargs!r}"
            )
        if mark.args:
            keywords["max_retained"] = mark.args[0]
        sources.append(Source(origin, keywords, is_marker=True))
    return sources


def _location(item: pytest.Item) -> str:
    path, line, _ = item.location
    return path if line is None else f"{path}:{line + 1}"


def _warn(item: pytest.Item, message: str) -> None:
    warnings.warn_explicit(
        f"{item.nodeid} {message}",
        MemoryNotReturnedWarning,
        filename=str(item.path),
        lineno=(item.location[1] or 0) + 1,
    )


def _forget_last_failure() -> None:
    """Drop the traceback of the last failed test before the baseline.

    pytest keeps it for debuggers until the next test's call begins, which lies inside the
    window: what the failed test held would count as given back by this one.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
