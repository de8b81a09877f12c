"""Records that wait outside the process's memory for the end of the run."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn.report.store import RecordStore

RECORDS = [
    Record(f"tests/größe.py::test_{number}", "returned", "collect", retained_bytes=number)
    for number in range(5)
]


@pytest.fixture
def store() -> Iterator[RecordStore]:
    """A store that lets go of its file in the end."""
    with contextlib.closing(RecordStore()) as store:
        yield store


def test_records_come_back_in_their_order(store: RecordStore) -> None:
    """As often as they are asked for, and with those that came meanwhile."""
    assert list(store) == []
    for one in RECORDS[:3]:
        store.add(one)
    assert list(store) == RECORDS[:3]
    for one in RECORDS[3:]:
        store.add(one)
    assert list(store) == list(store) == RECORDS


def test_a_name_that_is_no_text_comes_back(store: RecordStore) -> None:
    """File names may have bytes that are none."""
    record = Record("tests/\udcff.py::test_x", "unjudged", "trim")
    store.add(record)
    assert list(store) == [record]


def full(_line: bytes) -> int:
    """No space is left."""
    raise OSError(errno.ENOSPC, "No space left on device")


def nearly_full(line: bytes) -> int:
    """There is space for half of it."""
    return len(line) // 2


@pytest.mark.parametrize("write", [full, nearly_full])
@pytest.mark.parametrize("fit", [0, 2])
def test_what_the_disk_does_not_take_stays_in_memory(
    fit: int,
    write: Callable[[bytes], int],
    store: RecordStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is lost, and nothing comes back twice."""

    class Disk(io.FileIO):
        lines = 0

        def write(self, line: bytes) -> int:  # type: ignore[override]
            self.lines += 1
            if self.lines > fit:
                written = write(line)
                return super().write(line[:written])
            return super().write(line)

    with tempfile.NamedTemporaryFile() as file:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Disk(file.name, "r+"))
        for one in RECORDS:
            store.add(one)
        assert list(store) == RECORDS


def test_without_a_folder_for_temporary_files_records_stay_in_memory(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may have none that can be written to."""

    def nowhere(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    for one in RECORDS:
        store.add(one)
    assert list(store) == RECORDS


def test_records_are_read_by_the_block(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte it took 1.4 ms for each."""

    class Disk(io.FileIO):
        reads = 0

        def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401
            self.reads += 1
            return super().readinto(buffer)

        def read(self, size: int | None = -1, /) -> bytes | None:  # type: ignore[override]
            self.reads += 1
            return super().read(size)

    with tempfile.NamedTemporaryFile() as file:
        disk = Disk(file.name, "r+")
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: disk)
        for one in 20 * RECORDS:
            store.add(one)
        assert list(store) == 20 * RECORDS
        assert 0 < disk.reads < 20


def test_records_may_come_while_others_are_read(store: RecordStore) -> None:
    """Each goes behind the last one, wherever a reader has got to."""
    for one in RECORDS[:3]:
        store.add(one)
    reader = iter(store)
    assert next(reader) == RECORDS[0]
    store.add(RECORDS[3])
    del reader
    assert list(store) == RECORDS[:4]


def test_nobody_else_can_open_the_file(store: RecordStore) -> None:
    """It has no name, and is its user's alone."""
    store.add(RECORDS[0])
    assert store._file is not None
    status = os.fstat(store._file.fileno())
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 0
