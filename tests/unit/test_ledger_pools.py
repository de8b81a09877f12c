"""Accounts of pools of hooks: those that malloc feeds, and those whose room may not be resident."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, Snapshot


def pool(live: int, held: int | None, *, is_from_malloc: bool = True) -> AllocatorStatistics:
    """What a pool says of itself, in MiB."""
    return AllocatorStatistics(
        "pool",
        live * MIB,
        None if held is None else held * MIB,
        is_from_malloc=is_from_malloc,
    )


def glibc(live: int, own: int = 0) -> AllocatorStatistics:
    """What malloc says of itself, in MiB: in its heap, and in blocks with a mapping each."""
    return AllocatorStatistics(
        "malloc",
        live * MIB,
        live_by_kind={"heap": live * MIB},
        own_mapping_live_bytes=own * MIB,
    )


def reading(
    *allocators: AllocatorStatistics, heap: int = 100, mapped: int = 100, space: int = 1000
) -> Snapshot:
    """A process with so many MiB resident in its heap, and in anonymous mappings of `space`."""
    return Snapshot(
        (heap + mapped) * MIB,
        (heap + mapped) * MIB,
        kinds={
            "heap": KindUsage(space * MIB, heap * MIB),
            "anonymous": KindUsage(space * MIB, mapped * MIB),
        },
        allocators=allocators,
    )


def moved(ledger: Ledger) -> dict[str, float]:
    """What is in the accounts that moved, in MiB."""
    return {account: size / MIB for account, size in ledger.to_dict().items() if size}


START = reading(pool(0, 0), glibc(60))


@pytest.mark.parametrize(
    ("after", "accounts"),
    [
        pytest.param(
            reading(pool(40, 40), glibc(100), heap=140),
            {"pool-live": 40},
            id="small slabs, all in use",
        ),
        pytest.param(
            reading(pool(0, 40), glibc(100), heap=140),
            {"pool-free": 40},
            id="small slabs, all free",
        ),
        pytest.param(
            reading(pool(30, 40), glibc(60, own=40), mapped=140, space=1040),
            {"pool-live": 30, "pool-free": 10},
            id="slabs with a mapping each",
        ),
        pytest.param(
            reading(pool(30, 40), glibc(105), heap=150),
            {"pool-live": 30, "pool-free": 10, "malloc-live": 5, "malloc-free": 5},
            id="beside other blocks",
        ),
        pytest.param(
            reading(pool(40, 40), glibc(60, own=140), mapped=140, space=1140),
            {"pool-live": 40},
            id="beside an array that nobody wrote to",
        ),
        pytest.param(
            reading(pool(40, 40), glibc(70), heap=110),
            {"pool-live": 40, "malloc-live": -30},
            id="while the program gave back blocks of its own",
        ),
        pytest.param(
            reading(pool(0, 40), glibc(60, own=40), space=1040),
            {},
            id="slabs that nobody wrote to",
        ),
    ],
)
def test_what_a_pool_takes_from_malloc_is_counted_once(
    after: Snapshot, accounts: dict[str, float]
) -> None:
    """In the accounts of the pool: malloc's live bytes are less by what the pool holds."""
    ledger = close_ledger(START, after)
    assert moved(ledger) == accounts
    assert ledger.hidden_bytes == 0


def test_a_pool_that_shrinks_leaves_the_growth_of_others_alone() -> None:
    """What the program kept meanwhile is not free in the pool."""
    before = reading(pool(40, 40), glibc(100), heap=140)
    after = reading(pool(0, 0), glibc(130), heap=170)
    assert moved(close_ledger(before, after)) == {"malloc-live": 70, "pool-live": -40}


@pytest.mark.parametrize(
    ("given_back", "accounts"),
    [
        pytest.param({}, {"pool-live": 30, "malloc-live": 10}, id="nothing"),
        pytest.param({"pool": 10 * MIB}, {"pool-live": 30, "pool-free": 10}, id="what was free"),
        pytest.param({"pool": -MIB}, {"pool-live": 30, "malloc-live": 10}, id="it took more"),
    ],
)
def test_a_pool_from_malloc_that_does_not_say_what_it_holds(
    given_back: dict[str, int], accounts: dict[str, float]
) -> None:
    """It holds what is live in it, and what its release gave back."""
    before = reading(pool(0, None), glibc(60))
    after = reading(pool(30, None), glibc(100), heap=140)
    ledger = close_ledger(before, after, given_back=given_back)
    assert moved(ledger) == accounts
    assert ledger.hidden_bytes == 0


def test_untold_blocks_that_nobody_wrote_to_hide_nowhere() -> None:
    """They count as far as there is memory for them."""
    before = reading(pool(0, None), glibc(60))
    after = reading(pool(30, None), glibc(60, own=30), mapped=110, space=1030)
    ledger = close_ledger(before, after)
    assert moved(ledger) == {"pool-live": 10}
    assert ledger.hidden_bytes == 0


def test_the_place_of_a_pool_is_told() -> None:
    """The parts of malloc's account still sum to it."""
    ledger = close_ledger(START, reading(pool(30, 40), glibc(105), heap=150))
    assert ledger.parts["malloc-live"]["main-heap"] == 45 * MIB
    assert ledger.parts["malloc-live"]["pools"] == -40 * MIB
    assert sum(ledger.parts["malloc-live"].values()) == ledger.accounts["malloc-live"]


def test_two_pools_from_one_malloc() -> None:
    """Each is named for its own."""
    second = replace(pool(5, 10), name="second")
    nothing = replace(pool(0, 0), name="second")
    before = reading(pool(0, 0), nothing, glibc(60))
    after = reading(pool(20, 30), second, glibc(100), heap=140)
    assert moved(close_ledger(before, after)) == {
        "pool-live": 20,
        "pool-free": 10,
        "second-live": 5,
        "second-free": 5,
    }


@pytest.mark.parametrize("layout", [True, False], ids=["layout", "no-layout"])
def test_a_pool_from_a_malloc_that_is_mute(*, layout: bool) -> None:
    """Where nothing is known of malloc, the pool has its accounts all the same."""
    before, after = reading(pool(0, 0)), reading(pool(30, 40), heap=140)
    if not layout:
        before, after = replace(before, kinds={}), replace(after, kinds={})
    assert moved(close_ledger(before, after)) == {"pool-live": 30, "pool-free": 10}


def test_a_pool_from_malloc_without_a_layout_is_counted_once() -> None:
    """Who comes first takes its share, and malloc has the rest."""
    before = replace(START, kinds={})
    after = replace(reading(pool(30, 40), glibc(105), heap=145), kinds={})
    ledger = close_ledger(before, after)
    assert moved(ledger) == {"pool-live": 30, "pool-free": 10, "malloc-live": 5}


# -- what hides --


def test_new_slabs_may_hide_in_room_that_malloc_had() -> None:
    """The footprint stands still, and what the pool handed out is kept nevertheless."""
    ledger = close_ledger(START, reading(pool(40, 40), glibc(100)))
    assert moved(ledger) == {"pool-live": 40, "malloc-free": -40}
    assert ledger.hidden_bytes == 40 * MIB


def test_what_a_pool_of_a_fixture_took_hides_nothing_of_the_test() -> None:
    """It goes with the span that is taken out."""
    accounts = {"malloc-live": 10, "malloc-free": -40, "pool-live": 30, "python-live": 20}
    whole_window = Ledger(20, accounts, pooled={"malloc": 30})
    assert whole_window.hidden_bytes == 40
    fixture = Ledger(0, {"malloc-free": -30, "pool-live": 30}, pooled={"malloc": 30})
    assert whole_window.less(fixture).hidden_bytes == 10


def test_new_slabs_may_hide_in_room_that_another_malloc_had() -> None:
    """One that says itself what it holds."""
    before = AllocatorStatistics("jemalloc", 10 * MIB, 60 * MIB)
    after = AllocatorStatistics("jemalloc", 50 * MIB, 60 * MIB)
    ledger = close_ledger(reading(pool(0, 0), before), reading(pool(40, 40), after))
    assert moved(ledger) == {"pool-live": 40, "jemalloc-free": -40}
    assert ledger.hidden_bytes == 40 * MIB


def test_blocks_may_hide_in_a_pool_and_its_slabs_in_malloc() -> None:
    """Each hides in what was there before, and none is counted twice."""
    before = reading(pool(0, 20), glibc(60))
    ledger = close_ledger(before, reading(pool(60, 60), glibc(100)))
    assert moved(ledger) == {"pool-live": 60, "pool-free": -20, "malloc-free": -40}
    assert ledger.hidden_bytes == 60 * MIB


def test_free_slabs_in_room_that_malloc_had_are_not_kept() -> None:
    """They were free before, and are."""
    ledger = close_ledger(START, reading(pool(0, 40), glibc(100)))
    assert moved(ledger) == {"pool-free": 40, "malloc-free": -40}
    assert ledger.hidden_bytes == 0


@pytest.mark.parametrize("is_from_malloc", [False, True])
@pytest.mark.parametrize("held_before", [0, 10])
def test_a_new_slab_that_nobody_wrote_to_is_no_hiding_place(
    held_before: int, *, is_from_malloc: bool
) -> None:
    """Nothing of it is resident; only what the pool held before can hide blocks."""

    def at(live: int, held: int, own: int, space: int) -> Snapshot:
        told = pool(live, held, is_from_malloc=is_from_malloc)
        return reading(told, glibc(60, own=own if is_from_malloc else 0), space=space)

    ledger = close_ledger(
        at(0, held_before, held_before, 1000),
        at(40 + held_before, held_before + 40, held_before + 40, 1040),
    )
    assert ledger.growth_bytes == 0
    assert ledger.hidden_bytes == held_before * MIB


# -- room that is address space --


def spread(live: int, held: int, *, holds_address_space: bool = True) -> AllocatorStatistics:
    """An allocator in mappings of its own, any part of which may not be resident."""
    return AllocatorStatistics(
        "mimalloc", live * MIB, held * MIB, holds_address_space=holds_address_space
    )


@pytest.mark.parametrize(
    ("mapped", "accounts"),
    [
        pytest.param(100, {}, id="nothing resident went"),
        pytest.param(90, {"mimalloc-free": -10}, id="a part went"),
        pytest.param(40, {"mimalloc-free": -50, "unexplained": -10}, id="more went than it had"),
        pytest.param(110, {"mapped": 10}, id="another's memory came"),
    ],
)
def test_less_address_space_is_no_return(mapped: int, accounts: dict[str, float]) -> None:
    """What an allocator gave up counts as far as resident memory went."""
    before = reading(spread(5, 60))
    after = reading(spread(5, 10), mapped=mapped, space=1010)
    assert moved(close_ledger(before, after)) == accounts


def test_what_is_always_resident_is_given_back_in_full() -> None:
    """Where held memory is resident, less of it is a return, and who took the rest is asked."""
    before = reading(spread(5, 60, holds_address_space=False))
    after = reading(spread(5, 10, holds_address_space=False), space=1000)
    assert moved(close_ledger(before, after)) == {"mimalloc-free": -50, "mapped": 50}


def test_what_a_pool_holds_of_malloc_is_kept_beside_the_accounts() -> None:
    """For malloc handed it out: room that it filled went nowhere."""
    ledger = close_ledger(START, reading(pool(30, 40), glibc(105), heap=150))
    assert ledger.pooled == {"malloc": 40 * MIB}
