"""Where one byte decides between two accounts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._outside import Outside, Segment
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, MappingKind, Snapshot


def reading(
    *allocators: AllocatorStatistics, resident: int = 0, size: int | None = None, heap: int = 0
) -> Snapshot:
    """A layout of anonymous mappings, and of a heap if there is any."""
    kinds: dict[MappingKind, KindUsage] = {
        "anonymous": KindUsage(resident if size is None else size, resident)
    }
    if heap:
        kinds["heap"] = KindUsage(heap, heap)
    return Snapshot(resident + heap, resident + heap, kinds=kinds, allocators=allocators)


def pool(live: int, held: int | None, name: str = "pool", own: int = 0) -> AllocatorStatistics:
    """One that cuts blocks from anonymous mappings."""
    return AllocatorStatistics(name, live, held, own_mapping_live_bytes=own)


def malloc(own: int, *, held: int | None = None) -> AllocatorStatistics:
    """A malloc with an empty heap, and blocks that have mappings of their own."""
    return AllocatorStatistics(
        "malloc", 0, held, live_by_kind={"heap": 0}, own_mapping_live_bytes=own
    )


@pytest.mark.parametrize("held", [1, 5])
def test_room_that_is_not_resident_is_no_account(held: int) -> None:
    """Not a byte of it."""
    ledger = close_ledger(reading(pool(0, 0), size=9), reading(pool(0, held), size=9))
    assert ledger.accounts["pool-free"] == 0


def test_new_blocks_of_another_take_nothing_of_what_a_pool_holds() -> None:
    """Where there is room for both."""
    before = reading(malloc(0), pool(0, 0))
    after = reading(malloc(50), pool(100, 100), resident=100, size=150)
    assert close_ledger(before, after).accounts["pool-free"] == 0


def test_a_pool_s_blocks_with_mappings_of_their_own_are_live() -> None:
    """Together with those that it cuts."""
    ledger = close_ledger(reading(pool(0, 0)), reading(pool(10, 10, own=20), resident=30))
    assert ledger.accounts["pool-live"] == 30


def test_address_space_of_untold_pools_is_nobody_else_s() -> None:
    """Of each of them, live and free."""
    before = reading(pool(0, None), pool(0, None, "other"))
    after = reading(pool(30, None), pool(40, None, "other"), resident=100, size=80)
    ledger = close_ledger(before, after, given_back={"pool": 5})
    assert ledger.accounts["mapped"] == 80 - (30 + 5) - 40
    assert ledger.unexplained_bytes == 20


def test_blocks_that_grew_and_were_touched_first_are_added_up() -> None:
    """In one account, and in one part of it."""
    ledger = close_ledger(
        reading(malloc(100), size=100, heap=9), reading(malloc(110), resident=30, size=110, heap=9)
    )
    assert ledger.accounts["malloc-live"] == 30
    assert ledger.parts["malloc-live"]["own-mappings"] == 30


@pytest.mark.parametrize("beside", [malloc(0, held=1000), pool(0, None)])
def test_what_was_touched_before_is_not_touched_first(beside: AllocatorStatistics) -> None:
    """Room of a heap is not of these mappings, and what is not told is not there."""
    blocks = AllocatorStatistics("jemalloc", 0, own_mapping_live_bytes=100)
    before = reading(blocks, beside, resident=100, size=200, heap=9)
    after = reading(blocks, beside, resident=101, size=200, heap=9)
    assert close_ledger(before, after).unexplained_bytes == 1


def test_a_single_byte_of_old_room_that_was_touched() -> None:
    """It is the pool's."""
    found = close_ledger(reading(pool(0, 10), size=10), reading(pool(0, 10), resident=1, size=10))
    assert found.accounts["pool-free"] == 1


def test_a_pool_in_malloc_has_no_mappings_that_could_be_touched() -> None:
    """What it holds more in the heap does not hide that malloc's own mappings were written to."""
    more = replace(malloc(100), live_bytes=60, live_by_kind={"heap": 60})
    held = AllocatorStatistics("pool", 60, 60, is_from_malloc=True)
    before = reading(malloc(100), replace(held, live_bytes=0, held_bytes=0), size=100, heap=100)
    after = reading(more, held, resident=50, size=100, heap=100)
    ledger = close_ledger(before, after)
    assert (ledger.accounts["malloc-live"], ledger.accounts["pool-live"]) == (50, 60)
    assert ledger.unexplained_bytes == 0


def test_an_allocator_is_new_in_a_kind() -> None:
    """What it had there before was nothing, and a kind without a name of its own is the place."""
    before = AllocatorStatistics("arrow", 0)
    after = AllocatorStatistics("arrow", 70, live_by_kind={"special": 70})
    kinds: dict[MappingKind, KindUsage] = {"special": KindUsage(100, 100)}
    ledger = close_ledger(
        Snapshot(100, 100, kinds=kinds, allocators=(before,)),
        Snapshot(100, 100, kinds=kinds, allocators=(after,)),
    )
    assert ledger.parts["arrow-live"] == {"special": 70}
    assert ledger.parts["arrow-free"] == {"special": -70}


def test_only_room_that_is_told_and_shared_can_hide_growth() -> None:
    """A heap of its own shows what is resident; what is untold is bounded by nothing."""
    before = reading(malloc(0, held=50), pool(0, 9), pool(0, None, "other"), heap=9)
    after = reading(malloc(0, held=60), pool(8, 10), pool(5, None, "other"), heap=9)
    assert close_ledger(before, after).most_hidden == {"pool": 7}


def test_an_account_that_probes_and_segments_share() -> None:
    """Both are in it."""
    before = Snapshot(0, 0)
    segment = Segment("shm", "x", 7, 7, "root")
    after = Snapshot(12, 0, outside=Outside(segments=(segment,), accounts={"shared-memory": 5}))
    assert close_ledger(before, after).accounts["shared-memory"] == 12


def test_without_a_layout_nothing_is_free_that_was_not_given_back() -> None:
    """The rest stays unexplained."""
    before = Snapshot(0, 0, allocators=(pool(0, None),))
    ledger = close_ledger(before, Snapshot(9, 9, allocators=(pool(5, None),)))
    assert ledger.accounts == {"pool-live": 5, "pool-free": 0}


def test_a_span_with_other_parts_is_taken_out() -> None:
    """What only one of the two has is there, with its sign."""
    whole = Ledger(10, {}, {"a": {"x": 1}}, pooled={"malloc": 7})
    left = whole.less(Ledger(4, {}, {"b": {"y": 2}}, pooled={"malloc": 3}))
    assert left.parts == {"a": {"x": 1}, "b": {"y": -2}}
    assert left.pooled == {"malloc": 4}
