"""The body of a test, run again and again in the place of once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from pytest_memreturn._between_rounds import BetweenRounds
from pytest_memreturn._by_rounds import ByRounds
from pytest_memreturn._measure import reason_of
from pytest_memreturn._record import Rounds
from pytest_memreturn._recorder import Recorder
from pytest_memreturn._round_watch import RoundWatch

if TYPE_CHECKING:
    from pytest_memreturn._measure import Attempt
    from pytest_memreturn._record import Record
    from pytest_memreturn._settings import Settings
    from pytest_memreturn._test_report import TestState

_NOT_RUN = "the body of the test did not run"


class RepeatedBody:
    """Warms up, opens the window, and runs the rounds inside it.

    The item's own ``runtest`` runs each time, which knows how to await, or to set up a
    `unittest.TestCase`. What stands in its place for the call phase is all of this, so that whoever
    wraps that phase wraps every round, and an exception takes its usual way.
    """

    def __init__(
        self, item: pytest.Item, settings: Settings, attempt: Attempt, state: TestState
    ) -> None:
        self._item = item
        self._rounds, self._warmup = settings.rounds.value, settings.warmup.value
        self._settings = settings
        self._attempt = attempt
        self._state = state
        self.run_once: Callable[[], None] = item.runtest
        self._watch: RoundWatch | None = None
        self._reason: str | None = None
        self.opened: Recorder | str = _NOT_RUN

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the item's body be all of this."""
        before = vars(self._item).get("runtest")
        self._item.runtest = self._run_all  # type: ignore[method-assign]
        try:
            yield
        finally:
            # Whoever has put something in its place meanwhile has done so for this call.
            vars(self._item).pop("runtest", None)
            if before is not None:
                self._item.runtest = before  # type: ignore[method-assign]

    def _run_all(self) -> None:
        __tracebackhide__ = True
        between = BetweenRounds(self._item, self._state)
        try:
            for number in range(1, self._warmup + 1):
                self._run(f"warm-up {number} of {self._warmup}")
                if self._has_failed():
                    return
                between.clean_up()
            self._open()
            number = 1
            while True:
                self._run(f"round {number} of {self._rounds}")
                if self._has_failed() or self._is_enough(number):
                    return
                between.clean_up()
                number += 1
        finally:
            between.end()

    def _run(self, where: str) -> None:
        __tracebackhide__ = True
        self._state.where = where
        try:
            self.run_once()
        except Exception as error:
            _say_where(error, where)
            raise

    def _has_failed(self) -> bool:
        """Whether a subtest has failed, or `unittest` has caught what the body raised."""
        caught = getattr(self._item, "_excinfo", None) or ()
        for one in caught:
            _say_where(one.value, self._state.where)
        return bool(caught) or self._state.subtest_failed

    def _open(self) -> None:
        """Open the window; where nobody can, one round is enough."""
        if self._settings.limits.max_per_round is not None:
            try:
                self._watch = RoundWatch(self._attempt.instruments(), self._settings)
            except Exception as error:  # noqa: BLE001 - the test runs, judged or not
                self.opened = reason_of(error)
                return
        self.opened = self._attempt.open()
        if self._watch is not None and isinstance(self.opened, Recorder):
            self._watched(self._watch.begin, self.opened)

    def _is_enough(self, number: int) -> bool:
        if self._watch is None or isinstance(self.opened, str) or self._reason is not None:
            return True
        return self._watched(self._watch.is_enough, number) is not False

    def _watched(self, act: Callable[..., object], *args: object) -> object:
        """What `act` gives; a failure of its own is the reason why there is no verdict."""
        try:
            return act(*args)
        except Exception as error:  # noqa: BLE001 - the test runs, judged or not
            self._reason = reason_of(error)
            return None

    def close(self) -> Record:
        """End the window and judge it."""
        by_rounds = ByRounds(Rounds(asked=1, run=1, warmup=self._warmup))
        if self._watch is not None and self._reason is None and isinstance(self.opened, Recorder):
            found = self._watched(self._watch.result)
            by_rounds = found if isinstance(found, ByRounds) else by_rounds
        if self._reason is not None:
            self._attempt.abandon(self.opened)
            return self._attempt.unjudged(self._reason)
        return self._attempt.close(self.opened, by_rounds)


def _say_where(error: BaseException, where: str) -> None:
    """Tell whoever reads the traceback in which round it was."""
    if isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception)):
        return  # what they say is shown as it is
    with suppress(Exception):  # an exception of somebody's own need not take notes
        error.add_note(f"(in {where})")
