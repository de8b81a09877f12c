"""Fixtures that outlive a test: kept out of windows, and expected to leave garbage at their end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._ground import Lifetime, Pulse
from pytest_memreturn._scopes import outlives

if TYPE_CHECKING:
    import pytest

    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._record import Window
    from pytest_memreturn._recorder import Recorder

T = TypeVar("T")


class Lifetimes:
    """Watches such fixtures begin and end. `instruments`: those in use, if there are any yet."""

    def __init__(
        self,
        open_windows: dict[Recorder, Window],
        instruments: Callable[[], Instruments | None],
    ) -> None:
        self._open_windows = open_windows
        self._instruments = instruments
        # Of fixtures that are alive.
        self._found: dict[pytest.FixtureDef[Any], Lifetime] = {}

    def fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, T, T]:
        """Set up a fixture; what outlives the test that needs it first is not that test's."""
        __tracebackhide__ = True
        if fixturedef.scope == "function":
            return (yield)
        if not self._open_windows:
            return (yield from self._begins(fixturedef))
        from pytest_memreturn._measure import exclude

        outlived = {
            recorder: window
            for recorder, window in self._open_windows.items()
            if outlives(fixturedef.scope, window)
        }
        # The first fixture may need others; they end before it does, and are part of it.
        for recorder in outlived:
            del self._open_windows[recorder]
        try:
            return (yield from exclude(list(outlived), fixturedef.argname, fixturedef.scope))
        finally:
            self._open_windows |= outlived

    def _begins(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, T, T]:
        __tracebackhide__ = True
        before = self._pulse()
        try:
            return (yield)
        finally:
            after = self._pulse()
            if before is not None and after is not None:
                self._found[fixturedef] = Lifetime(before, after)

    def fixture_ended(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Expect garbage where a fixture has ended that outlived the tests before."""
        # pytest ends a fixture once for each test that used it; only the first time it has a value.
        if fixturedef.scope == "function" or fixturedef.cached_result is None:
            return
        lifetime = self._found.pop(fixturedef, None)
        if (instruments := self._instruments()) is not None:
            instruments.ground.ended(lifetime)

    def _pulse(self) -> Pulse | None:
        instruments = self._instruments()
        if instruments is None:
            return None
        try:
            return instruments.pulse()
        except ReadingUnavailableError:
            return None  # the next window will say so
