"""Memory beyond the process, as data."""

from __future__ import annotations

import pytest

from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment


def child(pid: int, size: int) -> ChildProcess:
    """A child with so many bytes of its own."""
    return ChildProcess(pid, "python", "python -m server", size)


SEGMENT = Segment("shm", "psm_1", size_bytes=100, counted_bytes=60, owner="root")
FULL = Outside((child(1, 10), child(2, 20)), (SEGMENT, SEGMENT), {"gpu": 5, "server": -2}, {"x": 9})


def test_everything_that_counts_sums_to_the_footprint() -> None:
    """Of a segment only what the process's own readings lack; what is only shown does not count."""
    assert FULL.children_bytes == 30
    assert FULL.segments_bytes == 120
    assert FULL.footprint_bytes == 30 + 120 + 3


def test_nothing_outside_is_nothing() -> None:
    """And equals whatever else is nothing."""
    assert Outside() == NOTHING_OUTSIDE
    assert NOTHING_OUTSIDE.footprint_bytes == 0


@pytest.mark.parametrize(
    ("now", "still_there"),
    [
        pytest.param((child(1, 10), child(2, 20)), (child(1, 10), child(2, 20)), id="the same"),
        pytest.param((), (), id="all ended"),
        pytest.param((child(2, 20),), (child(2, 20),), id="one ended"),
        pytest.param((child(1, 99), child(2, 20)), (child(1, 10), child(2, 20)), id="one grew"),
        pytest.param((child(1, 4), child(2, 20)), (child(1, 4), child(2, 20)), id="one shrank"),
        pytest.param((child(3, 50), child(1, 10)), (child(1, 10),), id="another one came"),
    ],
)
def test_what_is_still_there_is_no_larger_than_it_was(
    now: tuple[ChildProcess, ...], still_there: tuple[ChildProcess, ...]
) -> None:
    """A window is not charged for what its children took after it, nor for children since."""
    assert FULL.still_there(Outside(now)).children == still_there


def test_what_else_is_there_is_what_is_there_now() -> None:
    """A segment that was removed meanwhile is gone, and accounts are read anew."""
    now = Outside((), (SEGMENT,), {"gpu": 1}, {"x": 2})
    found = FULL.still_there(now)
    assert (found.segments, found.accounts, found.shown) == ((SEGMENT,), {"gpu": 1}, {"x": 2})
