"""Closing the books on a window: the ledger at its gate."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import FREE
from pytest_memreturn._ledger import close_ledger
from pytest_memreturn._ranges import grown_ranges

if TYPE_CHECKING:
    from pytest_memreturn._instruments import FullReading, Instruments
    from pytest_memreturn._ledger import Ledger
    from pytest_memreturn._snapshot import Snapshot


NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a window that does not count: from one full reading to another."""

    before: FullReading
    after: FullReading

    def footprint_bytes(self) -> int:
        """How far the footprint grew in it."""
        return self.after.footprint_bytes() - self.before.footprint_bytes()

    def growth_by_allocator(self) -> dict[str, tuple[int, int]]:
        """How much more each allocator had handed out after it, and how much more was free."""
        before = {one.name: one for one in self.before.allocators}
        return {
            one.name: (
                one.live_bytes - (before[one.name].live_bytes if one.name in before else 0),
                one.free_bytes - (before[one.name].free_bytes if one.name in before else 0),
            )
            for one in self.after.allocators
            if one.counts
        }


@dataclass(frozen=True, slots=True)
class Stock:
    """A window's ledger at its gate, and the snapshots it was closed between."""

    before: Snapshot
    at_gate: Snapshot
    ledger: Ledger

    def reserve_bytes(self) -> int:
        """How much of the growth is free memory that allocators keep as working stock."""
        return sum(
            max(0, min(one.reserve_bytes, self.ledger.accounts.get(one.name + FREE, 0)))
            for one in self.at_gate.allocators
        )


def take_stock(
    before: FullReading,
    at_gate: FullReading,
    excluded: Sequence[Span],
    given_back: Mapping[str, int] = NOTHING,
) -> Stock:
    """The ledger between two readings, less what grew in the spans that don't count."""
    first, last = before.snapshot(), at_gate.snapshot()
    ledger = close_ledger(first, last, given_back=given_back)
    for span in excluded:
        inside = span.before.snapshot(), span.after.snapshot()
        ledger = ledger.less(close_ledger(*inside, given_back=given_back))
    return Stock(first, last, ledger)


def filled_up_bytes(instruments: Instruments, stock: Stock, excluded: Sequence[Span] = ()) -> int:
    """At most so much of the growth is free memory of malloc's that only huge pages brought.

    What no account has given back may be as old as the layout, and with it what came in its place.
    """
    known = with_excluded(stock.before, excluded)
    free_growth = stock.ledger.accounts.get("malloc" + FREE, 0)
    free_growth += min(0, stock.ledger.unexplained_bytes)
    filled = 0
    if free_growth > 0:
        with contextlib.suppress(Exception):
            filled = instruments.examiner.filled_up_bytes(known, stock.at_gate)
    return max(0, min(filled, free_growth))


def with_excluded(before: Snapshot, excluded: Sequence[Span]) -> Snapshot:
    """`before`, as if what came in the excluded spans had been there already."""
    if not excluded:
        return before
    ranges, huge_page_bytes = list(before.ranges), before.huge_page_bytes
    for span in excluded:
        first, last = span.before.snapshot(), span.after.snapshot()
        ranges += grown_ranges(first.ranges, last.ranges)
        if huge_page_bytes is not None:
            huge_page_bytes += (last.huge_page_bytes or 0) - (first.huge_page_bytes or 0)
    return dataclasses.replace(before, ranges=tuple(ranges), huge_page_bytes=huge_page_bytes)
