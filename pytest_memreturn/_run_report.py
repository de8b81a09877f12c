"""What a run reports at its end: the records of all tests, in the one process that reports."""

from __future__ import annotations

import contextlib
import shutil
import sys
from typing import TYPE_CHECKING, Any

from pytest_memreturn import _options, _xdist
from pytest_memreturn._ending import Ending
from pytest_memreturn._record import LABELLED
from pytest_memreturn.report.attempts import Attempts
from pytest_memreturn.report.files import TABLE, write_report
from pytest_memreturn.report.formats import FORMATS
from pytest_memreturn.report.printable import on_one_line
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.store import RecordStore
from pytest_memreturn.report.table import TITLE, render_table, summary_line, unjudged_line
from pytest_memreturn.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pytest

    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._ratchet_run import RatchetRun
    from pytest_memreturn._record import Due, Record
    from pytest_memreturn._verdict import Outcome

_MARKUP: dict[Outcome | None, dict[str, bool]] = {
    None: {"bold": True},
    "retained": {"red": True},
    "unjudged": {"yellow": True},
}


class RunReport:
    """Collects records, and writes the reports that were asked for.

    Under pytest-xdist the workers send their records and only the controller reports. `ending`
    is told what becomes of the tests, and of the run.
    """

    def __init__(
        self,
        config: pytest.Config,
        instruments: Callable[[], Instruments],
        of_all: Due | None,
    ) -> None:
        self._is_worker = _xdist.is_worker(config)
        self._targets = [] if self._is_worker else _options.report_targets(config)
        self._instruments = instruments
        # A table or a file needs every record at the end; without them, the tally is enough.
        self._store = RecordStore() if self._targets else None
        self._tally = Tally()
        self.ending = Ending(of_all)
        self._partial: Partial | None = None
        self._attempts = Attempts()
        self._unjudged: list[str] = []
        self._unwritten: list[str] = []
        self._ratchet: RatchetRun | None = None

    def hold_to(self, ratchet: RatchetRun) -> None:
        """Show what becomes of what was recorded."""
        if not self._is_worker:
            self._ratchet = ratchet

    @property
    def is_wanted(self) -> bool:
        """Whether this process has a table or a file to give, which may lack something."""
        return bool(self._targets) or (self._ratchet is not None and self._ratchet.saves)

    def verdict_is_due(self, due: Due) -> None:
        """Expect a record of what runs in this process."""
        if not self._is_worker:
            self.ending.verdict_is_due(due, None)

    def collect(self, report: pytest.TestReport) -> None:
        """Take the records off a report."""
        if self._is_worker:
            return
        nodeid, worker = report.nodeid, _xdist.worker_of(report)
        for due in _xdist.announced(report):
            self.ending.verdict_is_due(due, worker)
        if report.when != "setup":
            self.ending.heard_of(nodeid, worker)
        # The same test may run in several workers at once.
        test, records = (nodeid, worker), _xdist.detach(report)
        # What pytest-rerunfailures makes of the outcome of an attempt that it will repeat.
        fails = str(report.outcome) == "rerun"
        if report.when == "setup" and not fails:
            self._attempts.begin(test)
        self._attempts.add(test, records)
        if (torn_down_bytes := _xdist.detach_torn_down(report)) is not None:
            self._attempts.torn_down(test, torn_down_bytes)
        # Not each report of a body is its last: subtests have some of their own.
        is_over = report.when == "teardown" or (report.when == "setup" and not report.passed)
        came = {one.nodeid for one in records if one.window not in LABELLED}
        for one in {nodeid} | came if is_over else came:
            self.ending.verdict_came(one, worker)
        if fails:
            self._attempts.fail(test)
        elif report.when == "teardown":
            self._keep(self._attempts.end(test))
        if self._ratchet is not None:
            self._ratchet.phase_ended(nodeid, report.when, passed=report.passed)

    def worker_lost(self, node: object, error: object) -> None:
        """Note a worker that has gone before its end."""
        self.ending.worker_lost(_xdist.name_of(node), error)

    def test_crashed(self, report: pytest.TestReport) -> None:
        """Note the test that a worker died in, with the report that pytest-xdist made of it."""
        worker = _xdist.worker_of(report)
        assert worker is not None  # or there would be no such report
        record = self.ending.test_crashed(
            report.nodeid, worker, runs_again=report.outcome != "failed"
        )
        if record is not None:
            self._keep([record])

    def end(self, collected: int | None) -> bool:
        """Write every report file that was asked for; whether all of them could be.

        `collected` is how many tests the run has, where that is known.
        """
        self._keep(self._attempts.end_all())
        self._keep(self.ending.still_owed())
        self._partial = self.ending.early_end(collected)
        targets = [one for one in self._targets if one.path is not None]
        run = self._run() if targets else None
        for target in targets:
            assert target.path is not None
            assert run is not None
            try:
                write_report(target, FORMATS[target.format].render(run))
            except OSError as error:
                self._not_written(target.path, error.strerror or str(error))
            except Exception as error:  # noqa: BLE001 - each of the others is still written
                self._not_written(target.path, f"{type(error).__name__}: {error}")
        if self._ratchet is not None:
            self._unwritten += self._ratchet.write()
        return not self._unwritten

    def write_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The table where it was asked for, and every reading that could not be had."""
        wants_table = any(target.format == TABLE for target in self._targets)
        partial = self._partial if self.is_wanted else None
        columns = shutil.get_terminal_size().columns
        ratchet = list(self._ratchet_lines(terminal, columns))
        if not (wants_table or self._unjudged or self._unwritten or partial or ratchet):
            return
        terminal.section(f"{TITLE} (MiB)" if wants_table else TITLE)
        if wants_table and (self._tally.judged or self._tally.unjudged):
            for row in render_table(self._records(), columns):
                terminal.line(row.text, **_MARKUP.get(row.verdict, {}))
        for line in self._unjudged:
            terminal.line(line, yellow=True)
        if partial is not None:
            terminal.line(f"PARTIAL {partial.reason}", yellow=True)
        for line in ratchet:
            terminal.line(line)
        for line in self._unwritten:
            terminal.line(line, red=True)
        self._unwritten.clear()
        terminal.line(summary_line(self._tally))

    def close(self) -> None:
        """Let go of the records. What no summary has said by now is said here."""
        # pytest has none after an internal error, or without a terminal.
        for line in self._unwritten:
            sys.stderr.write(f"memreturn: {line}\n")
        if self._store is not None:
            self._store.close()

    def _keep(self, records: Iterable[Record]) -> None:
        for record in records:
            self._tally.add(record)
            if self._ratchet is not None:
                self._ratchet.collect(record)
            if (line := unjudged_line(record)) is not None:
                self._unjudged.append(line)
            if self._store is not None:
                self._store.add(record)

    def _not_written(self, path: Path, problem: str) -> None:
        self._unwritten.append(on_one_line(f"cannot write {path}: {problem}"))

    def _run(self) -> Run:
        return Run(self._records(), self._tally, self.environment(), self._partial)

    def _ratchet_lines(self, terminal: pytest.TerminalReporter, columns: int) -> Iterable[str]:
        if self._ratchet is None:
            return ()
        return self._ratchet.lines(columns, all_of_them=terminal.verbosity > 0)

    def _records(self) -> Iterable[Record]:
        return self._store or ()

    def environment(self) -> dict[str, Any]:
        """What decides how memory behaves in this process."""
        from pytest_memreturn.probes.environment import environment

        probe, allocators = None, []
        unavailable: dict[str, str] = {}
        # What can't be read here has its place in the records; the report is written all the same.
        with contextlib.suppress(Exception):
            probe = self._instruments().memory.name
            allocators = self._instruments().answering()
        with contextlib.suppress(Exception):
            unavailable = self._instruments().unavailable()
        return environment(probe, allocators, unavailable)
