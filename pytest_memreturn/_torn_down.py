"""What came back when a test's fixtures were torn down, after its body had retained memory."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _pytest.logging import caplog_records_key  # pytest has no other name for it

from pytest_memreturn._sizes import KIB, format_size
from pytest_memreturn._test_report import state_of

if TYPE_CHECKING:
    import pytest
    from _pytest.nodes import Node

    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._record import Record

# From what part of it on it is worth a sentence: a fixture that had next to nothing is none of it.
_WORTH_A_SENTENCE = 1 / 10
# And at least so much: a body with rounds may have retained some KiB only, while pytest and this
# plugin let go of up to a hundred at the end of any test.
_LEAST_BYTES = 256 * KIB


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
                state.retained = record.retained_bytes or 0, *self._figures()
                state.has_rounds = record.rounds is not None

    def _ended(self, item: pytest.Item) -> None:
        state = state_of(item)
        if state.retained is None:
            return
        let_go_of(item)
        with contextlib.suppress(Exception):
            retained_bytes, *before = state.retained
            fallen_by = [old - new for old, new in zip(before, self._figures(), strict=True)]
            came_back_bytes = max(0, min(fallen_by))
            state.torn_down_bytes = min(came_back_bytes, retained_bytes)
            if came_back_bytes > max(_LEAST_BYTES, retained_bytes * _WORTH_A_SENTENCE):
                state.sentence = (
                    f"{format_size(state.torn_down_bytes)} of the {format_size(retained_bytes)} "
                    "came back when the test's fixtures were torn down"
                )
                if not state.has_rounds:  # which a wider window does not have
                    state.sentence += ': window="test" judges after that'

    def _figures(self) -> tuple[int, int]:
        """The footprint, and what of it is no free room of Python's own allocator.

        Finding out who had the memory leaves megabytes of such room, and some of it goes when the
        test's reports are made: then only the footprint falls.
        """
        # Trimmed both times: finding out who had the memory ended with a trim.
        instruments = self.instruments()
        instruments.releaser.collect()
        instruments.releaser.trim()
        room_bytes = sum(one.free_bytes for one in instruments.statistics() if one.name == "python")
        footprint_bytes = instruments.memory.exact().footprint_bytes
        return footprint_bytes, footprint_bytes - room_bytes


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
