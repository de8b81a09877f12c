"""What a run reports at its end: the records of all tests, in the one process that reports."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any

from pytest_memreturn import _options, _xdist
from pytest_memreturn.report.attempts import Attempts
from pytest_memreturn.report.files import TABLE, write_report
from pytest_memreturn.report.formats import FORMATS
from pytest_memreturn.report.printable import on_one_line
from pytest_memreturn.report.run import Run
from pytest_memreturn.report.store import RecordStore
from pytest_memreturn.report.table import TITLE, render_table, summary_line, unjudged_line
from pytest_memreturn.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._record import Record
    from pytest_memreturn._verdict import Outcome

_MARKUP: dict[Outcome | None, dict[str, bool]] = {
    None: {"bold": True},
    "retained": {"red": True},
    "unjudged": {"yellow": True},
}


class RunReport:
    """Collects records, and writes the reports that were asked for.

    Under pytest-xdist the workers send their records and only the controller reports.
    """

    def __init__(self, config: pytest.Config, instruments: Callable[[], Instruments]) -> None:
        self._is_worker = _xdist.is_worker(config)
        self._targets = [] if self._is_worker else _options.report_targets(config)
        self._instruments = instruments
        # A table or a file needs every record at the end; without them, the tally is enough.
        self._store = RecordStore() if self._targets else None
        self._tally = Tally()
        self._attempts = Attempts()
        self._unjudged: list[str] = []
        self._unwritten: list[str] = []

    def collect(self, report: pytest.TestReport) -> None:
        """Take the records off a report."""
        if self._is_worker:
            return
        # The same test may run in several workers at once.
        test = report.nodeid, _xdist.worker_of(report)
        # What pytest-rerunfailures makes of the outcome of an attempt that it will repeat.
        fails = str(report.outcome) == "rerun"
        if report.when == "setup" and not fails:
            self._attempts.begin(test)
        self._attempts.add(test, _xdist.detach(report))
        if fails:
            self._attempts.fail(test)
        elif report.when == "teardown":
            self._count(self._attempts.end(test))

    def _count(self, records: Iterable[Record]) -> None:
        for record in records:
            self._tally.add(record)
            if (line := unjudged_line(record)) is not None:
                self._unjudged.append(line)
            if self._store is not None:
                self._store.add(record)

    def write_files(self) -> bool:
        """Write every report file that was asked for; whether all of them could be."""
        self._count(self._attempts.end_all())
        targets = [one for one in self._targets if one.path is not None]
        run = Run(self._records(), self._tally, self._environment()) if targets else None
        for target in targets:
            assert run is not None
            try:
                write_report(target, FORMATS[target.format].render(run))
            except OSError as error:
                problem = f"cannot write {target.path}: {error.strerror or error}"
                self._unwritten.append(on_one_line(problem))
        return not self._unwritten

    def write_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The table where it was asked for, and every reading that could not be had."""
        wants_table = any(target.format == TABLE for target in self._targets)
        if not (wants_table or self._unjudged or self._unwritten):
            return
        terminal.section(f"{TITLE} (MiB)" if wants_table else TITLE)
        if wants_table and (self._tally.judged or self._tally.unjudged):
            for row in render_table(self._records(), shutil.get_terminal_size().columns):
                terminal.line(row.text, **_MARKUP.get(row.verdict, {}))
        for line in self._unjudged:
            terminal.line(line, yellow=True)
        for line in self._unwritten:
            terminal.line(line, red=True)
        terminal.line(summary_line(self._tally))

    def close(self) -> None:
        """Let go of the records."""
        if self._store is not None:
            self._store.close()

    def _records(self) -> Iterable[Record]:
        return self._store or ()

    def _environment(self) -> dict[str, Any]:
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
