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
    """Who has the memory, or else what became of it."""
    verdict = "recorded" if is_recorded(record) else record.verdict
    return record.cause or record.own_outcome or verdict


def is_recorded(record: Record) -> bool:
    """Whether it passed only since so much was recorded before: it has not returned its memory."""
    return record.verdict == "returned" and record.recorded_bytes is not None
