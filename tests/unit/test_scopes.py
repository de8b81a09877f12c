"""What lives longer: a fixture, or a window."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_memreturn._record import Window
from pytest_memreturn._scopes import outlives

SCOPES = ("function", "class", "module", "package", "session")


@pytest.mark.parametrize(
    ("window", "outliving"),
    [
        ("block", SCOPES[1:]),
        ("call", SCOPES[1:]),
        ("test", SCOPES[1:]),
        ("class", SCOPES[2:]),
        ("module", SCOPES[3:]),
    ],
)
def test_fixtures_that_outlive_a_window(window: Window, outliving: tuple[str, ...]) -> None:
    """Those of wider scopes; one of the test's own is its own, whatever part of it is judged."""
    assert tuple(one for one in SCOPES if outlives(one, window)) == outliving


def test_every_window_has_its_place() -> None:
    """Nobody has to guess."""
    assert all(outlives("session", window) for window in get_args(Window))
