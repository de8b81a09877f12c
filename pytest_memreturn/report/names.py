"""What a record is called in a report, and in a word what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


def name_of(record: Record) -> str:
    """The test, the block, and which attempt it was where it was not the first."""
    name = f"{record.nodeid} [{record.label}]" if record.label else record.nodeid
    earlier = len(record.earlier_attempts)
    return f"{name} (attempt {earlier + 1})" if earlier else name


def state_of(record: Record) -> str:
    """Who has the memory, or else what became of it.

    What passed only since so much was recorded before has not returned its memory.
    """
    is_recorded = record.verdict == "returned" and record.recorded_bytes is not None
    return record.cause or record.own_outcome or ("recorded" if is_recorded else record.verdict)
