"""Memory for readings that is there before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_memreturn.probes._buffers import Loan, ReusableBuffers

SIZE = 8192


def content(loan: Loan) -> bytes:
    """What was read, without what lies behind it."""
    return loan.buffer[: loan.length]


@pytest.fixture
def buffers() -> ReusableBuffers:
    """Small ones."""
    return ReusableBuffers(SIZE)


@pytest.mark.parametrize("length", [0, 1, SIZE // 2, SIZE - 1, SIZE, SIZE + 1, 5 * SIZE + 3])
def test_a_file_is_read_whole(length: int, buffers: ReusableBuffers, tmp_path: Path) -> None:
    """Whatever its size, and however often."""
    path = tmp_path / "file"
    path.write_bytes(bytes(index % 251 for index in range(length)))
    for _ in range(3):
        assert content(buffers.read(str(path))) == path.read_bytes()


def test_reading_again_makes_no_buffer(buffers: ReusableBuffers, tmp_path: Path) -> None:
    """The same memory serves every reading that nobody holds any more."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3 * SIZE)
    assert content(buffers.read(str(path))) == path.read_bytes()
    held_bytes = buffers.held_bytes
    for length in (4 * SIZE - 1, 10):
        path.write_bytes(b"x" * length)
        assert content(buffers.read(str(path))) == path.read_bytes()
    assert buffers.held_bytes == held_bytes == 4 * SIZE


def test_a_buffer_comes_back_when_nobody_holds_its_loan(buffers: ReusableBuffers) -> None:
    """The next loan is the same memory."""
    loan = buffers.lend(10)
    buffer = loan.buffer
    del loan
    again = buffers.lend(20)
    assert again.buffer is buffer
    assert (again.length, buffers.held_bytes) == (20, SIZE)


def test_what_is_lent_is_nobody_else_s(buffers: ReusableBuffers) -> None:
    """Two loans that are held never share their memory, and both count as held."""
    first, second = buffers.lend(10), buffers.lend(10)
    first.buffer[0], second.buffer[0] = 1, 2
    assert (first.buffer[0], second.buffer[0]) == (1, 2)
    assert buffers.held_bytes == 2 * SIZE


def test_a_larger_loan_makes_all_larger(buffers: ReusableBuffers) -> None:
    """Buffers that have become too small are let go of: at once, or when they come back."""
    lent, idle = buffers.lend(10), buffers.lend(10)
    small, spare = lent.buffer, idle.buffer
    del idle
    large = buffers.lend(3 * SIZE)
    assert len(large.buffer) == buffers.size_bytes == 4 * SIZE
    assert (small.closed, spare.closed, buffers.held_bytes) == (False, True, 5 * SIZE)
    del lent
    assert (small.closed, buffers.held_bytes) == (True, 4 * SIZE)


@pytest.mark.parametrize(
    ("length", "size_bytes"),
    [(SIZE, SIZE), (SIZE + 1, 2 * SIZE), (2 * SIZE, 2 * SIZE), (2 * SIZE + 1, 4 * SIZE)],
)
def test_buffers_grow_by_doubling(length: int, size_bytes: int, buffers: ReusableBuffers) -> None:
    """As often as is needed, and no further."""
    assert len(buffers.lend(length).buffer) == size_bytes


@pytest.mark.parametrize("problem", [FileNotFoundError, IsADirectoryError])
def test_a_file_that_cannot_be_read_costs_no_buffer(
    problem: type[OSError], buffers: ReusableBuffers, tmp_path: Path
) -> None:
    """The buffer that was meant for it serves the next reading."""
    path = tmp_path / "missing" if problem is FileNotFoundError else tmp_path
    for _ in range(3):
        with pytest.raises(problem):
            buffers.read(str(path))
    assert buffers.held_bytes <= 2 * SIZE
    assert len(buffers.lend(1).buffer) == SIZE
