"""What the HTML report shows of a test that retained, beyond its row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._explanation import Explanation
from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.advice import advice_lines
from pytest_memreturn.report.drawings.curve import Curve, curve
from pytest_memreturn.report.drawings.stacked_bar import StackedBar, stacked_bar
from pytest_memreturn.report.drawings.stretches import (
    ArenaColumn,
    HeapStrip,
    arena_columns,
    heap_strips,
)
from pytest_memreturn.report.drawings.waterfall import Waterfall, waterfall
from pytest_memreturn.report.message import cause_of, render_message
from pytest_memreturn.report.printable import NO_BREAK
from pytest_memreturn.report.rounds import rounds_in_words

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


# A heap for each thread: so many are drawn, those with most that is free.
_HEAPS = 6


@dataclass(frozen=True, slots=True)
class Cause:
    """A share of what was retained, and what it means in words."""

    slug: str
    bytes: int
    words: str


@dataclass(frozen=True, slots=True)
class Details:
    """One record with its drawings; what it has nothing of is ``None`` or empty."""

    record: Record
    found: Explanation
    causes: tuple[Cause, ...]
    advice: tuple[str, ...]
    notes: tuple[str, ...]
    waterfall: Waterfall | None
    ledger: Mapping[str, int]
    bar: StackedBar
    heaps: tuple[HeapStrip, ...]
    more_heaps: int
    arenas: tuple[ArenaColumn, ...]
    curve: Curve | None
    message: str


def details(record: Record) -> Details:
    """All that there is to show of a record that retained."""
    found = record.explanation or Explanation()
    ledger = record.ledger or {}
    heap = found.heap
    arenas = None if heap is None else heap.arenas
    strips = [] if heap is None else list(heap_strips(heap.regions))
    drawn = sorted(strips, key=lambda one: -one.free_bytes)[:_HEAPS]
    return Details(
        record,
        found,
        tuple(
            Cause(slug, size, cause_of(record, slug, size))
            for slug, size in (record.causes or {}).items()
        ),
        # Nothing is folded by hand here.
        tuple(line.replace(NO_BREAK, " ") for line in advice_lines(record, found)),
        tuple(_notes(record, found)),
        waterfall(record),
        ledger,
        stacked_bar(ledger),
        tuple(strip for strip in strips if strip in drawn),
        len(strips) - len(drawn),
        () if arenas is None else tuple(arena_columns(arenas)),
        curve(found.timeline),
        "\n".join(render_message(record)),
    )


def _left_out(record: Record) -> Iterator[str]:
    for fixture in record.excluded:
        size = format_size(fixture.bytes)
        name = f"{fixture.scope} fixture {fixture.fixture}"
        yield f"{size} of {name}, first set up here, are left out"
    if record.examined_bytes:
        size = format_size(record.examined_bytes)
        yield f"{size} that it took to look closer inside this window are left out"


def _notes(record: Record, found: Explanation) -> Iterator[str]:
    """What a reader has to know to understand the figures."""
    if record.hidden_bytes:
        hidden = format_size(record.hidden_bytes)
        yield f"{hidden} of it fills memory that was free, and resident, before the test"
    if record.reserve_bytes:
        yield f"{format_size(record.reserve_bytes)} of what is allowed came on top as a reserve"
    yield from _left_out(record)
    if record.rounds is not None:
        yield f"rounds: {rounds_in_words(record.rounds)}".replace(NO_BREAK, " ")
    if record.settled_seconds:
        yield f"the footprint went on falling by itself for {record.settled_seconds:.1f} s"
    if record.drift_bytes:
        drift = format_size(record.drift_bytes, sign=True)
        yield f"drift: {drift} before the test, since the layout that the accounts start from"
    if found.one_time:
        yield "it is kept on first use: a second call in the same process keeps no more"
    if found.unwritten_huge_page_bytes:
        size = format_size(found.unwritten_huge_page_bytes)
        yield f"{size} holds only zeros, and is resident for being in huge pages"
    for held in found.held_by_pytest:
        yield f"pytest itself keeps {held.count:,} {held.what}: about {format_size(held.bytes)}"
    yield from found.incomplete
