"""What may stay, and where that number came from."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pytest_memreturn._allowance import (
    SHARE_FLOOR_BYTES,
    Allowance,
    Tolerated,
    allowance,
    tolerated,
    with_filled_up,
    with_recorded,
    with_reserve,
)
from pytest_memreturn._settings import Limits, Recorded, Sourced
from pytest_memreturn._sizes import KIB, MIB


def limits(max_retained_bytes: int | None = None, share: Fraction | None = None) -> Limits:
    """Limits whose origins say which is which."""
    return Limits(
        None if max_retained_bytes is None else Sourced(max_retained_bytes, "a size"),
        None if share is None else Sourced(share, "a share"),
    )


@pytest.mark.parametrize("peak_growth_bytes", [0, 1, 100 * MIB])
@pytest.mark.parametrize("size_bytes", [0, 1, 10 * KIB, 2 * MIB])
def test_a_size_is_allowed_as_it_is(size_bytes: int, peak_growth_bytes: int) -> None:
    """The peak does not matter, and no floor is under it: zero means exactly zero."""
    assert allowance(limits(size_bytes), peak_growth_bytes) == Allowance(size_bytes, "a size")


@pytest.mark.parametrize(
    ("share", "peak_growth_bytes", "allowed_bytes", "percent"),
    [
        (Fraction(19, 20), 100 * MIB, 5 * MIB, "95"),
        (Fraction(0), 100 * MIB, 100 * MIB, "0"),
        (Fraction(995, 1000), 200 * MIB, MIB, "99.5"),
        (Fraction(1, 2), 2 * SHARE_FLOOR_BYTES + 3, SHARE_FLOOR_BYTES + 1, "50"),
        (Fraction(1, 2), 2 * SHARE_FLOOR_BYTES, SHARE_FLOOR_BYTES, "50"),
    ],
)
def test_a_share_of_the_peak_growth_may_stay(
    share: Fraction, peak_growth_bytes: int, allowed_bytes: int, percent: str
) -> None:
    """It is what need not come back, rounded down to whole bytes."""
    found = allowance(limits(share=share), peak_growth_bytes)
    assert found == Allowance(allowed_bytes, f"a share: {percent} % of the peak growth returned")


@pytest.mark.parametrize(
    ("share", "peak_growth_bytes", "percent"),
    [
        (Fraction(1), 100 * MIB, "100"),
        (Fraction(1, 2), 2 * SHARE_FLOOR_BYTES - 2, "50"),
        (Fraction(1, 2), 0, "50"),
        (Fraction(0), -5 * MIB, "0"),
    ],
)
def test_a_share_is_never_finer_than_the_readings(
    share: Fraction, peak_growth_bytes: int, percent: str
) -> None:
    """Less than their noise cannot be asked for, and the origin says that this is what counted."""
    found = allowance(limits(share=share), peak_growth_bytes)
    assert found.allowed_bytes == SHARE_FLOOR_BYTES == 64 * KIB
    assert found.origin == (
        f"a share: {percent} % of the peak growth returned, and never less than 64.0 KiB"
    )


@pytest.mark.parametrize(
    ("size_bytes", "allowed_bytes", "origin"),
    [
        (MIB, MIB, "a size"),
        (9 * MIB, 5 * MIB, "a share: 95 % of the peak growth returned"),
    ],
)
def test_of_a_size_and_a_share_the_narrower_counts(
    size_bytes: int, allowed_bytes: int, origin: str
) -> None:
    """Both must hold, so the message names the one that allows less."""
    found = allowance(limits(size_bytes, Fraction(19, 20)), 100 * MIB)
    assert found == Allowance(allowed_bytes, origin)


@pytest.mark.parametrize("filled_bytes", [-1, 0])
def test_where_nothing_was_filled_up_nothing_changes(filled_bytes: int) -> None:
    """Nor does a negative one take anything away."""
    found = Allowance(7, "marker")
    assert with_filled_up(found, filled_bytes) is found


@pytest.mark.parametrize(("filled_bytes", "text"), [(1, "1 B"), (3 * MIB, "3.0 MiB")])
def test_what_was_filled_up_is_added_and_said(filled_bytes: int, text: str) -> None:
    """To any allowance, and to what was granted already."""
    assert with_filled_up(Allowance(7, "marker", 2), filled_bytes) == Allowance(
        7 + filled_bytes, f"marker + {text} filled up by huge pages", 2 + filled_bytes
    )


RECORDED = Recorded(10 * MIB, MIB // 2, "m.json")


def test_what_was_recorded_is_allowed_with_its_tolerance() -> None:
    """The origin has all three: what was recorded, where, and the tolerance."""
    assert with_recorded(Allowance(2 * MIB, "default", 7), RECORDED) == Allowance(
        10 * MIB + MIB // 2,
        "recorded 10.0 MiB in m.json + 512.0 KiB tolerance",
        recorded_bytes=10 * MIB,
    )


@pytest.mark.parametrize(
    ("allowed_bytes", "counts"), [(10 * MIB + MIB // 2 - 1, True), (10 * MIB + MIB // 2, False)]
)
def test_a_record_never_tightens(allowed_bytes: int, counts: bool) -> None:
    """An allowance that is as wide, or wider, stays as it is."""
    found = Allowance(allowed_bytes, "marker")
    assert (with_recorded(found, RECORDED) is not found) == counts


def test_without_a_record_nothing_changes() -> None:
    """Neither the number nor where it came from."""
    found = Allowance(7, "marker")
    assert with_recorded(found, None) is found


def test_what_was_filled_up_comes_on_top_of_a_record() -> None:
    """It is still known what was recorded."""
    found = with_filled_up(with_recorded(Allowance(0, "marker"), RECORDED), MIB)
    assert (found.allowed_bytes, found.reserve_bytes, found.recorded_bytes) == (
        11 * MIB + MIB // 2,
        MIB,
        10 * MIB,
    )


@pytest.mark.parametrize("reserve_bytes", [-1, 0])
def test_no_reserve_changes_nothing(reserve_bytes: int) -> None:
    """Neither the number nor where it came from."""
    default = Allowance(2 * MIB, "default")
    assert with_reserve(default, reserve_bytes) is default


@pytest.mark.parametrize(("reserve_bytes", "text"), [(1, "1 B"), (3 * MIB, "3.0 MiB")])
def test_a_reserve_is_added_and_said(reserve_bytes: int, text: str) -> None:
    """The number grows by it, and its origin names it."""
    assert with_reserve(Allowance(2 * MIB, "default"), reserve_bytes) == Allowance(
        2 * MIB + reserve_bytes, f"default + {text} allocator reserve", reserve_bytes
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            limits(2 * MIB), Tolerated(MIB, 256 * KIB, 64 * KIB, 128 * KIB), id="the default"
        ),
        pytest.param(
            limits(500 * MIB),
            Tolerated(MIB, 256 * KIB, 64 * KIB, 128 * KIB),
            id="no more than that",
        ),
        pytest.param(limits(1_003), Tolerated(501, 125, 31, 62), id="a part of a size"),
        pytest.param(limits(0), Tolerated(), id="nothing where nothing may stay"),
        pytest.param(
            limits(share=Fraction(1, 2)),
            Tolerated(32 * KIB, 8 * KIB, 2 * KIB, 4 * KIB),
            id="of a share the least it comes to",
        ),
        pytest.param(
            limits(1_003, Fraction(1, 2)), Tolerated(501, 125, 31, 62), id="the narrower of two"
        ),
    ],
)
def test_what_need_not_be_looked_at_anew_follows_what_may_stay(
    found: Limits, expected: Tolerated
) -> None:
    """Whole bytes, each a part of the allowance, up to what is worth a collection or a layout."""
    assert tolerated(found) == expected
