"""Two readings of a tree of processes in, accounts that sum to its growth out; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._free_parts import split_free
from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._processes import nothing_of

if TYPE_CHECKING:
    from pytest_memreturn._processes import ProcessReading
    from pytest_memreturn._snapshot import MappingKind, Snapshot

HEAPS = "heaps"

# What a layout alone tells: where malloc cuts its blocks from, but not which of them are live.
_ACCOUNTS: Mapping[str, tuple[MappingKind, ...]] = {
    HEAPS: ("heap", "arena"),
    "mapped": ("anonymous", "file", "special"),
    "stacks": ("stack",),
    "shared-memory": ("shared-memory",),
}


def close_tree_ledger(before: Sequence[ProcessReading], after: Sequence[ProcessReading]) -> Ledger:
    """The growth of a tree split over accounts, process by process.

    One that came with the window had nothing before, and one that ended has nothing now. Live
    and free bytes are told apart in those whose allocators were asked both times.
    """
    old = {one.key: one.snapshot for one in before}
    new = {one.key: one.snapshot for one in after}
    ledgers = []
    for key in {**old, **new}:
        last = new.get(key) or nothing_of(old[key])
        first = old.get(key) or nothing_of(last)
        ledgers.append(_close(first, last))
    return Ledger(
        sum(one.growth_bytes for one in ledgers),
        _sum(one.accounts for one in ledgers),
        {
            account: _sum(one.parts.get(account, {}) for one in ledgers)
            for one in ledgers
            for account in one.parts
        },
        _sum(one.most_hidden for one in ledgers),
        _sum(one.pooled for one in ledgers),
    )


def free_parts(
    ledger: Ledger, before: Sequence[ProcessReading], after: Sequence[ProcessReading]
) -> dict[str, dict[str, int]]:
    """What is left of free memory after a release: pinned, or at the tops of threads' arenas."""
    tops: dict[str, int] = {}
    for tree, sign in ((before, -1), (after, 1)):
        for process in tree:
            for one in process.snapshot.allocators:
                tops[one.name] = tops.get(one.name, 0) + sign * one.thread_top_bytes
    return split_free(ledger, ledger, tops)


def _close(first: Snapshot, last: Snapshot) -> Ledger:
    asked = {one.name for one in first.allocators} & {one.name for one in last.allocators}
    if asked:
        return close_ledger(first, last)
    growth = last.footprint_bytes - first.footprint_bytes
    if not (first.kinds and last.kinds):
        return Ledger(growth, {})
    accounts = {
        account: last.counted_bytes(*kinds) - first.counted_bytes(*kinds)
        for account, kinds in _ACCOUNTS.items()
    }
    return Ledger(growth, accounts | {"swapped": last.swap_bytes - first.swap_bytes})


def _sum(figures: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in figures:
        for name, size in one.items():
            total[name] = total.get(name, 0) + size
    return total
