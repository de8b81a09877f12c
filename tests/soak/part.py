"""One module of a round: the runner makes a copy of it for each."""

from __future__ import annotations

from collections.abc import Callable


def test_step(run_step: Callable[[], None]) -> None:
    """A step of the plan."""
    run_step()
