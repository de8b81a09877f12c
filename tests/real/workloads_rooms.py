"""One test that returns its memory, and one that does not, for rooms where readings fail."""

from __future__ import annotations

import subprocess
import sys

MIB = 1024 * 1024

KEPT: list[object] = []


def test_returns() -> None:
    """16 MiB come and go."""
    buffer = bytearray(b"x") * (16 * MIB)
    assert len(buffer) == 16 * MIB


def test_keeps() -> None:
    """8 MiB stay."""
    KEPT.append(bytearray(b"x") * (8 * MIB))


def test_keeps_a_child() -> None:
    """A child with 20 MiB stays, until the process ends."""
    code = f"b = bytearray(b'x') * (20 * {MIB}); print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    KEPT.append(child)
