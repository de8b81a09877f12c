"""A binding that loses what it should free: `c_char_p` copies the text and drops its address."""

import ctypes

import pytest

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_char_p
libc.strdup.argtypes = [ctypes.c_char_p]


def duplicate(text: bytes) -> bytes:
    """The text, by way of a C function whose result belongs to the caller."""
    copied: bytes = libc.strdup(text)
    return copied


@pytest.mark.returns_memory("64 KiB")
def test_duplicate() -> None:
    for _ in range(1_000):
        assert duplicate(b"x" * 1_000) == b"x" * 1_000
