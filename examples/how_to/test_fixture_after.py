"""The same gate as a marker."""

import pytest

CACHE: list[bytes] = []


@pytest.mark.returns_memory("5 MiB")
def test_load() -> None:
    rows = [bytes(3_000) for _ in range(10_000)]
    CACHE.append(rows[-1])
