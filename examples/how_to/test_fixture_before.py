"""A gate written by hand: it knows how much, and not whose."""

import gc
from collections.abc import Iterator

import psutil
import pytest

CACHE: list[bytes] = []


@pytest.fixture
def no_growth() -> Iterator[None]:
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    yield
    gc.collect()
    grown = process.memory_info().rss - before
    assert grown < 5 * 1024 * 1024, f"RSS grew by {grown / 2**20:.1f} MiB"


@pytest.mark.usefixtures("no_growth")
def test_load() -> None:
    rows = [bytes(3_000) for _ in range(10_000)]
    CACHE.append(rows[-1])
