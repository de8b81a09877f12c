"""Files of the kernel, and functions of `os` that no test can take away."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from pytest_memreturn.probes._files import read_into, read_small, write_small


def refuse(*arguments: object) -> int:
    """What a test may put in the place of a function of `os`."""
    raise AssertionError(arguments)


def test_what_a_test_replaces_does_not_reach_the_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions of `os` that are replaced when a window closes still read and write."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    buffer = mmap.mmap(-1, 4096)
    with monkeypatch.context() as replaced:
        for name in ("open", "read", "readv", "write", "close"):
            replaced.setattr(os, name, refuse)
        write_small(str(path), b"new")
        found = (read_small(str(path)), read_into(str(path), buffer))
    assert found == (b"new", 3)
    assert buffer[:3] == b"new"


def test_a_file_larger_than_the_buffer_fills_it(tmp_path: Path) -> None:
    """Nothing is written past its end, and the length says that it is full."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    buffer = mmap.mmap(-1, 4096)
    assert read_into(str(path), buffer) == 4096
    assert buffer[:] == b"x" * 4096


def test_a_small_file_is_read_at_once(tmp_path: Path) -> None:
    """Up to 16 KiB, which is more than any of the kernel's status files has."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 16 * 1024 + b"y")
    assert read_small(str(path)) == b"x" * 16 * 1024


def test_a_small_file_is_written_at_once(tmp_path: Path) -> None:
    """And not made: the kernel's files are there or they are not."""
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        write_small(str(path), b"5")
    path.write_bytes(b"")
    write_small(str(path), b"5")
    assert path.read_bytes() == b"5"


def test_readings_leave_no_descriptor_open(tmp_path: Path) -> None:
    """A run of ten thousand tests reads some ten thousand times."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)

    def lowest_free() -> int:
        descriptor = os.open(path, os.O_RDONLY)
        os.close(descriptor)
        return descriptor

    before = lowest_free()
    read_small(str(path))
    write_small(str(path), b"y")
    read_into(str(path), mmap.mmap(-1, 4096))
    assert lowest_free() == before
