"""The records of a run, outside this process's memory until its end."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator

from pytest_memreturn._record import Record


class RecordStore:
    """Keeps records in a temporary file without a name, which nobody else can open.

    As objects they take 2 KB each, and would grow the process whose growth is judged. Where the
    file can't take more (a full disk), the rest stays in memory.
    """

    def __init__(self) -> None:
        self._file: io.FileIO | None = None
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
            # The file itself would read each byte of a line by itself.
            reader = io.BufferedReader(self._file)
            try:
                position = 0
                while position < self._file_bytes:
                    line = reader.readline()
                    position += len(line)
                    yield line
            finally:
                reader.detach()  # or it would close the file
        yield from self._in_memory

    def _write(self, line: bytes) -> bool:
        try:
            if self._file is None:
                # Unbuffered, so that a record that does not fit is known at once.
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - to the run's end
            # Whoever reads leaves it elsewhere, and a line that did not fit leaves its beginning.
            self._file.seek(self._file_bytes)
            if self._file.write(line) != len(line):
                return False
        except OSError:
            return False
        self._file_bytes += len(line)
        return True
