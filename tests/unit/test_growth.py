"""How a figure grew from round to round, and when more rounds would only tell the same."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pytest_memreturn._growth import (
    OF_FOOTPRINT,
    OF_LIVE_BYTES,
    Growth,
    GrowthKind,
    Noise,
    growth,
    is_certain_of_leak,
    is_certain_of_none,
)
from pytest_memreturn._sizes import KIB, MIB

ROUNDS = range(0, 201, 10)


def of(
    figure: Callable[[int], int], rounds: range = ROUNDS, noise: Noise = OF_LIVE_BYTES
) -> Growth:
    """What is made of a figure that is a function of the rounds that have run."""
    return growth(list(rounds), [figure(one) for one in rounds], noise)


def half_life(rounds: int) -> Callable[[int], int]:
    """Growth up to a MiB, of which half is there after so many rounds."""
    return lambda one: int(MIB * (1 - 0.5 ** (one / rounds)))


@pytest.mark.parametrize(
    ("figure", "kind"),
    [
        (lambda _: 7, "none"),
        (lambda one: 64 * one, "steady"),
        (lambda one: one, "steady"),
        (lambda one: MIB * bool(one), "one-time"),
        (lambda one: MIB * min(one, 40), "one-time"),
        (half_life(30), "fading"),
        (half_life(60), "fading"),
        (lambda one: 1000 * min(one, 128), "fading"),
        (lambda one: 1000 * min(one, 160), "fading"),
        (lambda one: MIB * (one >= 100), "fading"),
        (lambda one: MIB * (one >= 190), "uneven"),
        (lambda one: -64 * one, "none"),
        # A list of pointers moves as a whole, and a dict doubles.
        (lambda one: 64 * one + 8 * (one // 40 * 40), "steady"),
        (lambda one: 64 * one + 4000 * (one > 80) + 8000 * (one > 160), "steady"),
    ],
)
def test_kinds_of_growth(figure: Callable[[int], int], kind: GrowthKind) -> None:
    """One-time growth and growth that fades are told from growth that goes on."""
    assert of(figure).kind == kind


def buffer(rounds: int, step_bytes: int = 64) -> int:
    """The room of a buffer that grew by so much in each round, with an eighth to spare."""
    room_bytes = 64
    while room_bytes < step_bytes * rounds:
        room_bytes += room_bytes // 8
    return room_bytes


@pytest.mark.parametrize("rounds", [range(0, 1001, 64), range(0, 2001, 128), range(0, 501, 32)])
def test_a_buffer_that_grows_by_steps(rounds: range) -> None:
    """Steps as wide as the points are apart are growth, though nothing grows between two points."""
    found = of(buffer, rounds)

    assert found.kind == "steady"
    assert 40 <= found.least_bytes <= found.per_round_bytes <= 90


@pytest.mark.parametrize(
    "figure",
    [
        pytest.param(lambda one: buffer(one) * (one % 3 > 0), id="it falls"),
        pytest.param(lambda one: buffer(one) // 64, id="it is little"),
        pytest.param(lambda one: MIB * ((one > 300) + (one > 900)), id="it rises twice"),
        pytest.param(lambda one: buffer(min(one, 650)), id="it ends"),
        pytest.param(lambda one: 2 ** (max(1, one).bit_length() + 8), id="it doubles"),
    ],
)
def test_steps_that_tell_nothing(figure: Callable[[int], int]) -> None:
    """Whatever it is, it is no growth that goes on."""
    assert not of(figure, range(0, 1001, 64)).exceeds(0)


def test_a_steady_slope_is_that_of_a_round() -> None:
    """The first rounds do not matter, nor does a point that is far off."""
    found = of(lambda one: 64 * one + 5 * MIB * bool(one) + 9000 * (one == 120))

    assert (found.kind, found.per_round_bytes, found.least_bytes) == ("steady", 64, 64)
    assert found.since_round == 50
    assert found.exceeds(63)
    assert not found.exceeds(64)
    assert found.whole_bytes == 5 * MIB + 12_800


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_growth(seed: int) -> None:
    """However far it reaches, where it leads nowhere."""
    chance = random.Random(seed)  # noqa: S311 - the same figures in each run

    assert not of(lambda _: chance.randrange(MIB)).exceeds(0)


@pytest.mark.parametrize(
    ("rounds", "per_round_bytes", "kind"),
    [
        (1, 4 * MIB, "one-time"),
        (1, 4 * KIB, "none"),
        (2, 4 * MIB, "steady"),
        (3, 64 * KIB, "steady"),
        (5, 1 * KIB, "none"),
        (5, 64 * KIB, "steady"),
        (12, 64, "steady"),
    ],
)
def test_few_rounds_tell_large_growth_only(
    rounds: int, per_round_bytes: int, kind: GrowthKind
) -> None:
    """What may be chance in few points must be large."""
    assert of(lambda one: per_round_bytes * one, range(rounds + 1)).kind == kind


def test_few_rounds_after_a_large_first_one() -> None:
    """What comes with the first of three rounds is a first use, and the rest may be, too."""
    assert of(lambda one: 5 * MIB * bool(one) + 100 * KIB * one, range(4)).kind == "fading"


def test_the_footprint_counts_in_pages() -> None:
    """A few pages over many rounds are no growth of it."""
    assert of(lambda one: 128 * one, noise=OF_FOOTPRINT).kind == "none"
    assert of(lambda one: 4096 * one, noise=OF_FOOTPRINT).kind == "steady"


STEADY = Growth("steady", 64, 64, 10, 6400)


@pytest.mark.parametrize(
    ("found", "rounds", "points", "certain"),
    [
        (STEADY, 150, 20, True),
        (STEADY, 149, 20, False),
        (STEADY, 150, 11, False),
        (Growth("steady", 64, 0, 10, 6400), 150, 20, False),
        (Growth("fading", 64, 64, 10, 6400), 150, 20, False),
        (Growth("steady", 64, 64, 10, 256 * MIB), 12, 12, True),
        (Growth("steady", 64, 64, 10, 256 * MIB), 11, 11, False),
    ],
)
def test_a_leak_is_certain_late(found: Growth, rounds: int, points: int, *, certain: bool) -> None:
    """After three quarters of the rounds, unless it would take the machine with it."""
    assert is_certain_of_leak(found, 0, rounds=rounds, asked=200, points=points) is certain


@pytest.mark.parametrize(
    ("found", "noise", "rounds", "points", "certain"),
    [
        (Growth("none", 0, 0, 10, 0), OF_LIVE_BYTES, 100, 12, True),
        (Growth("none", 0, 0, 10, 0), OF_LIVE_BYTES, 99, 12, False),
        (Growth("none", 0, 0, 10, 0), OF_LIVE_BYTES, 100, 11, False),
        (Growth("none", 1, 0, 10, 0), OF_LIVE_BYTES, 100, 12, False),
        (Growth("one-time", 0, 0, 10, 0), OF_LIVE_BYTES, 100, 12, True),
        (Growth("fading", 0, 0, 10, 0), OF_LIVE_BYTES, 100, 12, False),
        (Growth("none", 300, 0, 10, 0), OF_FOOTPRINT, 100, 12, True),
        (Growth("none", 330, 0, 10, 0), OF_FOOTPRINT, 100, 12, False),
    ],
)
def test_that_nothing_grows_is_certain_earlier(
    found: Growth, noise: Noise, rounds: int, points: int, *, certain: bool
) -> None:
    """After half of the rounds, where it has not grown in them."""
    told = is_certain_of_none(found, 0, noise, rounds=rounds, asked=200, points=points)

    assert told is certain
