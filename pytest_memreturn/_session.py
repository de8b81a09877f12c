"""Judging inside one pytest run: which tests, and by what settings."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_memreturn import _marks, _options, _xdist
from pytest_memreturn._errors import (
    InvalidSettingError,
    MemoryNotReturnedWarning,
)
from pytest_memreturn._failures import VerdictFailure
from pytest_memreturn._lifetimes import Lifetimes
from pytest_memreturn._progress import Progress
from pytest_memreturn._settings import Source, check, resolve
from pytest_memreturn._test_report import due_by, line_number, location, state_of
from pytest_memreturn._torn_down import TornDown
from pytest_memreturn.fresh.one_test import is_a_fresh_run

if TYPE_CHECKING:
    from _pytest.nodes import Node

    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._measure import Attempt, Measure
    from pytest_memreturn._once import BodyOnce
    from pytest_memreturn._ratchet_run import RatchetRun
    from pytest_memreturn._record import Due, Record, Window
    from pytest_memreturn._recorder import Recorder
    from pytest_memreturn._rounds import RepeatedBody
    from pytest_memreturn._settings import Settings
    from pytest_memreturn._watch import Watch
    from pytest_memreturn._watcher import World
    from pytest_memreturn.fresh.command import Invocation

T = TypeVar("T")

_MOST_MESSAGE_COLUMNS = 120
_SUBTEST = "a subtest failed"

# What a test of this plugin puts here is used instead of this process's own instruments.
INSTRUMENTS = pytest.StashKey[Callable[[], "Instruments"]]()
# And this instead of the other processes of this machine.
WORLD = pytest.StashKey[Callable[[], "World"]]()


class Session:
    """Judges tests by the settings of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._sources = _options.run_sources(config)
        self._settings = resolve(self._sources)
        self._probe_name = _options.probe_name(config)
        # Asked now, since while a test runs pytest has put a file in the terminal's place.
        self._terminal_columns = shutil.get_terminal_size().columns
        # As this process has them, and with what hooks have added.
        self._instruments: tuple[Instruments, Instruments] | None = None
        self._explains = True
        self._progress = Progress(config)
        self.open_windows: dict[Recorder, Window] = {}
        self.lifetimes = Lifetimes(self.open_windows, self._instruments_if_any)
        self.torn_down = TornDown(self.instruments)
        self._problem: str | None = None
        self._ratchet: RatchetRun | None = None
        self._invocation: Invocation | None = None
        if self._settings.explain.value or self._settings.isolate.value:
            self.invocation()
        self._isolates_none = is_a_fresh_run(config) or _is_watched(config)

    def prepare(self, items: Sequence[pytest.Item]) -> None:
        """Make the instruments before the first test, if any test is to be judged.

        Loading them takes as long as a small test, and belongs to none. Raises
        `pytest.UsageError` for what a hook gives and that can't be used.
        """
        judges = self._settings.enabled.value or _marks.any_asks(items)
        if judges and self._settings.mode.value != "off":
            try:
                self.instruments()
            except pytest.UsageError as error:
                if not _xdist.is_worker(self._config):
                    raise
                # A worker that ends here takes its message with it: each test says it instead.
                self._problem = str(error)
            except Exception:  # noqa: BLE001, S110 - will be the reason of each test's record
                pass

    def hold_to(self, ratchet: RatchetRun) -> None:
        """Judge by what was recorded, or record."""
        self._ratchet, self._problem = ratchet, ratchet.problem
        is_shown = self._settings.explain.value or _options.closest(
            self._config, "memreturn_report"
        )
        if not (ratchet.compares or is_shown):
            # A test that is recorded fails nobody, and says nothing.
            self.explain_nothing()

    def explain_nothing(self) -> None:
        """Judge only: somebody else has explained it, or will."""
        self._explains, self._instruments = False, None

    def settings_for(self, item: pytest.Item) -> Settings | None:
        """How `item` is to be judged; ``None`` when it isn't. Raises `InvalidSettingError`."""
        if self._settings.mode.value == "off":
            return None
        if not _marks.is_marked(item):
            return self._settings if self._settings.enabled.value else None
        own = _marks.own_sources(item)
        if own is None:
            return None
        settings = resolve([*own, *self._sources])
        return settings if settings.enabled.value else None

    def has_wide_windows(self, items: Sequence[pytest.Item]) -> bool:
        """Whether any window is wider than the body of a test."""
        if self._settings.mode.value == "off" or _runs_no_body(self._config):
            return False
        return self._settings.window.value != "call" or _marks.any_is_wide(items)

    def wide_windows(self, item: pytest.Item) -> list[tuple[Node, Settings]]:
        """The windows that are open while `item` runs, from its set-up on, the widest first."""
        found: list[tuple[Node, Settings]] = []
        # A test that runs by itself, in an interpreter of its own, is not all tests of its class.
        if _marks.is_marked(item) and not is_a_fresh_run(self._config):
            found = [
                (node, resolve([*sources, *self._sources]))
                for node, sources in _marks.windows_of_many(item)
            ]
        own = self.settings_for(item)
        # That of an isolated test opens where the test is set up.
        if own is not None and own.window.value == "test" and not self.runs_elsewhere(item):
            found.append((item, own))
        return [(node, settings) for node, settings in found if settings.enabled.value]

    def runs_elsewhere(self, item: pytest.Item) -> bool:
        """Whether a test is isolated, so that its phases are only told of here."""
        if self._isolates_none:
            return False
        try:
            settings = self.settings_for(item)
        except InvalidSettingError:
            return False
        return settings is not None and settings.isolate.value

    def settings_or_fail(self, item: pytest.Item) -> Settings | None:
        """`settings_for`, where a wrong mark fails the phase, with no more than its message."""
        try:
            settings = self.settings_for(item)
            if self._problem is None or (settings is None and not _marks.may_open_blocks(item)):
                return settings
            problem = self._problem
        except InvalidSettingError as error:
            problem = str(error) if item.nodeid in str(error) else f"{item.nodeid}: {error}"
        # Outside the handler, so that pytest shows no chain of exceptions.
        pytest.fail(problem, pytrace=False)

    def invocation(self) -> Invocation:
        """How this run was started; asked for before its first test."""
        if self._invocation is None:
            from pytest_memreturn.fresh.command import invocation_of

            self._invocation = invocation_of(self._config)
        return self._invocation

    def may_isolate(self, items: Sequence[pytest.Item]) -> bool:
        """Whether any test is to be judged in an interpreter of its own."""
        if self._isolates_none or self._settings.mode.value == "off":
            return False
        return self._settings.isolate.value or _marks.any_isolates(items)

    def isolated(self, item: pytest.Item) -> Settings | None:
        """How `item` is to be isolated; ``None`` when it isn't. A wrong mark fails the phase."""
        settings = self.settings_or_fail(item)
        if settings is None and _marks.may_open_blocks(item) and not _marks.is_marked(item):
            settings = self._settings
        return settings if settings is not None and settings.isolate.value else None

    def due_of_all(self) -> Due | None:
        """What is due for a test without a mark, where those are judged."""
        judges = self._settings.enabled.value and self._settings.mode.value != "off"
        return due_by(self._settings, "") if judges else None

    def attempt(
        self, settings: Settings, nodeid: str, first: pytest.Item, place: Node | None = None
    ) -> Attempt:
        """An attempt at a window that begins with a test, and belongs to it or to a `place`."""
        from pytest_memreturn._measure import Attempt

        if settings.isolate.value:
            self._fail_unless_isolated(settings)
        if self._ratchet is not None:
            settings = self._ratchet.applied(settings, nodeid)
        return Attempt(
            settings,
            self.instruments,
            nodeid,
            location(first) if place is None else first.location[0],
            window=settings.window.value,
            open_windows=self.open_windows,
        )

    def check_in_time(self, item: pytest.Item, settings: Settings) -> None:
        """Leave a test without a verdict if nobody knew that its window begins with its set-up."""
        state = state_of(item)
        if not state.has_wide_window:
            attempt = self.attempt(settings, item.nodeid, item)
            reason = f"its mark came when its set-up had begun, where {attempt.window!r} begins"
            state.records.append(attempt.unjudged(reason))

    def judged_call(self, item: pytest.Item, settings: Settings) -> Generator[None, T, T]:
        """Run the rest of the call phase inside a window and raise what the verdict asks for."""
        from pytest_memreturn._release import forget_last_failure

        attempt = self.attempt(settings, item.nodeid, item)
        settings = attempt.settings
        state = state_of(item)
        forget_last_failure()
        body = self._body(item, settings, attempt)
        state.window_is_open = True
        try:
            with body.in_place():
                result = yield
        except BaseException:
            attempt.abandon(body.opened)
            raise
        finally:
            state.window_is_open = False
        if state.subtest_failed or _failed_inside_unittest(item):
            attempt.abandon(body.opened)
            if state.subtest_failed:
                reason = _SUBTEST + (f", in {state.where}" if state.where else "")
                state.records.append(attempt.unjudged(reason, own_outcome="failed"))
            return result
        record = body.close()
        # It has readings, whose buffers take half a mebibyte: no fixture is to be credited with it.
        del body
        if record.verdict == "retained" and settings.explain.value:
            record = self._explained(item, record, settings)
        state.records.append(record)
        if record.verdict == "retained" and settings.mode.value != "record":
            self.torn_down.expect(item, record)
        try:
            self.raise_verdict(item, record, settings)
        except (VerdictFailure, MemoryNotReturnedWarning) as failure:
            state.failure = failure
            raise
        return result

    def raise_verdict(self, item: pytest.Item, record: Record, settings: Settings) -> None:
        """Do what the mode asks for, at a test."""
        __tracebackhide__ = True
        from pytest_memreturn._measure import raise_verdict

        message = "\n".join(self._message(record))
        raise_verdict(record, settings, functools.partial(_warn, item), message=message)

    def closed(self, attempt: Attempt, opened: Recorder | str, node: Node, tests: int) -> Record:
        """The record of a window over so many tests, that of one test explained as any."""
        record = dataclasses.replace(attempt.close(opened), test_count=tests)
        if record.verdict != "retained" or not attempt.settings.explain.value:
            return record
        if isinstance(node, pytest.Item):
            return self._explained(node, record, attempt.settings)
        from pytest_memreturn.reruns.findings import incomplete

        return incomplete(record, f"a test runs again, and not a whole {attempt.window}")

    @staticmethod
    def spoiled(attempt: Attempt, node: Node, failed: Sequence[str], tests: int) -> Record | None:
        """The record of a window in which tests failed; that of a test has been made already."""
        if isinstance(node, pytest.Item):
            subtest_failed = state_of(node).subtest_failed
            return attempt.unjudged(_SUBTEST, own_outcome="failed") if subtest_failed else None
        others = f" and {len(set(failed)) - 1} more" if len(set(failed)) > 1 else ""
        record = attempt.unjudged(f"{failed[0]}{others} failed inside it")
        return dataclasses.replace(record, test_count=tests)

    @staticmethod
    def _body(item: pytest.Item, settings: Settings, attempt: Attempt) -> BodyOnce | RepeatedBody:
        """What runs the body of a test, as often as it is to run."""
        if settings.rounds.value > 1 or settings.warmup.value:
            from pytest_memreturn._rounds import RepeatedBody

            return RepeatedBody(item, settings, attempt, state_of(item))
        from pytest_memreturn._once import BodyOnce

        return BodyOnce(attempt)

    def _fail_unless_isolated(self, settings: Settings) -> None:
        """Fail a test that asks for what it can't have any more, or not here."""
        if is_a_fresh_run(self._config):
            return
        if not self._isolates_none:
            problem = (
                f"{settings.isolate.origin}: isolate: too late: the mark has to be there when all "
                "tests are collected"
            )
        elif settings.env.value or settings.allocator.value:
            problem = (
                f"{settings.isolate.origin}: isolate: under --pdb, --trace and the like tests run "
                "in the process of the run, which has its variables and its allocator already"
            )
        else:
            return
        pytest.fail(problem, pytrace=False)

    def _explained(self, item: pytest.Item, record: Record, settings: Settings) -> Record:
        """The record with what re-runs in fresh interpreters tell."""
        from pytest_memreturn._additions import added_remedies
        from pytest_memreturn.reruns.explained import explained
        from pytest_memreturn.reruns.findings import incomplete
        from pytest_memreturn.reruns.run import Runner

        assert self._invocation is not None  # taken where the setting was found
        seconds = settings.explain_timeout_seconds.value
        # The test has ended in time: what pytest-timeout, where it is, counts on is ours.
        stop_timer = getattr(self._config.hook, "pytest_timeout_cancel_timer", None)
        if stop_timer is not None:
            stop_timer(item=item)
        run = Runner(self._invocation, item.nodeid, str(item.path), seconds)
        try:
            return explained(record, run, self._progress, added_remedies(self._config))
        except Exception as error:  # noqa: BLE001 - the verdict stands, whether explained or not
            return incomplete(record, f"{type(error).__name__}: {error}")
        finally:
            self._progress("")

    def measure(self, item: pytest.Item, keywords: Mapping[str, object], label: str) -> Measure:
        """A block inside `item`, judged by its own keywords and the settings of the run."""
        from pytest_memreturn._measure import Attempt, Measure

        source = Source(f"memreturn() in {item.nodeid}", keywords, at_the_test=True, of_block=True)
        settings = resolve([check(source), *self._sources])
        if self._ratchet is not None and settings.mode.value != "off":
            settings = self._ratchet.applied(settings, item.nodeid, label)
        attempt = Attempt(
            settings,
            self.instruments,
            item.nodeid,
            location(item),
            window="block",
            label=label,
            open_windows=self.open_windows,
        )
        return Measure(
            attempt,
            on_record=state_of(item).records.append,
            warn=functools.partial(_warn, item),
        )

    def watch(
        self, item: pytest.Item, pid: object, keywords: Mapping[str, object], label: str
    ) -> Watch:
        """Another process, judged from outside while a block in `item` runs."""
        from pytest_memreturn._watch import Watch, WatchAttempt, root_of, watch_settings, world

        origin = f"memreturn.watch() in {item.nodeid}"
        release = keywords["release"]
        settings = watch_settings(
            origin,
            keywords["max_retained"],
            keywords["settle"],
            release=release,
            sources=self._sources,
        )
        if self._ratchet is not None and settings.mode.value != "off":
            settings = self._ratchet.applied(settings, item.nodeid, label)
        found = self._config.stash.get(WORLD, functools.partial(world, self._probe_name))
        attempt = WatchAttempt(
            settings,
            found,
            None if settings.mode.value == "off" else root_of(found, pid, origin),
            bool(release),
            origin,
            item.nodeid,
            location(item),
            label,
        )
        return Watch(
            attempt,
            on_record=state_of(item).records.append,
            warn=functools.partial(_warn, item),
        )

    def instruments(self) -> Instruments:
        """What this process measures with, and what hooks have added to it."""
        from pytest_memreturn._additions import with_additions
        from pytest_memreturn._instruments import VerdictExaminer

        bare = self._bare_instruments()
        if self._instruments is None or self._instruments[0] is not bare:
            found = with_additions(bare, self._config)
            examiner = bare.examiner if self._explains else VerdictExaminer(bare.examiner)
            found = dataclasses.replace(found, examiner=examiner, progress=self._progress)
            self._instruments = bare, found
        return self._instruments[1]

    def instruments_in_use(self) -> Instruments:
        """The same for a report; where nothing was judged here, no hook is asked for it."""
        return self._instruments_if_any() or self._bare_instruments()

    def _instruments_if_any(self) -> Instruments | None:
        return self._instruments[1] if self._instruments else None

    def _bare_instruments(self) -> Instruments:
        from pytest_memreturn._measure import instruments

        if INSTRUMENTS in self._config.stash:
            return self._config.stash[INSTRUMENTS]()
        return instruments(self._probe_name)

    def _message(self, record: Record) -> list[str]:
        from pytest_memreturn.report.message import render_message

        if record.verdict != "retained":
            return []
        width = min(self._terminal_columns, _MOST_MESSAGE_COLUMNS)
        return render_message(record, width=width, verbosity=self._config.get_verbosity())


def _is_watched(config: pytest.Config) -> bool:
    """Whether somebody wants to look on here, or nothing is to run."""
    return _has_any(config, "usepdb", "trace") or _runs_no_body(config)


def _runs_no_body(config: pytest.Config) -> bool:
    """Whether tests are set up at most, which is not what is to be judged."""
    return _has_any(config, "setuponly", "setupplan")


def _has_any(config: pytest.Config, *options: str) -> bool:
    return any(getattr(config.option, name, False) for name in options)


def _warn(item: pytest.Item, message: str) -> None:
    __tracebackhide__ = True
    warnings.warn_explicit(
        f"{item.nodeid} {message}",
        MemoryNotReturnedWarning,
        filename=str(item.path),
        lineno=line_number(item),
    )


def _failed_inside_unittest(item: pytest.Item) -> bool:
    """Whether a method of `unittest.TestCase` has failed or skipped, though its call returned.

    pytest keeps what unittest caught here until it makes the report, and offers no other way
    to ask.
    """
    return bool(getattr(item, "_excinfo", None))
