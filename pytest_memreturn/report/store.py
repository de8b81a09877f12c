"""The records of a run, outside this process's memory until its end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_memreturn._record import Record

if TYPE_CHECKING:
    from io import FileIO


class RecordStore:
    """Keeps records in a temporary file without a name, which nobody else can open.

    As objects they take 2 KB each, and would grow the process whose growth is judged. Where the
    file can't take more (a full disk), the rest stays in memory.
    """

    def __init__(self) -> None:
        self._file: FileIO | None = None
        self._file_bytes = 0
        self._in_memory: list[bytes] = []

    def add(self, record: Record) -> None:
        """Keep one more."""
        line = json.dumps(record.to_dict()).encode() + b"\n"
        if self._in_memory or not self._write(line):
            self._in_memory.append(line)

    def close(self) -> None:
        """Let go of the file, and of every record with it."""
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[Record]:
        """Every record, in the order in which they came."""
        for line in self._lines():
            yield Record.from_dict(json.loads(line))

    def _lines(self) -> Iterator[bytes]:
        if self._file is not None:
            self._file.seek(0)
            position = 0
            while position < self._file_bytes:
                line = self._file.readline()
                position += len(line)
                yield line
        yield from self._in_memory

    def _write(self, line: bytes) -> bool:
        try:
            if self._file is None:
                # Unbuffered, so that a record that does not fit is known at once.
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - to the run's end
            if self._file.write(line) != len(line):
                return False
        except OSError:
            return False
        self._file_bytes += len(line)
        return True
