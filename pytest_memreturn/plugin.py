"""The pytest hooks: translate, delegate.

pytest loads this module in every run, so it imports nothing of ours but the declarations of
options; everything else comes when a run is configured, or a test is judged.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memreturn import _options, hookspecs

if TYPE_CHECKING:
    from pytest_memreturn._fixture import MemreturnFixture
    from pytest_memreturn._run_report import RunReport
    from pytest_memreturn._session import Session

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_REPORT: pytest.StashKey[RunReport] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    _options.declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Check all settings of the run before its first test."""
    from pytest_memreturn._run_report import RunReport
    from pytest_memreturn._session import Session

    config.addinivalue_line("markers", _options.MARK_HELP)
    session = config.stash[_SESSION] = Session(config)
    report = config.stash[_REPORT] = RunReport(config, session.instruments_in_use)
    config.pluginmanager.register(_RecordCollector(report), "memreturn-records")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make ready what tests are judged with, when all of them are known."""
    session.config.stash[_SESSION].prepare(session.items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A mark that cannot be right is an error of its test, before any fixture is set up."""
    item.config.stash[_SESSION].settings_or_fail(item)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge the call phase; innermost, so that what other plugins do around it is not judged."""
    session = item.config.stash[_SESSION]
    # Asked again, because a fixture may have marked the test meanwhile.
    settings = session.settings_or_fail(item)
    if settings is None:
        return (yield)
    return (yield from session.judged_call(item, settings))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Keep what outlives a test out of its window; outermost, to see all that the set-up does."""
    __tracebackhide__ = True
    return (yield from request.config.stash[_SESSION].fixture_setup(fixturedef))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send what was recorded with the report; outermost, to see the outcome as it will stand."""
    report = yield
    from pytest_memreturn._test_report import finish_report

    finish_report(item, call, report, item.config.stash[_SESSION].settings_for)
    return report


class _RecordCollector:
    """The hook that is told of a test's report without the config: registered with its target."""

    def __init__(self, run_report: RunReport) -> None:
        self._run_report = run_report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the records that came with the report, when others have seen it."""
        self._run_report.collect(report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report files; last, when every worker has delivered."""
    if not session.config.stash[_REPORT].write_files():
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the table."""
    config.stash[_REPORT].write_summary(terminalreporter)


@pytest.fixture
def memreturn(request: pytest.FixtureRequest) -> MemreturnFixture:
    """Judge a part of a test: the block under a ``with`` statement."""
    from pytest_memreturn._fixture import MemreturnFixture

    return MemreturnFixture(request.config.stash[_SESSION], request.node)
