"""Rounds in words: how they grew, and how many there were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.printable import NO_BREAK

if TYPE_CHECKING:
    from pytest_memreturn._record import Rounds

_WHAT_GREW = {"footprint": "the footprint", "live": "what is alive"}

_GROWTH = {
    "none": "nothing grew from round to round",
    "one-time": "it grew in the first rounds and not after them",
    "fading": "it grew ever less from round to round",
    "uneven": "it grew by fits and starts",
    "steady": "it grew steadily",
}


def growth_in_words(rounds: Rounds) -> str:
    """What grew too much: a line that stands alone."""
    grew = format_size(rounds.per_round_bytes)
    allowed = format_size(rounds.allowed_per_round_bytes)
    judged = rounds.run - rounds.since_round
    # Of a single one nobody can say that it is steady.
    over = "over 1 round" if judged == 1 else f"steadily over {judged} rounds"
    return f"grew {grew} per round (allowed {allowed} per round, {rounds.allowed_origin}), {over}"


def rounds_in_words(rounds: Rounds) -> str:
    """How many rounds there were, and what they tell."""
    parts = [_whole(_run(rounds))]
    if rounds.warmup:
        parts.append(_whole(f"{rounds.warmup} for warm-up"))
    if rounds.growth is not None:
        parts.append(_grew(rounds))
    return f"{NO_BREAK}· ".join(parts)


def _run(rounds: Rounds) -> str:
    if rounds.run < rounds.asked:
        return f"{rounds.run} of {rounds.asked}, which were enough to be certain"
    return str(rounds.run)


def _whole(part: str) -> str:
    """A part that stays in one piece where the line is folded."""
    return part.replace(" ", NO_BREAK)


def _grew(rounds: Rounds) -> str:
    text = _whole(_GROWTH[rounds.growth or "none"])
    if rounds.growth == "none":
        return text
    what = _WHAT_GREW.get(rounds.figure, f"what is alive in {rounds.figure}")
    if not rounds.points:
        return text
    _, first_live, first_footprint = rounds.points[0]
    _, last_live, last_footprint = rounds.points[-1]
    if rounds.figure == "footprint":
        how_much = f"{what} by {format_size(last_footprint - first_footprint)}"
    else:
        how_much = f"{what}, with {format_size(last_live - first_live)} in all"
    return f"{text}: {_whole(how_much)}"
