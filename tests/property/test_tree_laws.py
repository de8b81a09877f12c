"""Laws of trees of processes: growth by process, and their ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._accounts import FREE, LIVE
from pytest_memreturn._processes import (
    ProcessKey,
    ProcessReading,
    bounds_of_growth,
    footprint_of,
    growth_by_process,
    sum_of,
)
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, MappingKind, Snapshot
from pytest_memreturn._tree_ledger import close_tree_ledger, free_parts

BYTES = st.integers(0, 2**40)

ALWAYS = st.just(value=True)
STATISTICS = st.one_of(
    st.just(()),
    st.tuples(
        st.builds(AllocatorStatistics, st.just("python"), BYTES, BYTES, from_start=ALWAYS),
        st.builds(
            AllocatorStatistics,
            st.just("malloc"),
            BYTES,
            BYTES,
            live_by_kind=st.fixed_dictionaries({"heap": BYTES, "arena": BYTES}),
            own_mapping_live_bytes=BYTES,
            thread_top_bytes=BYTES,
            from_start=ALWAYS,
        ),
    ),
)
# A layout has something in it; a probe gives one for every process, or for none.
KINDS = st.dictionaries(
    st.sampled_from(get_args(MappingKind)),
    st.builds(KindUsage, BYTES, BYTES),
    min_size=1,
    max_size=7,
)
SNAPSHOTS = st.builds(Snapshot, BYTES, BYTES, swap_bytes=BYTES, kinds=KINDS, allocators=STATISTICS)
READINGS = st.builds(
    ProcessReading,
    st.builds(ProcessKey, st.integers(1, 5), st.integers(1, 2)),
    st.just("name"),
    st.just("command"),
    SNAPSHOTS,
)
TREES = st.lists(READINGS, max_size=5, unique_by=lambda one: one.key)


@given(TREES, TREES)
def test_growth_sums(before: Sequence[ProcessReading], after: Sequence[ProcessReading]) -> None:
    """What all processes grew by is what the footprint grew by, and each is there once."""
    grown = growth_by_process(before, after)
    growth = footprint_of(after) - footprint_of(before)
    assert sum(one.grown_bytes for one in grown) == growth
    assert len(grown) == len({one.key for one in (*before, *after)})
    assert [one.grown_bytes for one in grown] == sorted(
        (one.grown_bytes for one in grown), reverse=True
    )


@given(TREES, TREES)
def test_the_ledger_sums(before: Sequence[ProcessReading], after: Sequence[ProcessReading]) -> None:
    """Accounts and what is unexplained are the growth, and parts are their accounts."""
    ledger = close_tree_ledger(before, after)
    assert sum(ledger.to_dict().values()) == footprint_of(after) - footprint_of(before)
    parts = free_parts(ledger, before, after)
    for account, split in {**ledger.parts, **parts}.items():
        assert sum(split.values()) == ledger.accounts[account]


@given(TREES)
def test_nothing_happened(tree: Sequence[ProcessReading]) -> None:
    """Between a reading and itself no account has anything."""
    assert set(close_tree_ledger(tree, tree).to_dict().values()) <= {0}


@given(TREES, TREES)
def test_there_and_back(before: Sequence[ProcessReading], after: Sequence[ProcessReading]) -> None:
    """From outside, what came is what goes the other way round."""

    def from_outside(tree: Sequence[ProcessReading]) -> list[ProcessReading]:
        return [replace(one, snapshot=replace(one.snapshot, allocators=())) for one in tree]

    there = close_tree_ledger(from_outside(before), from_outside(after)).to_dict()
    back = close_tree_ledger(from_outside(after), from_outside(before)).to_dict()
    assert there == {account: -size for account, size in back.items()}
    assert not [account for account in there if account.endswith((LIVE, FREE))]


@given(TREES, TREES)
def test_the_whole_is_one_process(
    before: Sequence[ProcessReading], after: Sequence[ProcessReading]
) -> None:
    """From outside, a tree has the ledger of one process with all that its processes have."""

    def as_one(tree: Sequence[ProcessReading]) -> list[ProcessReading]:
        return [ProcessReading(ProcessKey(1, 1), "", "", sum_of(tree))]

    def from_outside(tree: Sequence[ProcessReading]) -> list[ProcessReading]:
        # A process without a layout has no accounts.
        kinds: dict[MappingKind, KindUsage] = {"heap": KindUsage(1, 1), "stack": KindUsage(2, 2)}
        return [
            replace(
                one,
                snapshot=replace(one.snapshot, allocators=(), kinds=kinds),
            )
            for one in tree
        ]

    if not (before and after):
        return
    one = close_tree_ledger(as_one(from_outside(before)), as_one(from_outside(after)))
    many = close_tree_ledger(from_outside(before), from_outside(after))
    assert one.to_dict() == many.to_dict()


@given(TREES, TREES, st.sets(st.integers(1, 5)))
def test_bounds_hold_the_growth(
    before: Sequence[ProcessReading], after: Sequence[ProcessReading], unsure: set[int]
) -> None:
    """They are on either side of nothing, and nothing where all processes are sure."""
    grown = growth_by_process(before, after)
    less, more = bounds_of_growth(grown, unsure)
    assert less <= 0 <= more
    assert bounds_of_growth(grown, set()) == (0, 0)
