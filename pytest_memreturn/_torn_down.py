"""What came back when a test's fixtures were torn down, after its body had retained memory."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_size
from pytest_memreturn._test_report import state_of

if TYPE_CHECKING:
    import pytest

    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._record import Record

# From what part of it on it is worth a sentence: a fixture that had next to nothing is none of it.
_WORTH_A_SENTENCE = 1 / 10


@dataclass(frozen=True, slots=True)
class TornDown:
    """Reads again, when all that a test set up for itself has ended.

    `instruments`: made when a test is judged.
    """

    instruments: Callable[[], Instruments]

    def watch(self, item: pytest.Item) -> None:
        """Be told when the fixtures of a test have ended, before the first of them is set up."""
        state = state_of(item)
        # What is registered first is called last.
        if state.gate is not None and not state.is_watched:
            item.addfinalizer(functools.partial(self._ended, item))
            state.is_watched = True

    def expect(self, item: pytest.Item, record: Record) -> None:
        """Its body retained memory, which its fixtures may still hold."""
        state = state_of(item)
        if state.is_watched:
            with contextlib.suppress(Exception):  # the verdict stands, and nobody asked for more
                state.retained = record.retained_bytes or 0, self._footprint_bytes()

    def _ended(self, item: pytest.Item) -> None:
        state = state_of(item)
        if state.retained is None:
            return
        let_go_of_fixtures(item)
        with contextlib.suppress(Exception):
            retained_bytes, footprint_bytes = state.retained
            came_back_bytes = max(0, footprint_bytes - self._footprint_bytes())
            state.torn_down_bytes = min(came_back_bytes, retained_bytes)
            if came_back_bytes > retained_bytes * _WORTH_A_SENTENCE:
                state.sentence = (
                    f"{format_size(state.torn_down_bytes)} of the {format_size(retained_bytes)} "
                    "came back when the test's fixtures were torn down: "
                    'window="test" judges after that'
                )

    def _footprint_bytes(self) -> int:
        # Trimmed both times: finding out who had the memory ended with a trim.
        instruments = self.instruments()
        instruments.releaser.collect()
        instruments.releaser.trim()
        return instruments.memory.exact().footprint_bytes


def let_go_of_fixtures(item: pytest.Item) -> None:
    """Empty what pytest keeps of a test's fixtures until after its last report.

    They have been torn down, and a test that returns its memory would seem to keep it.
    """
    kept = getattr(item, "funcargs", None)
    if isinstance(kept, dict):
        kept.clear()
