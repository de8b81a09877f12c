"""Memory for readings that is there before them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_memreturn.probes._buffers import ReusableBuffers, Text
from pytest_memreturn.probes._files import read_small, write_small

SIZE = 8192


def content(text: Text) -> bytes:
    """What was read, without what lies behind it."""
    return text.buffer[: text.length]


@pytest.fixture
def buffers() -> ReusableBuffers:
    """Small ones."""
    return ReusableBuffers(SIZE)


@pytest.mark.parametrize("length", [0, 1, SIZE // 2, SIZE // 2 + 1, SIZE, 5 * SIZE + 3])
def test_a_file_is_read_whole(length: int, buffers: ReusableBuffers, tmp_path: Path) -> None:
    """Whatever its size, and however often."""
    path = tmp_path / "file"
    path.write_bytes(bytes(index % 251 for index in range(length)))
    for _ in range(3):
        assert content(buffers.read(str(path))) == path.read_bytes()


def test_reading_again_makes_no_buffer(buffers: ReusableBuffers, tmp_path: Path) -> None:
    """Also when the file has grown by a third since."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3 * SIZE)
    assert content(buffers.read(str(path))) == path.read_bytes()
    made = buffers.made
    for length in (4 * SIZE, 10):
        path.write_bytes(b"x" * length)
        assert content(buffers.read(str(path))) == path.read_bytes()
    assert buffers.made == made


def test_buffers_are_ready_when_they_are_needed(buffers: ReusableBuffers, tmp_path: Path) -> None:
    """As many as were reserved can be lent at once, without making one."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3 * SIZE)
    first = buffers.read(str(path))
    buffers.reserve(3)
    made = buffers.made
    held = [buffers.read(str(path)), buffers.lend(10), buffers.read(str(path))]
    assert buffers.made == made
    held.append(buffers.lend(10))
    assert buffers.made == made + 1
    del first


def test_small_loans_leave_large_buffers(buffers: ReusableBuffers) -> None:
    """All buffers are of one size, so that a reserved one fits whatever comes."""
    held = [buffers.lend(1) for _ in range(3)]
    held.clear()
    buffers.reserve(3)
    assert buffers.made == 3
    held = [buffers.lend(SIZE) for _ in range(3)]
    assert buffers.made == 3
    assert {len(one.buffer) for one in held} == {SIZE}


def test_a_buffer_comes_back_when_nobody_holds_its_text(buffers: ReusableBuffers) -> None:
    """The next loan is the same memory."""
    text = buffers.lend(10)
    buffer = text.buffer
    del text
    again = buffers.lend(20)
    assert again.buffer is buffer
    assert buffers.made == 1


def test_what_is_lent_is_nobody_else_s(buffers: ReusableBuffers) -> None:
    """Two texts that are held never share their memory."""
    first, second = buffers.lend(10), buffers.lend(10)
    first.buffer[0], second.buffer[0] = 1, 2
    assert (first.buffer[0], second.buffer[0]) == (1, 2)


def test_a_larger_loan_makes_all_larger(buffers: ReusableBuffers) -> None:
    """Buffers that have become too small are let go of, also those that are lent out."""
    small = buffers.lend(10)
    buffers.reserve(2)
    large = buffers.lend(3 * SIZE)
    assert len(large.buffer) == buffers.size_bytes == 4 * SIZE
    lent = [small.buffer]
    assert [one.closed for one in lent] == [False]
    del small
    assert [one.closed for one in lent] == [True]
    buffers.reserve(2)
    held = [buffers.lend(1), buffers.lend(1)]
    assert {len(one.buffer) for one in held} == {4 * SIZE}


@pytest.mark.parametrize(
    ("length", "size_bytes"),
    [(SIZE, SIZE), (SIZE + 1, 2 * SIZE), (2 * SIZE, 2 * SIZE), (2 * SIZE + 1, 4 * SIZE)],
)
def test_buffers_grow_by_doubling(length: int, size_bytes: int, buffers: ReusableBuffers) -> None:
    """As often as is needed, and no further."""
    assert len(buffers.lend(length).buffer) == size_bytes


def test_reserving_what_is_there_makes_nothing(buffers: ReusableBuffers) -> None:
    """It is asked before every window."""
    buffers.reserve(2)
    buffers.reserve(2)
    buffers.reserve(1)
    assert buffers.made == 2


@pytest.mark.parametrize("problem", [FileNotFoundError, IsADirectoryError])
def test_a_file_that_cannot_be_read_costs_no_buffer(
    problem: type[OSError], buffers: ReusableBuffers, tmp_path: Path
) -> None:
    """The error is passed on, and the buffer is there for the next reading."""
    path = tmp_path / "missing" if problem is FileNotFoundError else tmp_path
    for _ in range(3):
        with pytest.raises(problem):
            buffers.read(str(path))
    assert buffers.made == 1


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


def test_readings_leave_no_descriptor_open(tmp_path: Path, buffers: ReusableBuffers) -> None:
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
    buffers.read(str(path))
    assert lowest_free() == before


def test_a_test_that_replaces_what_reads_does_not_reach_the_readings(
    tmp_path: Path, buffers: ReusableBuffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not have put it back when its window closes."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    for name in ("open", "close", "read", "readv", "write"):
        monkeypatch.delattr(os, name)
    small, whole = read_small(str(path)), buffers.read(str(path))
    write_small(str(path), b"y")
    monkeypatch.undo()
    assert small == content(whole) == b"x" * 100
