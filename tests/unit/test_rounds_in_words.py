"""Rounds in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memreturn._record import Rounds
from pytest_memreturn.report.printable import NO_BREAK
from pytest_memreturn.report.rounds import growth_in_words, rounds_in_words

STEADY = Rounds(
    asked=200,
    run=152,
    warmup=0,
    allowed_per_round_bytes=1024,
    allowed_origin="--memreturn-max-per-round",
    growth="steady",
    exceeds=True,
    per_round_bytes=2048,
    since_round=40,
    points=((0, 0, 0), (152, 311_296, 320_000)),
)


def test_what_grew_too_much() -> None:
    """How much, how much was allowed and by whom, and over how many rounds."""
    assert growth_in_words(STEADY) == (
        "grew 2.0 KiB per round (allowed 1.0 KiB per round, --memreturn-max-per-round), "
        "steadily over 112 rounds"
    )
    assert growth_in_words(replace(STEADY, run=2, since_round=1)) == (
        "grew 2.0 KiB per round (allowed 1.0 KiB per round, --memreturn-max-per-round), "
        "over 1 round"
    )


@pytest.mark.parametrize(
    ("rounds", "words"),
    [
        (
            STEADY,
            (
                "152 of 200, which were enough to be certain · "
                "it grew steadily: what is alive, with 304.0 KiB in all"
            ),
        ),
        (
            replace(STEADY, figure="malloc", run=200),
            "200 · it grew steadily: what is alive in malloc, with 304.0 KiB in all",
        ),
        (
            replace(STEADY, figure="footprint", growth="fading", run=200, warmup=3),
            (
                "200 · 3 for warm-up · it grew ever less from round to round: "
                "the footprint by 312.5 KiB"
            ),
        ),
        (
            replace(STEADY, growth="none", run=200),
            "200 · nothing grew from round to round",
        ),
        (replace(STEADY, growth="uneven", run=200, points=()), "200 · it grew by fits and starts"),
        (Rounds(asked=1, run=1, warmup=2), "1 · 2 for warm-up"),
    ],
)
def test_how_it_went(rounds: Rounds, words: str) -> None:
    """How many rounds there were, and what they tell."""
    assert rounds_in_words(rounds).replace(NO_BREAK, " ") == words
