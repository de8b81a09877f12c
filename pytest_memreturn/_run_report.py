"""What a run reports at its end: the records of all tests, in the one process that reports."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any

from pytest_memreturn import _options, _xdist
from pytest_memreturn.report.files import TABLE, write_whole
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
    from pytest_memreturn._ratchet_run import RatchetRun
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
        self._unjudged: list[str] = []
        self._unwritten: list[str] = []
        self._ratchet: RatchetRun | None = None

    def hold_to(self, ratchet: RatchetRun) -> None:
        """Show what becomes of what was recorded."""
        if not self._is_worker:
            self._ratchet = ratchet

    def collect(self, report: pytest.TestReport) -> None:
        """Take the records off a report."""
        if self._is_worker:
            return
        records = _xdist.detach(report)
        if self._ratchet is not None:
            ran_to_end = report.when == "call" and report.passed
            self._ratchet.collect(records, ran_to_end=ran_to_end)
        for record in records:
            self._tally.add(record)
            if (line := unjudged_line(record)) is not None:
                self._unjudged.append(line)
            if self._store is not None:
                self._store.add(record)

    def write_files(self) -> bool:
        """Write every report file that was asked for; whether all of them could be."""
        targets = [one for one in self._targets if one.path is not None]
        run = Run(self._records(), self._tally, self.environment()) if targets else None
        for target in targets:
            assert target.path is not None
            assert run is not None
            try:
                write_whole(target.path, FORMATS[target.format].render(run))
            except OSError as error:
                problem = f"cannot write {target.path}: {error.strerror or error}"
                self._unwritten.append(on_one_line(problem))
        if self._ratchet is not None:
            self._unwritten += self._ratchet.write()
        return not self._unwritten

    def write_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The table where it was asked for, and every reading that could not be had."""
        wants_table = any(target.format == TABLE for target in self._targets)
        columns = shutil.get_terminal_size().columns
        ratchet = list(self._ratchet_lines(terminal, columns))
        if not (wants_table or self._unjudged or self._unwritten or ratchet):
            return
        terminal.section(f"{TITLE} (MiB)" if wants_table else TITLE)
        if wants_table and (self._tally.judged or self._tally.unjudged):
            for row in render_table(self._records(), columns):
                terminal.line(row.text, **_MARKUP.get(row.verdict, {}))
        for line in self._unjudged:
            terminal.line(line, yellow=True)
        for line in ratchet:
            terminal.line(line)
        for line in self._unwritten:
            terminal.line(line, red=True)
        terminal.line(summary_line(self._tally))

    def close(self) -> None:
        """Let go of the records."""
        if self._store is not None:
            self._store.close()

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
