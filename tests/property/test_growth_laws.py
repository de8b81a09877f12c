"""What holds for growth from round to round, whatever the figures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._growth import OF_LIVE_BYTES, growth

FIGURES = st.lists(st.integers(0, 2**40), min_size=2, max_size=24)


@given(FIGURES)
def test_any_series_has_a_kind(figures: list[int]) -> None:
    """And its lower bound is no more than its slope."""
    found = growth(range(len(figures)), figures, OF_LIVE_BYTES)

    assert found.least_bytes <= found.per_round_bytes
    assert found.whole_bytes == figures[-1] - figures[0]
    assert found.exceeds(0) == (found.kind == "steady" and found.least_bytes > 0)


@given(FIGURES, st.integers(1, 2**30))
def test_only_differences_count(figures: list[int], more_bytes: int) -> None:
    """A process that was larger from the beginning is judged the same."""
    rounds = range(len(figures))

    assert growth(rounds, [one + more_bytes for one in figures], OF_LIVE_BYTES) == growth(
        rounds, figures, OF_LIVE_BYTES
    )


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=24).map(lambda one: sorted(one)[::-1]))
def test_what_never_rises_is_no_leak(figures: list[int]) -> None:
    """Whatever it gives back."""
    assert not growth(range(len(figures)), figures, OF_LIVE_BYTES).exceeds(0)


@given(
    st.integers(12, 24),
    st.integers(16, 2**20),
    st.lists(st.integers(0, 7), min_size=24, max_size=24),
    st.integers(0, 2**30),
)
def test_a_leak_above_the_noise_is_found(
    rounds: int, per_round_bytes: int, noise: list[int], first_bytes: int
) -> None:
    """Whatever the first round brings."""
    figures = [
        first_bytes * bool(number) + per_round_bytes * number + noise[number]
        for number in range(rounds)
    ]

    found = growth(range(rounds), figures, OF_LIVE_BYTES)

    assert found.exceeds(0)
    assert abs(found.per_round_bytes - per_round_bytes) <= 8


@given(st.lists(st.integers(0, 2**20), min_size=12, max_size=24), st.integers(1, 5))
def test_what_rises_a_few_times_is_no_leak(figures: list[int], rises: int) -> None:
    """However much it is, and wherever: so few steps lead nowhere that anybody knows."""
    sizes = sorted(figures)[: rises + 1]
    series = [sizes[number * len(sizes) // len(figures)] for number in range(len(figures))]

    assert not growth(range(len(series)), series, OF_LIVE_BYTES).exceeds(0)
