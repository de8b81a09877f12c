"""What all rooms of the tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the width of whoever's terminal and the arguments of whoever's run out of the tests."""
    for name in ("COLUMNS", "LINES", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
