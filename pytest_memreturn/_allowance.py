"""What may stay after a window, in bytes, and why; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import KIB, MIB, format_size

if TYPE_CHECKING:
    from pytest_memreturn._settings import Limits, Recorded

# A share of a small peak would be finer than the readings are: 200 empty tests in a row each
# moved the footprint by up to 16 KiB, a page or four at a time. An explicit size knows no such
# floor.
SHARE_FLOOR_BYTES = 64 * KIB

# pytest keeps 3 KB of reports for every test, so that a process in which nothing else grows
# collects once in 350 tests, and reads its layout once in 90. The tests of attrs, which make
# classes, and with them cycles, grow by 20 MiB together: half as much garbage would cost them a
# fifth of their time.
_MOST_GARBAGE_BYTES = 1 * MIB
_MOST_DRIFT_BYTES = 256 * KIB
_MOST_FREE_BYTES = 128 * KIB
_MOST_YOUNG_GARBAGE_BYTES = 64 * KIB
_GARBAGE_SHARE, _DRIFT_SHARE, _FREE_SHARE, _YOUNG_SHARE = 2, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Tolerated:
    """What need not be looked at anew before a window, in bytes; with 0 everything is.

    `garbage_bytes`: so much may be garbage; a window that gives it back keeps as much unseen.
    `young_garbage_bytes` of it may be among objects that have not been looked at since they were
    made. `free_bytes`: so much may be free and still held by allocators. `drift_bytes`: so much
    may have moved since the layout was read, from which a ledger starts; it is among what the
    ledger leaves unexplained.
    """

    garbage_bytes: int = 0
    drift_bytes: int = 0
    young_garbage_bytes: int = 0
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many bytes a window may retain, and where that number came from.

    `reserve_bytes` is the part of it that was granted on top. `recorded_bytes` is what a ratchet
    file has, where the number came from there.
    """

    allowed_bytes: int
    origin: str
    reserve_bytes: int = 0
    recorded_bytes: int | None = None


def with_reserve(default: Allowance, reserve_bytes: int) -> Allowance:
    """The default allowance and what allocators keep for themselves as working stock.

    Only the default is raised: who names a number gets that number.
    """
    if reserve_bytes <= 0:
        return default
    return Allowance(
        default.allowed_bytes + reserve_bytes,
        f"{default.origin} + {format_size(reserve_bytes)} allocator reserve",
        reserve_bytes,
    )


def with_filled_up(found: Allowance, filled_bytes: int) -> Allowance:
    """Any allowance, and what huge pages alone made resident: no test has taken it."""
    if filled_bytes <= 0:
        return found
    return Allowance(
        found.allowed_bytes + filled_bytes,
        f"{found.origin} + {format_size(filled_bytes)} filled up by huge pages",
        found.reserve_bytes + filled_bytes,
        found.recorded_bytes,
    )


def with_recorded(found: Allowance, recorded: Recorded | None) -> Allowance:
    """What was recorded and its tolerance, where that is more: a ratchet never tightens."""
    if recorded is None:
        return found
    allowed_bytes = recorded.retained_bytes + recorded.tolerance_bytes
    if allowed_bytes <= found.allowed_bytes:
        return found
    return Allowance(
        allowed_bytes,
        f"recorded {format_size(recorded.retained_bytes)} in {recorded.file} + "
        f"{format_size(recorded.tolerance_bytes)} tolerance",
        recorded_bytes=recorded.retained_bytes,
    )


def tolerated(limits: Limits) -> Tolerated:
    """What need not be looked at anew for windows with these limits: a share of what may stay."""
    may_stay = limits.max_retained_bytes.value if limits.max_retained_bytes else SHARE_FLOOR_BYTES
    if limits.min_returned is not None:
        # What a share comes to, only the peak will tell.
        may_stay = min(may_stay, SHARE_FLOOR_BYTES)
    return Tolerated(
        min(may_stay // _GARBAGE_SHARE, _MOST_GARBAGE_BYTES),
        min(may_stay // _DRIFT_SHARE, _MOST_DRIFT_BYTES),
        min(may_stay // _YOUNG_SHARE, _MOST_YOUNG_GARBAGE_BYTES),
        min(may_stay // _FREE_SHARE, _MOST_FREE_BYTES),
    )


def allowance(limits: Limits, peak_growth_bytes: int) -> Allowance:
    """The narrowest of the limits, given how far the window grew at its peak."""
    found = []
    if limits.max_retained_bytes is not None:
        size = limits.max_retained_bytes
        found.append(Allowance(size.value, size.origin))
    if limits.min_returned is not None:
        share = limits.min_returned
        may_stay = int((1 - share.value) * max(0, peak_growth_bytes))
        origin = f"{share.origin}: {float(share.value * 100):g} % of the peak growth returned"
        if may_stay < SHARE_FLOOR_BYTES:
            origin += f", and never less than {format_size(SHARE_FLOOR_BYTES)}"
        found.append(Allowance(max(may_stay, SHARE_FLOOR_BYTES), origin))
    return min(found, key=lambda one: one.allowed_bytes)
