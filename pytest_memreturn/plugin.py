"""The pytest hooks: translate, delegate.

pytest loads this module in every run, so it imports nothing of ours but the declarations of
options and hooks; everything else comes with the first setting, or the first test to be judged.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from pytest_memreturn import _marks, _options, hookspecs

if TYPE_CHECKING:
    from pytest_memreturn._ending import Ending
    from pytest_memreturn._fixture import MemreturnFixture
    from pytest_memreturn._ratchet_run import RatchetRun
    from pytest_memreturn.report.beside import Word

    TestStatus: TypeAlias = tuple[str, str, Word]

_JUDGING: pytest.StashKey[_Judging] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    _options.declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Check all settings of the run before its first test, where there are any."""
    config.addinivalue_line("markers", _marks.MARK_HELP)
    if _options.are_given(config) or _options.may_have_workers(config):
        _judging(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make ready what tests are judged with, when all of them are known."""
    if _JUDGING in session.config.stash or _marks.any_asks(session.items):
        judging = _judging(session.config)
        judging.session.prepare(session.items)
        judging.widen(session.config, session.items)
        judging.isolate(session.config, session.items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Notice a mark that a fixture has given its test; last, when they are all set up.

    The only thing that a test pays for in a run that judges none.
    """
    if _JUDGING not in item.config.stash and _marks.is_marked(item):
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
        self._report = RunReport(config, self.session.instruments_in_use, self.session.due_of_all())
        if config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) > 0:
            config.pluginmanager.register(_Beside(), "memreturn-beside")
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
        if self._report.is_wanted:
            config.pluginmanager.register(_Following(self._report.ending), "memreturn-following")

    def widen(self, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
        """Have windows open and close outside the bodies of tests, where any are wider."""
        if self.session.has_wide_windows(items):
            from pytest_memreturn._wide_windows import WideWindows

            wide = WideWindows(self.session, self._report.verdict_is_due)
            config.pluginmanager.register(wide, "memreturn-wide-windows")

    def isolate(self, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
        """Have isolated tests run elsewhere, where there are any."""
        if not self.session.may_isolate(items):
            return
        from pytest_memreturn._isolation import IsolatedTests

        isolated = IsolatedTests(
            self.session,
            config,
            self.session.invocation(),
            self._report.verdict_is_due,
            self.pytest_configure_node,
        )
        config.pluginmanager.register(isolated, "memreturn-isolated")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Tell a worker of pytest-xdist what was recorded."""
        if self._ratchet is not None:
            self._ratchet.give_to_worker(node)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A mark that cannot be right is an error of its test, before any fixture is set up."""
        if (settings := self.session.settings_or_fail(item)) is not None:
            from pytest_memreturn._test_report import due_by, expect_verdict

            due = due_by(settings, item.nodeid)
            expect_verdict(item, due)
            self.session.torn_down.watch(item)
            self._report.verdict_is_due(due)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Judge the call phase; innermost, so that what others do around it is not judged."""
        # Asked again, since a fixture may have marked the test.
        settings = self.session.settings_or_fail(item)
        if settings is None:
            return (yield)
        if settings.window.value != "call":
            self.session.check_in_time(item, settings)
            return (yield)
        return (yield from self.session.judged_call(item, settings))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Keep what outlives a test out of its window; outermost, to see all that set-up does."""
        __tracebackhide__ = True
        return (yield from self.session.lifetimes.fixture_setup(fixturedef))

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """What lived longer than one test may be garbage now."""
        self.session.lifetimes.fixture_ended(fixturedef)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send what was recorded with the report; outermost, to see the outcome as it stands."""
        report = yield
        from pytest_memreturn._test_report import finish_report

        finish_report(item, call, report, self.session.settings_for)
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[str]) -> None:
        """Say the figures in a report of pytest-html, which shows no properties."""
        from pytest_memreturn._properties import html_lines

        data.extend(html_lines(report))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the records that came with the report, when others have seen it."""
        self._report.collect(report)

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_handlecrashitem(self, report: pytest.TestReport) -> None:
        """Note a test that a worker of pytest-xdist died in; last, when it has been decided on."""
        self._report.test_crashed(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Note a worker of pytest-xdist that has gone before its end."""
        if error is not None:
            self._report.worker_lost(node, error)

    # First, since a second Ctrl-C may come while others still deal with the one before.
    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note why the run ends early: Ctrl-C, `pytest.exit`, a limit that is reached."""
        self._report.ending.interrupted(excinfo.value)

    # First, since whoever shows it ends the call.
    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what ends the run, or a worker of it."""
        self._report.ending.failed(excinfo.value)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the report files when every worker has delivered, whatever others ran into.

        Innermost, so that the terminal can tell how it went.
        """
        try:
            return (yield)
        finally:
            for reason in (session.shouldfail, session.shouldstop):
                if reason:
                    self._report.ending.limit_reached(reason)
            each = _options.run_by_each_worker(session.config)
            if not self._report.end(None if each else session.testscollected):
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table."""
        self._report.write_summary(terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Nothing is left to report."""
        self._report.close()


class _Following:
    """What only a run with a report needs: which tests have begun, and not ended."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins, here or in a worker."""
        self._ending.test_begins(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It ends."""
        self._ending.test_ends(nodeid)


class _Beside:
    """What only ``-v`` needs: the verdict beside the outcome of each test."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> Generator[None, TestStatus, TestStatus]:
        """Add to the word that somebody has for the outcome; outermost, to have the last word."""
        from pytest_memreturn._xdist import attached
        from pytest_memreturn.report.beside import with_verdict

        category, letter, word = yield
        return category, letter, with_verdict(word, attached(report))
