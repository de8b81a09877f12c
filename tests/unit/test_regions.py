"""Stretches of a heap, joined."""

from __future__ import annotations

import pytest

from pytest_memreturn._explanation import Region, RegionKind
from pytest_memreturn._regions import few, joined


def laid_out(*stretches: tuple[RegionKind, int]) -> list[Region]:
    """Stretches one behind the other."""
    found, at = [], 1000
    for kind, size in stretches:
        found.append(Region("main heap", kind, at, size, size if kind == "live" else 0))
        at += size
    return found


def plain(regions: list[Region]) -> list[tuple[str, int, int]]:
    """Kind, bytes, and live bytes of each."""
    return [(one.kind, one.bytes, one.live_bytes) for one in regions]


def test_neighbours_of_one_kind_are_one() -> None:
    """And what is large enough stands alone."""
    found = joined(laid_out(("live", 5), ("live", 6), ("free", 7), ("returned", 8)), 5)
    assert plain(found) == [("live", 11, 11), ("free", 7, 0), ("returned", 8, 0)]
    assert [one.address for one in found] == [1000, 1011, 1018]


def test_small_stretches_are_called_what_most_of_them_are() -> None:
    """Together they are a region as soon as they are large enough."""
    found = joined(laid_out(("live", 1), ("free", 4), ("live", 1), ("free", 4), ("live", 100)), 10)
    assert plain(found) == [("free", 10, 2), ("live", 100, 100)]


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        pytest.param([("live", 100), ("free", 3)], [("live", 103, 100)], id="at the end"),
        pytest.param([("free", 3), ("live", 100)], [("live", 103, 100)], id="at the beginning"),
        pytest.param(
            [("live", 100), ("free", 3), ("returned", 100)],
            [("live", 103, 100), ("returned", 100, 0)],
            id="between",
        ),
        pytest.param([("free", 3)], [("free", 3, 0)], id="alone"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_what_stays_too_small_goes_with_its_neighbour(
    stretches: list[tuple[RegionKind, int]], expected: list[tuple[str, int, int]]
) -> None:
    """No byte is lost."""
    assert plain(joined(laid_out(*stretches), 10)) == expected


def test_the_smallest_goes_first() -> None:
    """What is left is what an eye would see."""
    picture = laid_out(
        ("live", 100), ("free", 490), ("live", 10), ("free", 2), ("live", 1), ("free", 488)
    )
    assert plain(few(picture, 4)) == [
        ("live", 100, 100),
        ("free", 490, 0),
        ("live", 10, 10),
        ("free", 491, 1),
    ]
    assert plain(few(picture, 1)) == [("free", 1091, 111)]
    assert few(picture, 6) == picture
