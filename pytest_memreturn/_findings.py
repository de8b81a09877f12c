"""Who has what a window retained: evidence from before a trim, after it, and from a census."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import FREE, LIVE
from pytest_memreturn._books import NOTHING, take_stock, with_excluded
from pytest_memreturn._explanation import AllocatorGrowth, Explanation, MappingChange, Survivors
from pytest_memreturn._free_parts import split_free
from pytest_memreturn._instruments import HeapSurvey
from pytest_memreturn._verdict import find_causes, python_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_memreturn._books import Span, Stock
    from pytest_memreturn._explanation import Holding, Pin
    from pytest_memreturn._instruments import FullReading, Instruments
    from pytest_memreturn._snapshot import AllocatorStatistics, MappingKind, Snapshot
    from pytest_memreturn._verdict import Causes

# The heaps are looked into where allocators have at least one part in so many of what was retained.
_WORTH_A_LOOK = 10

_PARTIAL = "survivors are partial: there are too many objects to look at all of them in time"


@dataclass(frozen=True, slots=True)
class Findings:
    """Who has what a window retained. `after_trim_bytes`: the footprint once all were asked."""

    stock: Stock
    causes: Causes
    explanation: Explanation
    after_trim_bytes: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a window that retained was found to be, before anybody looked closer.

    `released`: what every allocator gave back when it was asked before the gate; ``None`` if none
    has been asked yet. `newborn`: the objects that were new when the window ended, where somebody
    looked. `filled_up_bytes`: as `filled_up_bytes` finds them, before a trim gives them back.
    """

    before: FullReading
    at_gate: FullReading
    excluded: Sequence[Span]
    newborn: Survivors
    released: Mapping[str, int] | None
    filled_up_bytes: int = 0


def explain(
    instruments: Instruments,
    evidence: Evidence,
    read_after_trim: Callable[[], tuple[Mapping[str, int], FullReading]],
) -> Findings:
    """Find out who has the memory; `read_after_trim` asks the allocators, if nobody has yet.

    The verdict stands, whether anybody can look or not: what fails here is left out.
    """
    before, at_gate, excluded = evidence.before, evidence.at_gate, evidence.excluded
    unwritten: int | None = None
    survey = HeapSurvey()
    now = at_gate.snapshot()
    # Before a trim takes away what is to be seen.
    instruments.progress("looks into the heaps")
    with contextlib.suppress(Exception):
        survey = _survey(instruments, take_stock(before, at_gate, excluded), now)
    with contextlib.suppress(Exception):
        unwritten = instruments.examiner.unwritten_huge_page_bytes(
            with_excluded(before.snapshot(), excluded), now
        )
    released, given_back, trimmed = evidence.released, NOTHING, at_gate
    if released is None:
        with contextlib.suppress(Exception):
            given_back, trimmed = read_after_trim()
            released = given_back
    trim_is_known = released is not None
    stock = take_stock(before, at_gate, excluded, given_back)
    parts = dict(stock.ledger.parts)
    if trim_is_known:
        after_trim = take_stock(before, trimmed, excluded).ledger
        tops = _top_growth_bytes(before, trimmed, excluded)
        parts |= split_free(stock.ledger, after_trim, tops)
    instruments.progress("looks for what survived")
    held_by_pytest: tuple[Holding, ...] = ()
    tracers: tuple[str, ...] = ()
    with contextlib.suppress(Exception):
        tracers = instruments.examiner.tracers()
    with contextlib.suppress(Exception):
        held_by_pytest = instruments.examiner.held_by_pytest()
    survivors, in_malloc_bytes = Survivors(), None
    at_first_sight = find_causes(
        stock.ledger,
        parts,
        python_in_malloc_bytes=None,
        filled_up_bytes=evidence.filled_up_bytes,
    )
    is_clear = trim_is_known and at_first_sight.is_clear_without_survivors
    if stock.ledger.hidden_bytes or not is_clear:
        # Last, since it disturbs most; and 1 s for 600,000 objects is dear where it tells nothing.
        survivors, in_malloc_bytes = _survivors(instruments, stock, evidence)
    if in_malloc_bytes is not None:
        # Python's as well, though a text that is still being written belongs to no object.
        in_malloc_bytes = max(in_malloc_bytes, sum(one.bytes for one in held_by_pytest))
    causes = find_causes(
        stock.ledger,
        parts,
        python_in_malloc_bytes=in_malloc_bytes,
        census_is_whole=survivors.is_whole,
        filled_up_bytes=evidence.filled_up_bytes,
    )
    pins: tuple[Pin, ...] = ()
    instruments.progress("looks for what pins free memory")
    with contextlib.suppress(Exception):
        pins = instruments.examiner.pins(survey, causes.listed)
    with contextlib.suppress(Exception):
        # The census had millions of small numbers in hand; a window around this one must not
        # find them free inside malloc.
        instruments.releaser.trim()
    instruments.progress("")
    return Findings(
        stock,
        causes,
        Explanation(
            parts=parts,
            released=released or {},
            survivors=survivors.types,
            children=at_gate.outside.children,
            segments=at_gate.outside.segments,
            held_by_pytest=held_by_pytest,
            tracers=tracers,
            unwritten_huge_page_bytes=unwritten,
            allocators=_allocator_growth(before.allocators, at_gate.allocators),
            layout=layout_changes(stock.before, stock.at_gate),
            heap=survey.picture,
            pins=pins,
            incomplete=() if survivors.is_whole else (_PARTIAL,),
        ),
        trimmed.footprint_bytes() if trim_is_known else None,
    )


def layout_changes(before: Snapshot, after: Snapshot) -> tuple[MappingChange, ...]:
    """How each kind of mapping changed, what grew most first; a kind that held nothing is none."""
    found = []
    # The order of a layout is that of addresses: no more than an accident.
    for kind in sorted(before.kinds.keys() | after.kinds.keys()):
        sizes = before.counted_bytes(kind), after.counted_bytes(kind)
        if any(sizes):
            ranges = _number_of_ranges(before, kind), _number_of_ranges(after, kind)
            found.append(MappingChange(kind, *sizes, *ranges))
    return tuple(sorted(found, key=lambda one: one.before_bytes - one.after_bytes))


def _number_of_ranges(snapshot: Snapshot, kind: MappingKind) -> int | None:
    return sum(one.kind == kind for one in snapshot.ranges) if snapshot.ranges else None


def _survey(instruments: Instruments, stock: Stock, now: Snapshot) -> HeapSurvey:
    """Look into the heaps, if they have a part in what was retained that is worth a second."""
    ledger = stock.ledger
    in_heaps = sum(
        max(0, size) for account, size in ledger.accounts.items() if account.endswith((LIVE, FREE))
    )
    if ledger.hidden_bytes or in_heaps * _WORTH_A_LOOK >= ledger.growth_bytes:
        return instruments.examiner.survey_heaps(now)
    return HeapSurvey()


def _survivors(
    instruments: Instruments, stock: Stock, evidence: Evidence
) -> tuple[Survivors, int | None]:
    """The objects that stayed, and how much of malloc's live growth is theirs."""
    found, everything, newborn = Survivors(), None, evidence.newborn
    with contextlib.suppress(Exception):
        known = with_excluded(stock.before, evidence.excluded)
        found = instruments.examiner.survivors(known, stock.at_gate)
        if stock.ledger.hidden_bytes or (newborn.in_malloc_bytes or 0) > (
            found.in_malloc_bytes or 0
        ):
            everything = instruments.examiner.python_in_malloc_bytes(stock.at_gate.allocators)
    in_malloc_bytes = found.in_malloc_bytes
    if everything is not None:
        live_growth = sum(
            size
            for account, size in stock.ledger.accounts.items()
            if account.endswith(LIVE) and account != "python" + LIVE
        )
        malloc_live_bytes = sum(
            one.live_bytes + one.own_mapping_live_bytes
            for one in stock.at_gate.allocators
            # What a pool has of malloc's blocks is among malloc's own.
            if one.name != "python" and one.counts and not one.is_from_malloc
        )
        in_malloc_bytes = python_share(
            live_growth,
            by_address_bytes=found.in_malloc_bytes or 0,
            newborn_bytes=newborn.in_malloc_bytes or 0,
            all_python_bytes=everything,
            all_live_bytes=malloc_live_bytes,
        )
    if sum(one.bytes for one in newborn.types) > sum(one.bytes for one in found.types):
        found = replace(newborn, is_whole=found.is_whole)
    return found, in_malloc_bytes


def _top_growth_bytes(
    before: FullReading, after: FullReading, excluded: Sequence[Span]
) -> dict[str, int]:
    """By allocator, how far the tops of thread arenas grew, but for what grew in the spans."""
    growth = {one.name: one.thread_top_bytes for one in after.allocators}
    earlier = [(before, -1), *((span.before, 1) for span in excluded)]
    for found, sign in [*earlier, *((span.after, -1) for span in excluded)]:
        for one in found.allocators:
            growth[one.name] = growth.get(one.name, 0) + sign * one.thread_top_bytes
    return growth


def _allocator_growth(
    before: Sequence[AllocatorStatistics], after: Sequence[AllocatorStatistics]
) -> tuple[AllocatorGrowth, ...]:
    """What each allocator says of itself now, less what it said before."""
    old = {one.name: one for one in before}
    found = []
    for one in after:
        was = old.get(one.name)
        # Of what it was silent about then, or could not be asked, nobody knows the growth.
        was_untold = one.from_start if was is None else was.is_silent
        if one.is_silent or was_untold:
            continue
        found.append(
            AllocatorGrowth(
                one.name,
                one.live_bytes
                + one.own_mapping_live_bytes
                - (was.live_bytes + was.own_mapping_live_bytes if was else 0),
                _less(one.held_bytes, was.held_bytes if was else 0),
                _less(one.arenas, was.arenas if was else 0),
            )
        )
    return tuple(found)


def _less(new: int | None, old: int | None) -> int | None:
    return None if new is None or old is None else new - old
