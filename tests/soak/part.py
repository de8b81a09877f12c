"""One module of a round: the runner makes a copy of it for each."""

from __future__ import annotations

from soak.the_round import run_step


def test_step(prepared: object) -> None:
    """A step of the plan."""
    run_step(prepared)
