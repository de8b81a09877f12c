"""Closing the books on a window, by readings that are made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_memreturn._books import (
    Span,
    Stock,
    filled_up_bytes,
    take_stock,
)
from pytest_memreturn._instruments import Examiner, FullReading, Instruments
from pytest_memreturn._ledger import Ledger
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside
from pytest_memreturn._release import Releaser
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, MappedRange, Snapshot
from pytest_memreturn.probes._contract import MemoryProbe
from pytest_memreturn.testing import Script, ScriptedProbe


def reading(
    anonymous: int,
    *allocators: AllocatorStatistics,
    outside: Outside = NOTHING_OUTSIDE,
    ranges: Sequence[MappedRange] = (),
) -> FullReading:
    """A full reading of a process with anonymous memory alone."""
    found = Snapshot(
        anonymous,
        anonymous,
        kinds={"anonymous": KindUsage(anonymous, anonymous)},
        ranges=tuple(ranges),
    )
    return FullReading(ScriptedProbe([Script(found)]).capture(), allocators, outside)


def pool(live: int, held: int | None, reserve: int = 0, name: str = "pool") -> AllocatorStatistics:
    """An allocator of anonymous memory."""
    return AllocatorStatistics(name, live, held, reserve_bytes=reserve)


# -- taking stock --


def test_a_stock_is_a_ledger_with_what_it_was_closed_between() -> None:
    """The growth from the one reading to the other."""
    before, at_gate = reading(1000), reading(1500)
    stock = take_stock(before, at_gate, [])
    assert (stock.before, stock.at_gate) == (before.snapshot(), at_gate.snapshot())
    assert stock.ledger.growth_bytes == stock.ledger.accounts["mapped"] == 500


def test_what_grew_in_excluded_spans_is_taken_off() -> None:
    """Each of them; the snapshots stay as they were read."""
    spans = [Span(reading(1000), reading(1300)), Span(reading(1400), reading(1350))]
    assert [span.footprint_bytes() for span in spans] == [300, -50]
    stock = take_stock(reading(1000), reading(2000), spans)
    assert stock.ledger.growth_bytes == stock.ledger.accounts["mapped"] == 750
    assert stock.at_gate.footprint_bytes == 2000


def test_a_child_that_was_started_in_a_span_is_a_part_of_it() -> None:
    """Its footprint counts there as it does in the window."""
    with_child = Outside((ChildProcess(7, "x", "x", 70),))
    span = Span(reading(1000), reading(1000, outside=with_child))
    assert span.footprint_bytes() == 70
    stock = take_stock(reading(1000), reading(1000, outside=with_child), [span])
    assert stock.ledger.accounts["children"] == 0
    assert stock.ledger.growth_bytes == 0


def test_what_was_given_back_goes_into_the_ledger() -> None:
    """For an allocator that does not say what it holds."""
    before, at_gate = reading(1000, pool(0, None)), reading(1500, pool(100, None))
    stock = take_stock(before, at_gate, [], {"pool": 300})
    assert stock.ledger.accounts["pool-free"] == 300
    assert take_stock(before, at_gate, []).ledger.accounts["pool-free"] == 0


def test_what_was_given_back_is_free_in_a_span_as_well() -> None:
    """A fixture's part of it is not the test's."""
    span = Span(reading(1000, pool(0, None)), reading(1300, pool(0, None)))
    stock = take_stock(span.before, span.after, [span], {"pool": 300})
    assert stock.ledger.growth_bytes == 0
    assert set(stock.ledger.accounts.values()) == {0}


@dataclass
class LooksForHugePages(Examiner):
    """Notes between what it shall look for pages that were filled up."""

    asked: list[tuple[int | None, tuple[MappedRange, ...]]] = field(default_factory=list)

    def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
        """All there is."""
        del after
        self.asked.append((before.huge_page_bytes, before.ranges))
        return 9999


@pytest.mark.parametrize(("old", "known"), [(100, 150), (None, None)])
def test_what_huge_pages_filled_up_in_a_span_is_old(old: int | None, known: int | None) -> None:
    """No more is let pass for it, and it is looked for beside the span's own ranges alone."""

    def heap(held: int, huge: int | None, *ranges: MappedRange) -> FullReading:
        found = reading(held, pool(0, held, name="malloc"), ranges=ranges).snapshot()
        probe = ScriptedProbe([Script(replace(found, huge_page_bytes=huge))])
        return FullReading(probe.capture(), found.allocators, NOTHING_OUTSIDE)

    one, two = MappedRange(10, 20, "heap", 10), MappedRange(20, 30, "heap", 10)
    before, after = heap(1000, old, one), heap(1800, 400, one, two)
    span = Span(heap(1000, 200, one), heap(1500, 250, one, two))
    looks = LooksForHugePages()
    memory: MemoryProbe = ScriptedProbe([Script(0)])
    instruments = Instruments(memory, releaser=Releaser(collect=lambda: None), examiner=looks)
    assert filled_up_bytes(instruments, take_stock(before, after, [span]), [span]) == 300
    assert looks.asked == [(known, (one, two))]


def test_what_came_while_as_much_went_unexplained_is_not_let_pass() -> None:
    """Both are likely older than the window, as a layout may be."""
    snapshot = reading(1000).snapshot()
    memory: MemoryProbe = ScriptedProbe([Script(0)])
    instruments = Instruments(memory, examiner=LooksForHugePages())

    def filled(growth_bytes: int) -> int:
        ledger = Ledger(growth_bytes, {"malloc-live": 300, "malloc-free": 500})
        return filled_up_bytes(instruments, Stock(snapshot, snapshot, ledger))

    assert [filled(growth) for growth in (900, 800, 700, 300, 200)] == [500, 500, 400, 0, 0]


@pytest.mark.parametrize(
    ("live", "held", "reserve", "reserve_bytes"),
    [
        pytest.param(0, 1300, 500, 300, id="less than it may keep"),
        pytest.param(0, 1900, 500, 500, id="more than it may keep"),
        pytest.param(300, 1300, 500, 0, id="all of it is live"),
        pytest.param(0, 1300, 0, 0, id="it keeps no stock"),
        pytest.param(900, 1000, 500, 0, id="room shrank"),
        pytest.param(0, None, 500, 0, id="untold"),
    ],
)
def test_the_reserve_is_the_growth_of_free_memory_up_to_a_stock(
    live: int, held: int | None, reserve: int, reserve_bytes: int
) -> None:
    """Live memory is none, and nobody is granted more than what stayed."""
    first = pool(0, None if held is None else 1000, reserve)
    before = reading(1000, first)
    at_gate = reading(held or 1300, replace(first, live_bytes=live, held_bytes=held))
    assert take_stock(before, at_gate, []).reserve_bytes() == reserve_bytes


def test_an_allocator_without_an_account_has_no_reserve() -> None:
    """A silent one cannot be compared."""
    silent = replace(pool(0, 0, 500), is_silent=True)
    assert take_stock(reading(1000, silent), reading(2000, silent), []).reserve_bytes() == 0


# -- explaining --
