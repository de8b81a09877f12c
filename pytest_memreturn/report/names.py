"""What a record is called in a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


def name_of(record: Record) -> str:
    """The test, the block, and which attempt it was where it was not the first."""
    name = f"{record.nodeid} [{record.label}]" if record.label else record.nodeid
    earlier = len(record.earlier_attempts)
    return f"{name} (attempt {earlier + 1})" if earlier else name
