"""A thousand calls may keep less than 64 bytes each."""

import ctypes

import pytest

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_char_p
libc.strdup.argtypes = [ctypes.c_char_p]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Ten calls whose first-use growth counts for nothing, as psleak makes them."""
    for _ in range(10):
        libc.strdup(b"")


@pytest.mark.returns_memory("64 KiB")
def test_duplicate() -> None:
    for _ in range(1_000):
        libc.strdup(b"x" * 1_000)
