"""What may stay after a window, in bytes, and why; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import KIB, format_size

if TYPE_CHECKING:
    from pytest_memreturn._settings import Limits

# A share of a small peak would be finer than the readings are: 200 empty tests in a row each
# moved the footprint by up to 16 KiB, a page or four at a time. An explicit size knows no such
# floor: zero means exactly zero.
SHARE_FLOOR_BYTES = 64 * KIB


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many bytes a window may retain, and where that number came from.

    `reserve_bytes` is the part of it that was granted over the default.
    """

    allowed_bytes: int
    origin: str
    reserve_bytes: int = 0


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
