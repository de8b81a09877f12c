"""The body of a test inside its window, run once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._measure import Attempt
    from pytest_memreturn._record import Record
    from pytest_memreturn._recorder import Recorder


class BodyOnce:
    """Opens the window before whatever runs the body, and closes it afterwards."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.opened: Recorder | str = ""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The window is open from here on."""
        self.opened = self._attempt.open()
        yield

    def close(self) -> Record:
        """End the window and judge it."""
        return self._attempt.close(self.opened)
