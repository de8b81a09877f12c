"""What pytest itself keeps of a test for its reports: captured log records and output."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable, Iterator

from pytest_memreturn._explanation import Holding

_CAPTURED_LOG = "log records that pytest captured"
_CAPTURED_OUTPUT = "bytes of output that pytest captured"


def held_by_pytest() -> tuple[Holding, ...]:
    """Log records, and output captured in memory; each about as large as its parts together.

    pytest's handlers are found by where their class is from, since it offers no other way.
    """
    found = []
    records, size_bytes = _captured_records()
    if records:
        found.append(Holding(_CAPTURED_LOG, records, size_bytes))
    output_bytes = sum(_captured_lengths())
    if output_bytes:
        found.append(Holding(_CAPTURED_OUTPUT, output_bytes, output_bytes))
    return tuple(found)


def _captured_records() -> tuple[int, int]:
    """How many log records pytest keeps, and their bytes, texts formatted for reports included."""
    records: set[int] = set()
    parts: dict[int, int] = {}
    formatted_bytes = 0
    for handler in logging.getLogger().handlers:
        if not _is_pytests(handler):
            continue
        stream = getattr(handler, "stream", None)
        if isinstance(stream, io.StringIO):
            formatted_bytes += stream.tell()
        captured: Iterable[object] = getattr(handler, "records", ())
        for record in captured:
            if isinstance(record, logging.LogRecord):
                records.add(id(record))
                # By id: both of pytest's handlers keep the same records.
                parts.update((id(part), sys.getsizeof(part)) for part in _parts(record))
    return len(records), sum(parts.values()) + formatted_bytes


def _parts(record: logging.LogRecord) -> Iterator[object]:
    """A record, its attributes, and what its message was made of.

    What is the same object in every record, a logger's name or a level's, is not its own.
    """
    args = record.args
    yield from (record, record.__dict__, record.msg, record.__dict__.get("message"), args)
    yield from args.values() if isinstance(args, dict) else args or ()


def _captured_lengths() -> Iterator[int]:
    """The lengths of what was written to standard output and error, where memory holds it."""
    for stream in (sys.stdout, sys.stderr):
        buffer = getattr(stream, "buffer", None)
        if _is_pytests(stream) and isinstance(buffer, io.BytesIO):
            yield buffer.getbuffer().nbytes


def _is_pytests(found: object) -> bool:
    return type(found).__module__.partition(".")[0] == "_pytest"
