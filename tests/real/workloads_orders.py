"""Tests whose verdicts depend on which of them run before: each is right about what it saw."""

from __future__ import annotations

import functools

MIB = 1024 * 1024
KEPT: list[object] = []


def test_parses() -> None:
    """96 blocks that glibc maps, until an array that was freed has taught it not to."""
    blocks = [bytearray(MIB) for _ in range(96)]
    KEPT.append(bytearray(2000))  # above them, where they came from the heap
    del blocks


def test_frees_an_array() -> None:
    """It gives back all it took; from then on glibc maps nothing below its size."""
    array = bytearray(30 * MIB)
    del array


@functools.cache
def table() -> bytes:
    """A table that is made once."""
    return b"x" * (5 * MIB)


def test_looks_up() -> None:
    """Whoever comes first makes the table, and keeps it."""
    assert table()


def test_looks_up_too() -> None:
    """The same."""
    assert table()
