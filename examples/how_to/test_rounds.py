"""A request that keeps 64 bytes each time."""

from __future__ import annotations

import pytest

SEEN: list[bytes] = []


def get(path: str) -> int:
    """What a client does."""
    SEEN.append(path.encode().ljust(31))
    return 200


@pytest.mark.returns_memory(rounds=200)
def test_request() -> None:
    assert get("/health") == 200
