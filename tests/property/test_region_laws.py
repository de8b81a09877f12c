"""Laws of regions: joining loses nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from pytest_memreturn._explanation import PooledArenas, Region, RegionKind
from pytest_memreturn._regions import few, joined
from pytest_memreturn.report.strip import arena_strip, heap_strip

STRETCHES = st.lists(
    st.tuples(st.sampled_from(get_args(RegionKind)), st.integers(1, 2**32)), max_size=40
)


def laid_out(stretches: list[tuple[RegionKind, int]]) -> list[Region]:
    """Stretches one behind the other."""
    found, at = [], 4096
    for kind, size in stretches:
        found.append(Region("main heap", kind, at, size, size if kind == "live" else 0))
        at += size
    return found


@given(STRETCHES, st.integers(1, 2**33), st.integers(1, 9))
def test_joining_loses_nothing(
    stretches: list[tuple[RegionKind, int]], least_bytes: int, at_most: int
) -> None:
    """Every byte stays in its place, live or not, however few regions there are."""
    regions = laid_out(stretches)
    for found in (joined(regions, least_bytes), few(regions, at_most)):
        assert sum(one.bytes for one in found) == sum(one.bytes for one in regions)
        assert sum(one.live_bytes for one in found) == sum(one.live_bytes for one in regions)
        assert all(one.address + one.bytes == other.address for one, other in pairwise(found))
        assert not regions or found[0].address == regions[0].address
    assert len(few(regions, at_most)) <= at_most
    in_groups = joined(regions, least_bytes)
    assert all(one.kind != other.kind for one, other in pairwise(in_groups))
    assert len(in_groups) <= 1 or all(one.bytes >= least_bytes for one in in_groups)


@given(STRETCHES.filter(bool), st.integers(20, 200))
@example([("returned", 2**34), ("live", 2**34), ("returned", 2**34)], 52)
def test_a_strip_fits(stretches: list[tuple[RegionKind, int]], columns: int) -> None:
    """Into the columns that it is given, and names every region that it shows."""
    drawn = heap_strip(laid_out(stretches), columns)
    assert len(drawn) <= columns
    assert drawn.startswith("|")
    assert drawn.endswith("|")


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=300), st.integers(40, 200))
def test_a_strip_of_arenas_fits(live_bytes: list[int], columns: int) -> None:
    """One mark for an arena, or for several."""
    drawn = arena_strip(PooledArenas(2**20, tuple(live_bytes)), columns)
    assert len(drawn) <= columns
    assert drawn.count("|") == 2
