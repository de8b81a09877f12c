"""pytest-memray: no call stack may leave more than 1 MB behind."""

import pytest

SESSIONS: list[bytearray] = []


def log_in() -> None:
    SESSIONS.append(bytearray(30_000))


@pytest.mark.limit_leaks("1 MB")
def test_log_in() -> None:
    for _ in range(100):
        log_in()
