"""Two snapshots in, accounts that sum to the footprint's growth out; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._snapshot import AllocatorStatistics

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappingKind, Snapshot

UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The growth of a footprint, split over named accounts; all figures in bytes.

    What the accounts don't hold is `unexplained_bytes`, never hidden, so that everything sums
    to `growth_bytes` by construction. A negative account gave memory back.
    """

    growth_bytes: int
    accounts: Mapping[str, int]

    @property
    def unexplained_bytes(self) -> int:
        """The part of the growth that no account holds."""
        return self.growth_bytes - sum(self.accounts.values())

    def to_dict(self) -> dict[str, int]:
        """Every account and ``unexplained``, largest first."""
        entries = {**self.accounts, UNEXPLAINED: self.unexplained_bytes}
        return dict(sorted(entries.items(), key=lambda entry: -entry[1]))


def close_ledger(before: Snapshot, after: Snapshot) -> Ledger:
    """Split the growth from `before` to `after` over accounts.

    Without a mapping layout in either snapshot only what allocators say of themselves has a
    name; the rest is unexplained.
    """
    growth = after.footprint_bytes - before.footprint_bytes
    pairs = _paired_allocators(before, after)
    if before.kinds and after.kinds:
        accounts = _accounts_by_layout(before, after, pairs)
    else:
        accounts = _accounts_without_layout(growth, pairs)
    return Ledger(growth, accounts)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One allocator before and after; zeros where it had nothing to say."""

    before: AllocatorStatistics
    after: AllocatorStatistics

    @property
    def name(self) -> str:
        return self.after.name

    @property
    def live_growth(self) -> int:
        return self.after.live_bytes - self.before.live_bytes

    @property
    def held_growth(self) -> int:
        return (self.after.held_bytes or 0) - (self.before.held_bytes or 0)

    @property
    def own_mapping_growth(self) -> int:
        return self.after.own_mapping_live_bytes - self.before.own_mapping_live_bytes


def _paired_allocators(before: Snapshot, after: Snapshot) -> list[_Pair]:
    """Allocators that can be compared: one that came with a library had nothing before it.

    One that fell silent, or that must have been there unheard, can't be: its memory stays with
    the mappings, and does not pass for growth or for a return.
    """
    pairs = []
    for new in after.allocators:
        old = before.allocator(new.name)
        if new.is_silent or (old is not None and old.is_silent):
            continue
        if old is not None:
            pairs.append(_Pair(old, new))
        elif not new.from_start:
            absent = AllocatorStatistics(new.name, 0, None if new.kinds else 0, new.kinds)
            pairs.append(_Pair(absent, new))
    return pairs


def _accounts_by_layout(before: Snapshot, after: Snapshot, pairs: list[_Pair]) -> dict[str, int]:
    accounts: dict[str, int] = {}
    claimed_kinds: set[MappingKind] = set()
    for pair in pairs:
        if pair.after.kinds:
            live, free = _split_by_residency(before, after, pair)
            accounts[f"{pair.name}-live"], accounts[f"{pair.name}-free"] = live, free
            claimed_kinds.update(pair.after.kinds)
    accounts |= _split_anonymous(before, after, pairs, accounts)
    if any(one.is_silent for one in (*before.allocators, *after.allocators)):
        # What a silent allocator holds can't be told from what nobody holds.
        accounts["mapped"] = 0
    accounts["mapped"] = accounts.get("mapped", 0) + sum(
        _growth(before, after, kind)
        # A library's data pages, private once written to; a heap that no allocator claims.
        for kind in ("file", "special", "heap", "arena")
        if kind not in claimed_kinds
    )
    accounts["stacks"] = _growth(before, after, "stack")
    accounts["shared-memory"] = _growth(before, after, "shared-memory")
    accounts["swapped"] = after.swap_bytes - before.swap_bytes
    return accounts


def _growth(before: Snapshot, after: Snapshot, kind: MappingKind) -> int:
    return after.counted_bytes(kind) - before.counted_bytes(kind)


def _split_by_residency(before: Snapshot, after: Snapshot, pair: _Pair) -> tuple[int, int]:
    """Growth of live and of free bytes, where whole mapping kinds are the allocator's.

    Live blocks that were never written to are not resident; so live counts only as far as
    there is resident memory for it.
    """
    kinds = pair.after.kinds
    resident_before, resident_after = before.counted_bytes(*kinds), after.counted_bytes(*kinds)
    live = min(pair.after.live_bytes, resident_after) - min(pair.before.live_bytes, resident_before)
    return live, resident_after - resident_before - live


def _split_anonymous(
    before: Snapshot, after: Snapshot, pairs: list[_Pair], accounts: Mapping[str, int]
) -> dict[str, int]:
    """Share the anonymous mappings between the allocators that cut from them and ``mapped``.

    The layout does not say whose an anonymous mapping is. What allocators hold is address
    space, of which a part may not be resident yet (the end of a new pymalloc arena, an
    untouched array), so each claim is cut to what is there.
    """
    rest = _growth(before, after, "anonymous")
    own_mapping_growth = sum(pair.own_mapping_growth for pair in pairs)
    split: dict[str, int] = {}
    for pair in pairs:
        if pair.after.kinds:
            continue
        held = pair.held_growth
        if held > 0:
            held = min(held, max(rest - min(0, own_mapping_growth), 0))
        split[f"{pair.name}-live"] = pair.live_growth
        split[f"{pair.name}-free"] = held - pair.live_growth
        rest -= held
    for pair in pairs:
        own = _between_zero_and(rest, pair.own_mapping_growth)
        if own:
            live = f"{pair.name}-live"
            split[live] = split.get(live, accounts.get(live, 0)) + own
            rest -= own
    # What is left is somebody else's mapping only as far as there is address space that no
    # allocator accounts for.
    unclaimed_space = (
        _size(after, "anonymous")
        - _size(before, "anonymous")
        - sum(pair.held_growth + pair.own_mapping_growth for pair in pairs)
    )
    split["mapped"] = _between_zero_and(rest, unclaimed_space)
    rest -= split["mapped"]
    first_touched = min(
        max(rest, 0),
        max(
            0,
            _untouched(before, [one.before for one in pairs])
            - _untouched(after, [one.after for one in pairs]),
        ),
    )
    if first_touched:
        live = f"{max(pairs, key=lambda one: one.before.own_mapping_live_bytes).name}-live"
        split[live] = split.get(live, accounts.get(live, 0)) + first_touched
        rest -= first_touched
    for pair in pairs:
        # Room that was held before but not resident, since nothing had been written there yet.
        if rest > 0 and not pair.after.kinds:
            room = (pair.before.held_bytes or 0) - pair.before.live_bytes
            newly_resident = min(rest, max(0, room))
            split[f"{pair.name}-free"] += newly_resident
            rest -= newly_resident
    return split


def _untouched(snapshot: Snapshot, allocators: list[AllocatorStatistics]) -> int:
    """At least so many bytes of live blocks with a mapping of their own were never written to."""
    claimed = sum(one.own_mapping_live_bytes + (one.held_bytes or 0) for one in allocators)
    return max(0, claimed - snapshot.counted_bytes("anonymous"))


def _accounts_without_layout(growth: int, pairs: list[_Pair]) -> dict[str, int]:
    accounts: dict[str, int] = {}
    rest = growth
    for pair in pairs:
        live = _between_zero_and(rest, pair.live_growth + pair.own_mapping_growth)
        accounts[f"{pair.name}-live"] = live
        rest -= live
        if not pair.after.kinds:
            free = _between_zero_and(rest, pair.held_growth - pair.live_growth)
            accounts[f"{pair.name}-free"] = free
            rest -= free
    return accounts


def _size(snapshot: Snapshot, kind: MappingKind) -> int:
    return snapshot.kinds[kind].size_bytes if kind in snapshot.kinds else 0


def _between_zero_and(bound: int, value: int) -> int:
    """`value`, brought into the range between 0 and `bound` (which may be negative)."""
    return min(max(value, min(0, bound)), max(0, bound))
