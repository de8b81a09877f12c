"""What a run reports at its end: the records of all tests, in the one process that reports."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any

from pytest_memreturn import _options, _xdist
from pytest_memreturn.report.files import TABLE, write_whole
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.table import TITLE, render_table, summary_line, unjudged_lines

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._records: list[Record] = []
        self._unwritten: list[str] = []

    def collect(self, report: pytest.TestReport) -> None:
        """Take the records off a report."""
        if not self._is_worker:
            self._records += _xdist.detach(report)

    def write_files(self) -> bool:
        """Write every report file that was asked for; whether all of them could be."""
        paths = [target.path for target in self._targets if target.path is not None]
        text = json_report(self._records, self._environment()) if paths else ""
        for path in paths:
            try:
                write_whole(path, text)
            except OSError as error:
                self._unwritten.append(f"cannot write {path}: {error.strerror or error}")
        return not self._unwritten

    def write_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The table where it was asked for, and every reading that could not be had."""
        missing = list(unjudged_lines(self._records))
        wants_table = any(target.format == TABLE for target in self._targets)
        if not (wants_table or missing or self._unwritten):
            return
        terminal.section(f"{TITLE} (MiB)" if wants_table else TITLE)
        if wants_table and self._records:
            for row in render_table(self._records, shutil.get_terminal_size().columns):
                terminal.line(row.text, **_MARKUP.get(row.verdict, {}))
        for line in missing:
            terminal.line(line, yellow=True)
        for line in self._unwritten:
            terminal.line(line, red=True)
        terminal.line(summary_line(self._records))

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
