"""Two snapshots in, accounts that sum to the footprint's growth out; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import FREE, LIVE, UNEXPLAINED
from pytest_memreturn._pairs import between_zero_and, paired_allocators
from pytest_memreturn._pools import pools_of_malloc, take_from_malloc

if TYPE_CHECKING:
    from pytest_memreturn._pairs import Pair
    from pytest_memreturn._snapshot import AllocatorStatistics, MappingKind, Snapshot

# Where an allocator's memory lies, by the mapping kinds that are wholly its own.
_PLACES: Mapping[MappingKind, str] = {"heap": "main-heap", "arena": "thread-arenas"}
_OWN_MAPPINGS = "own-mappings"
_KEPT_BY_MALLOC = "malloc" + FREE

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ledger:
    """The growth of a footprint, split over named accounts; all figures in bytes.

    What the accounts don't hold is `unexplained_bytes`, never hidden, so that everything sums
    to `growth_bytes` by construction. A negative account gave memory back. `parts` splits some
    of the accounts further: the parts of one sum to it. `most_hidden`: by allocator, no more of
    its live growth than this can lie in memory that it held before. `pooled`: by allocator, how
    much more of it is live than its account says, since a pool that holds it has accounts.
    """

    growth_bytes: int
    accounts: Mapping[str, int]
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    most_hidden: Mapping[str, int] = field(default_factory=dict)
    pooled: Mapping[str, int] = field(default_factory=dict)

    @property
    def unexplained_bytes(self) -> int:
        """The part of the growth that no account holds."""
        return self.growth_bytes - sum(self.accounts.values())

    @property
    def hidden_bytes(self) -> int:
        """What grew without showing, since free memory that was resident before hid it.

        The footprint does not show live bytes that grew into such memory, and they are as much
        retained as any. Nor does it show what grew while as much of it went back: the last
        garbage between small objects frees whole arenas, and is worth nothing by itself. What
        one allocator took while the program gave as much back to another is no growth. What
        malloc keeps is growth like any other, but for what pools gave back to it.
        """
        live = {
            account.removesuffix(LIVE): size
            for account, size in self.accounts.items()
            if account.endswith(LIVE)
        }
        filled = gone = 0
        for name, size in live.items():
            room = max(0, -self.accounts.get(name + FREE, 0))
            handed_out = size + self.pooled.get(name, 0)
            most = min(handed_out, self.most_hidden.get(name, handed_out))
            filled += max(0, min(most, room))
            gone += max(0, min(room, room - handed_out))
        filled = max(0, min(filled, sum(live.values())))
        frees = sum(size for account, size in self.accounts.items() if account.endswith(FREE))
        # What was swapped out left a room, and nobody took it.
        held = sum(self.accounts.values()) - frees - max(0, self.accounts.get("swapped", 0))
        from_pools = max(0, -sum(self.pooled.values()))
        held += max(0, self.accounts.get(_KEPT_BY_MALLOC, 0) - from_pools)
        return filled + max(0, min(gone, held - filled))

    def less(self, other: Ledger) -> Ledger:
        """What is left of each account when `other`, a span inside this one, is taken out."""
        return Ledger(
            self.growth_bytes - other.growth_bytes,
            _difference(self.accounts, other.accounts),
            {
                account: _difference(
                    self.parts.get(account, _NOTHING), other.parts.get(account, _NOTHING)
                )
                for account in {**self.parts, **other.parts}
            },
            _difference(self.most_hidden, other.most_hidden),
            _difference(self.pooled, other.pooled),
        )

    def to_dict(self) -> dict[str, int]:
        """Every account and ``unexplained``, largest first."""
        entries = {**self.accounts, UNEXPLAINED: self.unexplained_bytes}
        return dict(sorted(entries.items(), key=lambda entry: -entry[1]))


def _difference(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) - right.get(name, 0) for name in {**left, **right}}


def close_ledger(
    before: Snapshot, after: Snapshot, *, given_back: Mapping[str, int] = _NOTHING
) -> Ledger:
    """Split the growth from `before` to `after` over accounts.

    `given_back`: by allocator, how far the footprint fell when it was asked after `after`. For an
    allocator that does not say what it holds, that is what was free in it.

    Without a mapping layout in either snapshot only what allocators say of themselves has a
    name; the rest is unexplained.
    """
    growth = after.footprint_bytes - before.footprint_bytes
    outside = _outside_accounts(before, after)
    pairs = paired_allocators(before, after)
    parts: dict[str, Mapping[str, int]] = {}
    pooled: dict[str, int] = {}
    if before.kinds and after.kinds:
        accounts = _accounts_by_layout(before, after, pairs, given_back, parts)
        pooled = take_from_malloc(pairs, accounts, parts, given_back)
    else:
        rest = growth - sum(outside.values())
        accounts = _accounts_without_layout(rest, pairs, given_back)
    for account, size in outside.items():
        accounts[account] = accounts.get(account, 0) + size
    most_hidden = {
        pair.name: pair.live_growth - pair.held_growth
        for pair in pairs
        if pair.says_what_it_holds and not pair.has_kinds
    }
    return Ledger(growth, accounts, parts, most_hidden, pooled)


def _outside_accounts(before: Snapshot, after: Snapshot) -> dict[str, int]:
    """Growth of what the footprint counts of memory beyond this process's own mappings."""
    accounts = _difference(after.outside.accounts, before.outside.accounts)
    for account, old, new in (
        ("children", before.outside.children_bytes, after.outside.children_bytes),
        ("shared-memory", before.outside.segments_bytes, after.outside.segments_bytes),
    ):
        if old or new:
            accounts[account] = accounts.get(account, 0) + new - old
    return accounts


def _accounts_by_layout(
    before: Snapshot,
    after: Snapshot,
    pairs: list[Pair],
    given_back: Mapping[str, int],
    parts: dict[str, Mapping[str, int]],
) -> dict[str, int]:
    accounts: dict[str, int] = {}
    claimed_kinds: set[MappingKind] = set()
    for pair in pairs:
        if not pair.has_kinds:
            continue
        live, free = _split_by_residency(before, after, pair)
        parts[pair.name + LIVE], parts[pair.name + FREE] = live, free
        accounts[pair.name + LIVE] = sum(live.values())
        accounts[pair.name + FREE] = sum(free.values())
        claimed_kinds.update(pair.after.live_by_kind)
    # A heap that no allocator has to itself is shared out like any other mapping.
    shared_kinds: tuple[MappingKind, ...] = (
        "anonymous",
        *(kind for kind in _PLACES if kind not in claimed_kinds),
    )
    split = _split_shared(before, after, pairs, shared_kinds, given_back)
    for account, size in split.items():
        accounts[account] = accounts.get(account, 0) + size
        if account in parts:
            parts[account] = {**parts[account], _OWN_MAPPINGS: size}
    if any(one.is_silent for one in (*before.allocators, *after.allocators)):
        # What a silent allocator holds can't be told from what nobody holds.
        accounts["mapped"] = 0
    # A library's data pages, private once written to.
    accounts["mapped"] += _growth(before, after, "file", "special")
    accounts["stacks"] = _growth(before, after, "stack")
    accounts["shared-memory"] = _growth(before, after, "shared-memory")
    accounts["swapped"] = after.swap_bytes - before.swap_bytes
    return accounts


def _growth(before: Snapshot, after: Snapshot, *kinds: MappingKind) -> int:
    return after.counted_bytes(*kinds) - before.counted_bytes(*kinds)


def _split_by_residency(
    before: Snapshot, after: Snapshot, pair: Pair
) -> tuple[dict[str, int], dict[str, int]]:
    """Growth of live and of free bytes by place, where whole mapping kinds are the allocator's.

    Live blocks that were never written to are not resident; so live counts only as far as
    there is resident memory for it.
    """
    lives, frees = {}, {}
    for kind, live_after in pair.after.live_by_kind.items():
        resident_before, resident_after = before.counted_bytes(kind), after.counted_bytes(kind)
        live_before = pair.before.live_by_kind.get(kind, 0)
        live = min(live_after, resident_after) - min(live_before, resident_before)
        place = _PLACES.get(kind, kind)
        lives[place], frees[place] = live, resident_after - resident_before - live
    return lives, frees


def _split_shared(
    before: Snapshot,
    after: Snapshot,
    pairs: list[Pair],
    kinds: tuple[MappingKind, ...],
    given_back: Mapping[str, int],
) -> dict[str, int]:
    """Share mappings of `kinds` between the allocators that cut from them and ``mapped``.

    The layout does not say whose an anonymous mapping is. What allocators hold is address
    space, of which a part may not be resident yet (the end of a new pymalloc arena, an
    untouched array), so each claim is cut to what is there.
    """
    rest = _growth(before, after, *kinds)
    own_mapping_growth = sum(pair.own_mapping_growth for pair in pairs)
    split: dict[str, int] = {}
    pools = pools_of_malloc(pairs)
    sharing = [pair for pair in pairs if not pair.has_kinds and pair not in pools]
    for pair in sharing:
        if pair.says_what_it_holds:
            held = pair.held_growth
            if held > 0:
                held = min(held, max(rest - min(0, own_mapping_growth), 0))
            elif pair.after.holds_address_space:
                held = max(held, min(rest, 0))
            split[pair.name + LIVE] = pair.live_growth
            split[pair.name + FREE] = held - pair.live_growth
            rest -= held
    for pair in pairs:
        own = between_zero_and(rest, pair.own_mapping_growth)
        if own:
            split[pair.name + LIVE] = split.get(pair.name + LIVE, 0) + own
            rest -= own
    untold = 0
    for pair in sharing:
        if not pair.says_what_it_holds:
            live, free = _split_untold(rest, pair, given_back)
            split[pair.name + LIVE] = split.get(pair.name + LIVE, 0) + live
            split[pair.name + FREE] = free
            untold += live + free
            rest -= live + free
    # What is left is somebody else's mapping only as far as there is address space that no
    # allocator accounts for. Lazily freed pages are as good as unmapped: whoever writes to them
    # again takes them anew.
    held_growth = sum(pair.held_growth for pair in sharing)
    space_growth = _size(after, *kinds) - _size(before, *kinds)
    space_growth += (before.lazy_free_bytes or 0) - (after.lazy_free_bytes or 0)
    unclaimed_space = space_growth - held_growth - own_mapping_growth - untold
    split["mapped"] = between_zero_and(rest, unclaimed_space)
    # What a pool holds of malloc's blocks has no mappings but theirs.
    mapping = [pair for pair in pairs if pair not in pools]
    touched = _untouched(before, [one.before for one in mapping], kinds) - _untouched(
        after, [one.after for one in mapping], kinds
    )
    _add_newly_touched(split, rest - split["mapped"], pairs, sharing, touched)
    return split


def _add_newly_touched(
    split: dict[str, int], rest: int, pairs: list[Pair], sharing: list[Pair], touched: int
) -> None:
    """Give what is left to blocks, then to room, that were held before but not written to.

    `touched`: so many bytes of blocks with a mapping of their own were written to for the first
    time.
    """
    toucher = max(pairs, key=lambda one: one.before.own_mapping_live_bytes, default=None)
    if toucher is not None:
        most = min(touched, toucher.before.own_mapping_live_bytes)
        first_touched = max(0, min(rest, most))
        if first_touched:
            live = toucher.name + LIVE
            split[live] = split.get(live, 0) + first_touched
            rest -= first_touched
    for pair in sharing:
        if rest > 0 and pair.says_what_it_holds:
            newly_resident = min(rest, _most_untouched_room(pair.before))
            split[pair.name + FREE] += newly_resident
            rest -= newly_resident


def _most_untouched_room(allocator: AllocatorStatistics) -> int:
    if allocator.most_untouched_bytes is None:
        return allocator.free_bytes
    return min(allocator.free_bytes, allocator.most_untouched_bytes)


def _split_untold(rest: int, pair: Pair, given_back: Mapping[str, int]) -> tuple[int, int]:
    """Live and free growth of an allocator that does not say what it holds, out of `rest`."""
    live = between_zero_and(rest, pair.live_growth)
    return live, between_zero_and(rest - live, given_back.get(pair.name, 0))


def _untouched(
    snapshot: Snapshot, allocators: list[AllocatorStatistics], kinds: tuple[MappingKind, ...]
) -> int:
    """At least so many bytes of live blocks with a mapping of their own were never written to."""
    claimed = sum(
        one.own_mapping_live_bytes + (0 if one.live_by_kind else one.held_bytes or 0)
        for one in allocators
    )
    return max(0, claimed - snapshot.counted_bytes(*kinds))


def _accounts_without_layout(
    growth: int, pairs: list[Pair], given_back: Mapping[str, int]
) -> dict[str, int]:
    accounts: dict[str, int] = {}
    rest = growth
    for pair in pairs:
        live = between_zero_and(rest, pair.live_growth + pair.own_mapping_growth)
        accounts[pair.name + LIVE] = live
        rest -= live
        if pair.has_kinds:
            continue  # What of its room is resident, only a layout tells.
        free = pair.held_growth - pair.live_growth
        if not pair.says_what_it_holds:
            free = given_back.get(pair.name, 0)
        accounts[pair.name + FREE] = between_zero_and(rest, free)
        rest -= accounts[pair.name + FREE]
    return accounts


def _size(snapshot: Snapshot, *kinds: MappingKind) -> int:
    return sum(snapshot.kinds[kind].size_bytes for kind in kinds if kind in snapshot.kinds)
