"""The binding, mended: the address is kept until the block behind it was freed."""

import ctypes

import pytest

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.strdup.argtypes = [ctypes.c_char_p]
libc.free.restype = None
libc.free.argtypes = [ctypes.c_void_p]


def duplicate(text: bytes) -> bytes:
    """The text, by way of a C function whose result belongs to the caller."""
    address = libc.strdup(text)
    try:
        return ctypes.string_at(address)
    finally:
        libc.free(address)


@pytest.mark.returns_memory("64 KiB")
def test_duplicate() -> None:
    for _ in range(1_000):
        assert duplicate(b"x" * 1_000) == b"x" * 1_000
