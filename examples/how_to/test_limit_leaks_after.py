"""The test as a whole may keep 1 MB."""

import pytest

SESSIONS: list[bytearray] = []


def log_in() -> None:
    SESSIONS.append(bytearray(30_000))


@pytest.mark.returns_memory("1 MB")
def test_log_in() -> None:
    for _ in range(100):
        log_in()
