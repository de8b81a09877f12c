"""The process of an isolated test: it runs that one, and tells its reports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from _pytest.skipping import xfailed_key
from _pytest.terminal import TerminalReporter

from pytest_memreturn import _xdist
from pytest_memreturn.fresh.first_path import insert_first_path
from pytest_memreturn.fresh.one_test import OneTest
from pytest_memreturn.isolation.order import ANSWER, ORDER, VARIABLE, Order
from pytest_memreturn.isolation.reported import report_data
from pytest_memreturn.isolation.warned import warning_data

# A property's value is in a pair, in the list of a report, which is one of what is told.
_DEEPEST_PROPERTY = 4


class IsolatedTest(OneTest):
    """Runs one test of all, and writes down its reports, each at once."""

    def __init__(self, order: Order, answer: Path, channel: socket.socket) -> None:
        super().__init__(order.nodeid, order.path, order.options)
        self._order = order
        self._answer = _Lines(answer)
        self._channel = channel
        self._pid = os.getpid()
        self._config: pytest.Config
        self._has_terminal = False

    def tell(self, **what: object) -> None:
        """Add a line to the answer, at once: nobody knows how this process will end."""
        # What a plugin put on a report may be anything; pytest's own is plain.
        self._answer.add(json.dumps(_finite(what), default=repr, skipkeys=True))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """Be what the run is: a worker, or none. What there is to report, it reports."""
        self._config = config
        _xdist.be_worker(config, self._order.given)
        if self._order.worker is not None:
            config.workerinput = dict(self._order.worker)  # type: ignore[attr-defined]
            config.workeroutput = {}  # type: ignore[attr-defined]
        self._has_terminal = config.pluginmanager.has_plugin("terminal")
        if self._has_terminal:
            config.pluginmanager.unregister(name="terminal")
        return (yield from super().pytest_cmdline_main(config))

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Give a voice to those that ask for a terminal; nobody tells of the run itself."""
        super().pytest_configure(config)
        if self._has_terminal:
            voice = _Voice(TerminalReporter(config, sys.stdout))
            config.pluginmanager.register(voice, "terminalreporter")

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Leave what was noted of the tests of the run as it is."""
        for name in ("lfplugin", "nfplugin", "stepwiseplugin"):
            if session.config.pluginmanager.has_plugin(name):
                session.config.pluginmanager.unregister(name=name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Say what could not be collected."""
        if report.failed:
            self.tell(problem=report.longreprtext)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say whether it was found; of several with its name, none is run."""
        self.tell(found=self.found)
        if self.found > 1:
            session.items.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        """Run it once: who would run it again does so in the run itself, in another process."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        runtestprotocol(item, nextitem=None)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Hand out the files that output is captured in: they go with this process otherwise."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._channel, [b"."], [1, 2])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Say that it may fail, while it can still be said."""
        expected = item.stash.get(xfailed_key, None)
        if expected is not None and expected.raises is None and not item.config.option.runxfail:
            self.tell(expected_failure=expected.reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand on a report, of a phase or of a subtest."""
        data = report_data(self._config, report)
        self.tell(report=data, is_phase=type(report) is pytest.TestReport)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """Hand on what the test warns of. What comes before it, the run has had itself."""
        if when == "runtest":
            found = warning_data(warning_message)
            self.tell(warning={**found, "nodeid": nodeid, "location": location})

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Say what ends the run."""
        error = excinfo.value
        if not isinstance(error, pytest.Session.Interrupted):  # or it was said already
            status = getattr(error, "returncode", None)
            self.tell(stopped=[type(error).__name__, str(error), status])

    def pytest_internalerror(self, excrepr: object) -> None:
        """Say what went wrong in pytest, or in a plugin."""
        self.tell(problem=str(excrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Say that there is nothing more to come, unless this is what the test has forked."""
        if os.getpid() == self._pid:
            self.tell(done=True)


class _Lines:
    """A file that lines are added to, opened once: a test may leave no descriptor for more."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._open()

    def _open(self) -> None:
        # Not inherited by what is started; whole lines, whoever else has it open.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(self._file, flags, 0o600)
        self._stat = os.fstat(self._descriptor)

    def add(self, line: str) -> None:
        """Add a line. A test may have closed the file, or have another one by its number now."""
        if not self._is_open():
            self._open()
        rest = line.encode() + b"\n"
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _is_open(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._stat)
        except OSError:
            return False


def _finite(value: Any, depth: int = _DEEPEST_PROPERTY) -> Any:  # noqa: ANN401 - see `tell`
    """The value; of one with a part that contains itself, that part as text."""
    try:
        json.dumps(value, default=repr, skipkeys=True)
    except ValueError:
        if depth and isinstance(value, dict):
            return {name: _finite(one, depth - 1) for name, one in value.items()}
        if depth and isinstance(value, list | tuple):
            return [_finite(one, depth - 1) for one in value]
        return repr(value)
    return value


class _Voice:
    """A terminal reporter without its hooks: it says what it is asked to, and nothing by itself."""

    def __init__(self, reporter: TerminalReporter) -> None:
        self._reporter = reporter

    def __getattr__(self, name: str) -> object:
        return getattr(self._reporter, name)


def check_loaded(library: str | None, maps: Path = Path("/proc/self/maps")) -> str | None:
    """What to say where a library is not loaded that should be."""
    if library is None:
        return None
    # A soname is a link: what is mapped has the name of the file, with more of its version.
    name = library.rpartition("/")[2]
    if name in maps.read_text(encoding="utf-8", errors="replace"):
        return None
    return f"LD_PRELOAD={library} was not loaded: the loader says why in its output"


def main(channel: socket.socket, folder: str) -> int:
    """Run the test that is ordered in the folder; the exit status is pytest's."""
    order = Order.from_json(Path(folder, ORDER).read_text(encoding="utf-8"))
    os.environ[VARIABLE] = folder
    insert_first_path(keeps=order.keeps_first_path)
    sys.argv[:] = order.program
    plugin = IsolatedTest(order, Path(folder, ANSWER), channel)
    if (problem := check_loaded(order.library)) is not None:
        plugin.tell(problem=problem)
        return 1
    return int(pytest.main(list(order.args), plugins=[plugin]))
