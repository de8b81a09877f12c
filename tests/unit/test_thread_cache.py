"""The cache of free blocks that malloc keeps for a thread."""

from __future__ import annotations

import ctypes
import random
import sys

import pytest

from pytest_memreturn.allocators.glibc import Glibc
from pytest_memreturn.allocators.thread_cache import thread_cache_filler


def test_a_full_cache_stays_as_it_is() -> None:
    """Blocks of any size that come and go leave nothing more in it."""
    malloc = Glibc()
    if malloc.statistics() is None:
        pytest.skip("another malloc serves here")
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    fill = thread_cache_filler()
    sizes = list(range(24, 1032, 16))
    random.Random(1).shuffle(sizes)  # noqa: S311 - the same order in each run

    def live_bytes() -> int:
        fill()
        statistics = malloc.statistics()
        assert statistics is not None
        return statistics.live_bytes

    live_bytes()
    before = live_bytes()
    for size in sizes:
        for block in [library.malloc(size) for _ in range(3)]:
            library.free(block)

    # pytest's own objects of more than 512 bytes come and go as well.
    assert abs(live_bytes() - before) < 4096


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """Without glibc there is no such cache."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    thread_cache_filler()()
