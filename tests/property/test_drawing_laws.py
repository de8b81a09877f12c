"""Laws of drawings: nothing lies outside its room, and nothing overlaps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._record import Record
from pytest_memreturn.report.drawings.stacked_bar import stacked_bar
from pytest_memreturn.report.drawings.waterfall import waterfall

SIZES = st.integers(0, 2**45)
GROWTHS = st.integers(-(2**45), 2**45)
# Positions are rounded to a thousandth of a percent, twice.
CLOSE = 0.01


@given(st.dictionaries(st.text(max_size=9), GROWTHS, max_size=12))
def test_segments_fill_the_room_side_by_side(ledger: dict[str, int]) -> None:
    """Every account that moved has its place, and together they leave no gap."""
    found = stacked_bar(ledger)
    assert {one.account for one in found.segments} == {
        name for name, size in ledger.items() if size
    }
    placed = sorted(found.segments, key=lambda one: (one.left, one.left + one.width))
    for one, following in pairwise(placed):
        assert one.left + one.width == pytest.approx(following.left, abs=CLOSE)
    if placed:
        assert placed[0].left == pytest.approx(0, abs=CLOSE)
        assert placed[-1].left + placed[-1].width == pytest.approx(100, abs=CLOSE)
    for one in found.segments:
        if one.bytes < 0:
            assert one.left + one.width <= found.zero + CLOSE
        else:
            assert one.left >= found.zero - CLOSE


@given(SIZES, SIZES, SIZES, st.none() | SIZES, st.none() | SIZES, SIZES)
def test_bars_stay_in_their_room(  # noqa: PLR0913, PLR0917 - the readings of a record
    baseline: int, peak: int, end: int, collect: int | None, trim: int | None, allowed: int
) -> None:
    """Whatever was read, a step's bars begin at the left and follow each other."""
    readings = {"baseline": baseline, "end": end, "collect": collect, "trim": trim}
    record = Record(
        "t", "returned", "collect", peak_growth_bytes=peak, allowed_bytes=allowed, readings=readings
    )
    found = waterfall(record)
    assert found is not None
    assert sum(one.is_gate for one in found.steps) == 1
    for step in found.steps:
        for bar in step.bars:
            assert bar.left >= 0
            assert bar.left + bar.width <= 100 + CLOSE
        for one, following in pairwise(step.bars):
            assert one.left + one.width == pytest.approx(following.left, abs=CLOSE)
