"""What came back when a test's fixtures were torn down, after its body had retained memory."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _pytest.logging import caplog_records_key  # pytest has no other name for it

from pytest_memreturn._sizes import format_size
from pytest_memreturn._test_report import state_of

if TYPE_CHECKING:
    import pytest
    from _pytest.nodes import Node

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
        """Be told when the fixtures of a test have ended, before it is set up."""
        after_tear_down(item, functools.partial(self._ended, item))
        state_of(item).is_watched = True

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
        let_go_of(item)
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


def after_tear_down(node: Node, act: Callable[[], object]) -> Callable[[], None]:
    """Have `act` called when all of a node is torn down, and before what it lies in is.

    To be called before it is set up. A finalizer would come before the node's own tear-down, in
    which `unittest` lets go of an instance. Gives what takes it back, where it is not set up.
    """
    before, tear_down = vars(node).get("teardown"), node.teardown

    def take_back() -> None:
        vars(node).pop("teardown", None)
        if before is not None:
            node.teardown = before  # type: ignore[method-assign]

    def teardown() -> None:
        __tracebackhide__ = True
        take_back()
        tear_down()
        act()

    node.teardown = teardown  # type: ignore[method-assign]
    return take_back


def let_go_of(item: pytest.Item) -> None:
    """Empty what pytest keeps of a test until after its last report: fixtures, and log records.

    All of it has been torn down, and a test that returns its memory would seem to keep it.
    """
    kept = getattr(item, "funcargs", None)
    if isinstance(kept, dict):
        kept.clear()
    for records in item.stash.get(caplog_records_key, {}).values():
        records.clear()
