"""The pytest hooks: translate, delegate.

pytest loads this module in every run, so it imports nothing of ours but the declarations of
options and hooks; everything else comes with the first setting, or the first test to be judged.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memreturn import _options, hookspecs

if TYPE_CHECKING:
    from pytest_memreturn._fixture import MemreturnFixture
    from pytest_memreturn._ratchet_run import RatchetRun

_JUDGING: pytest.StashKey[_Judging] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    _options.declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Check all settings of the run before its first test, where there are any."""
    config.addinivalue_line("markers", _options.MARK_HELP)
    if _options.are_given(config) or _options.may_have_workers(config):
        _judging(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make ready what tests are judged with, when all of them are known."""
    if _JUDGING in session.config.stash or _options.any_asks(session.items):
        _judging(session.config).session.prepare(session.items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Notice a mark that a fixture has given its test; last, when they are all set up.

    The only thing that a test pays for in a run that judges none.
    """
    if _JUDGING not in item.config.stash and _options.is_marked(item):
        _judging(item.config)


@pytest.fixture
def memreturn(request: pytest.FixtureRequest) -> MemreturnFixture:
    """Judge a part of a test: the block under a ``with`` statement."""
    from pytest_memreturn._fixture import MemreturnFixture

    return MemreturnFixture(_judging(request.config).session, request.node)


def _judging(config: pytest.Config) -> _Judging:
    """The hooks of a run that judges tests: registered when the first one asks for it."""
    if _JUDGING not in config.stash:
        judging = config.stash[_JUDGING] = _Judging(config)
        config.pluginmanager.register(judging, "memreturn-judging")
    return config.stash[_JUDGING]


class _Judging:
    """The hooks that only a run with judged tests needs, so that no other run pays for them."""

    def __init__(self, config: pytest.Config) -> None:
        from pytest_memreturn._run_report import RunReport
        from pytest_memreturn._session import Session

        self.session = Session(config)
        self._report = RunReport(config, self.session.instruments_in_use)
        self._ratchet: RatchetRun | None = None
        tolerance_bytes = _options.tolerance_bytes(config)  # wrong is wrong, also without a file
        if _options.uses_ratchet(config):
            from pytest_memreturn._ratchet_run import RatchetRun

            ratchet = self._ratchet = RatchetRun(
                config, self._report.environment(), tolerance_bytes
            )
            self.session.hold_to(ratchet)
            self._report.hold_to(ratchet)
            config.pluginmanager.register(ratchet.collected, "memreturn-collected")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Tell a worker of pytest-xdist what was recorded."""
        if self._ratchet is not None:
            self._ratchet.give_to_worker(node)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A mark that cannot be right is an error of its test, before any fixture is set up."""
        self.session.settings_or_fail(item)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Judge the call phase; innermost, so that what others do around it is not judged."""
        # Asked again, since a fixture may have marked the test.
        settings = self.session.settings_or_fail(item)
        if settings is None:
            return (yield)
        return (yield from self.session.judged_call(item, settings))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Keep what outlives a test out of its window; outermost, to see all that set-up does."""
        __tracebackhide__ = True
        return (yield from self.session.fixture_setup(fixturedef))

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """What lived longer than one test may be garbage now."""
        self.session.fixture_ended(fixturedef)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send what was recorded with the report; outermost, to see the outcome as it stands."""
        report = yield
        from pytest_memreturn._test_report import finish_report

        finish_report(item, call, report, self.session.settings_for)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the records that came with the report, when others have seen it."""
        self._report.collect(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report files; last, when every worker has delivered."""
        if not self._report.write_files():
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table."""
        self._report.write_summary(terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Nothing is left to report."""
        self._report.close()
