"""Accounts from two snapshots: hand-made ones, each for one thing that memory does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn._snapshot import (
    AllocatorStatistics,
    KindUsage,
    MappingKind,
    Snapshot,
)


@dataclass(frozen=True)
class Process:
    """A process whose layout and allocators agree with each other. All figures are MiB.

    Resident and address space by mapping kind; what malloc and pymalloc say of themselves.
    """

    heap: float = 10
    arena: float = 0
    anonymous: float = 20
    stack: float = 1
    shared_memory: float = 0
    file: float = 2
    special: float = 0
    swap: float = 0
    heap_space: float = 16
    anonymous_space: float = 30
    malloc_live: float = 8
    malloc_own: float = 0
    python_live: float = 6
    python_held: float = 8
    others: tuple[AllocatorStatistics, ...] = ()
    has_malloc: bool = True
    has_python: bool = True
    has_layout: bool = True

    def snapshot(self) -> Snapshot:
        """The process as a probe would read it."""
        kinds: dict[MappingKind, KindUsage] = {
            "heap": KindUsage(whole(self.heap_space), whole(self.heap)),
            "arena": KindUsage(64 * MIB, whole(self.arena)),
            "anonymous": KindUsage(whole(self.anonymous_space), whole(self.anonymous)),
            "stack": KindUsage(8 * MIB, whole(self.stack)),
            "shared-memory": KindUsage(MIB, whole(self.shared_memory)),
            "file": KindUsage(50 * MIB, whole(self.file)),
            "special": KindUsage(MIB, whole(self.special)),
        }
        allocators = list(self.others)
        if self.has_malloc:
            allocators.append(
                AllocatorStatistics(
                    "malloc",
                    whole(self.malloc_live),
                    kinds=("heap", "arena"),
                    own_mapping_live_bytes=whole(self.malloc_own),
                )
            )
        if self.has_python:
            allocators.append(
                AllocatorStatistics(
                    "python", whole(self.python_live), whole(self.python_held), from_start=True
                )
            )
        footprint = sum(one.counted_bytes for one in kinds.values()) + whole(self.swap)
        return Snapshot(
            footprint,
            footprint,
            swap_bytes=whole(self.swap),
            kinds=kinds if self.has_layout else {},
            allocators=tuple(allocators),
        )


def whole(mib: float) -> int:
    """Bytes."""
    return int(mib * MIB)


def other(live: float, held: float, own: float = 0) -> AllocatorStatistics:
    """An allocator that cuts its blocks from anonymous mappings, as a bundled one does."""
    return AllocatorStatistics("pool", whole(live), whole(held), own_mapping_live_bytes=whole(own))


def moved(ledger: Ledger) -> dict[str, float]:
    """The accounts that are not zero, ``unexplained`` included, in MiB."""
    return {name: size / MIB for name, size in ledger.to_dict().items() if size}


USUAL = Process()


@pytest.mark.parametrize(
    ("after", "accounts"),
    [
        pytest.param(USUAL, {}, id="nothing happened"),
        # -- malloc, whose heap and thread arenas are told by the layout --
        pytest.param(
            replace(USUAL, heap=14, malloc_live=12, heap_space=20),
            {"malloc-live": 4},
            id="blocks that malloc handed out are alive",
        ),
        pytest.param(
            replace(USUAL, heap=14, heap_space=20),
            {"malloc-free": 4},
            id="freed below the top of the heap: resident, and nobody's",
        ),
        pytest.param(
            replace(USUAL, heap=15, malloc_live=9, heap_space=20),
            {"malloc-free": 4, "malloc-live": 1},
            id="a small live block keeps what was freed below it",
        ),
        pytest.param(
            replace(USUAL, arena=6, malloc_live=9),
            {"malloc-free": 5, "malloc-live": 1},
            id="a thread arena belongs to malloc as the heap does",
        ),
        pytest.param(
            replace(USUAL, malloc_live=9.5),
            {"malloc-free": -1.5, "malloc-live": 1.5},
            id="a block in free memory that was resident before",
        ),
        pytest.param(
            replace(USUAL, heap=9),
            {"malloc-free": -1},
            id="malloc gave back free memory that was left from earlier",
        ),
        pytest.param(
            replace(USUAL, heap=7, malloc_live=5),
            {"malloc-live": -3},
            id="older blocks were freed, and given back",
        ),
        pytest.param(
            replace(USUAL, heap=12, malloc_live=30, heap_space=40),
            {"malloc-live": 4, "malloc-free": -2},
            id="live blocks count as far as they are resident",
        ),
        # -- blocks of malloc with a mapping of their own --
        pytest.param(
            replace(USUAL, anonymous=70, anonymous_space=80, malloc_own=50),
            {"malloc-live": 50},
            id="a large block is a mapping of its own",
        ),
        pytest.param(
            replace(USUAL, anonymous_space=80, malloc_own=50),
            {},
            id="a large block that nobody wrote to takes no memory",
        ),
        pytest.param(
            replace(USUAL, anonymous=30, anonymous_space=80, malloc_own=50),
            {"malloc-live": 10},
            id="a large block that was written to in part",
        ),
        pytest.param(
            replace(
                USUAL,
                heap=13,
                malloc_live=10,
                heap_space=20,
                anonymous=70,
                anonymous_space=80,
                malloc_own=50,
            ),
            {"malloc-live": 52, "malloc-free": 1},
            id="both kinds of malloc's blocks are one account",
        ),
        # -- pymalloc, whose arenas are anonymous mappings like any other --
        pytest.param(
            replace(USUAL, anonymous=24, anonymous_space=34, python_live=9.5, python_held=12),
            {"python-live": 3.5, "python-free": 0.5},
            id="a leak of Python objects, in new arenas",
        ),
        pytest.param(
            replace(USUAL, anonymous=24, anonymous_space=34, python_live=6.5, python_held=12),
            {"python-free": 3.5, "python-live": 0.5},
            id="few objects keep many arenas",
        ),
        pytest.param(
            replace(USUAL, python_live=7),
            {"python-live": 1, "python-free": -1},
            id="objects moved into free room of arenas that were resident",
        ),
        pytest.param(
            replace(USUAL, anonymous=15, anonymous_space=25, python_live=2, python_held=3),
            {"python-live": -4, "python-free": -1},
            id="arenas were given back",
        ),
        pytest.param(
            replace(USUAL, anonymous=16, anonymous_space=25, python_live=2, python_held=3),
            {"python-live": -4},
            id="arenas that were never written to whole were given back",
        ),
        pytest.param(
            replace(USUAL, anonymous=20.5, python_live=6.5),
            {"python-live": 0.5},
            id="objects in room of an old arena that was never written to",
        ),
        pytest.param(
            replace(USUAL, anonymous=20.75, anonymous_space=31, python_live=6.5, python_held=9),
            {"python-live": 0.5, "python-free": 0.25},
            id="the untouched end of a new arena is no memory",
        ),
        # -- mappings that no allocator speaks of --
        pytest.param(
            replace(USUAL, anonymous=60, anonymous_space=70),
            {"mapped": 40},
            id="a mapping made by somebody else",
        ),
        pytest.param(
            replace(USUAL, anonymous=60),
            {"unexplained": 38, "python-free": 2},
            id="without new address space: room of old arenas at most, and the rest is open",
        ),
        pytest.param(
            replace(USUAL, anonymous=50, anonymous_space=40, malloc_own=10),
            {"malloc-live": 10, "unexplained": 18, "python-free": 2},
            id="the space of a large block is the block's, and of nobody else",
        ),
        pytest.param(
            replace(USUAL, anonymous=15, anonymous_space=25),
            {"mapped": -5},
            id="somebody else's mapping went away",
        ),
        pytest.param(
            replace(USUAL, file=5, special=1),
            {"mapped": 4},
            id="pages of files that were written to, private from then on",
        ),
        pytest.param(
            replace(USUAL, stack=3, shared_memory=5, swap=7),
            {"swapped": 7, "shared-memory": 5, "stacks": 2},
            id="what has an account of its own",
        ),
        # -- another allocator --
        pytest.param(
            replace(USUAL, anonymous=36, anonymous_space=46, others=(other(10, 16),)),
            {"pool-live": 10, "pool-free": 6},
            id="an allocator that appears in the window",
        ),
        pytest.param(
            replace(USUAL, anonymous=22, anonymous_space=46, others=(other(1, 16),)),
            {"pool-live": 1, "pool-free": 1},
            id="its pool counts as far as it is resident",
        ),
        pytest.param(
            replace(USUAL, anonymous=36, anonymous_space=46, others=(other(0, 0, own=16),)),
            {"pool-live": 16},
            id="its large blocks have mappings of their own",
        ),
        pytest.param(
            replace(USUAL, has_python=False),
            {},
            id="pymalloc speaks no more, while its arenas stay",
        ),
        pytest.param(
            replace(USUAL, has_malloc=False),
            {},
            id="malloc speaks no more, while its heap stays",
        ),
    ],
)
def test_accounts_by_layout(after: Process, accounts: dict[str, float]) -> None:
    """Each thing that memory does has its account, and the rest is zero."""
    assert moved(close_ledger(USUAL.snapshot(), after.snapshot())) == accounts


UNTOUCHED = replace(USUAL, anonymous=8, anonymous_space=58, malloc_own=50)


def test_the_first_touch_of_an_old_block_is_malloc_s() -> None:
    """An array made before the window and filled inside it is live memory, not a mystery."""
    filled = replace(UNTOUCHED, anonymous=48)
    assert moved(close_ledger(UNTOUCHED.snapshot(), filled.snapshot())) == {"malloc-live": 40}


def test_a_first_touch_is_named_as_far_as_it_can_be_proven() -> None:
    """Resident memory of somebody else may be what was touched already, so the rest stays open."""
    before = replace(UNTOUCHED, anonymous=28, anonymous_space=78)
    filled = replace(before, anonymous=68)
    assert moved(close_ledger(before.snapshot(), filled.snapshot())) == {
        "malloc-live": 30,
        "python-free": 2,
        "unexplained": 8,
    }


def test_an_untouched_block_that_is_freed_gives_nothing_back() -> None:
    """It was never resident, so no account moves."""
    freed = replace(UNTOUCHED, anonymous_space=8, malloc_own=0)
    assert moved(close_ledger(UNTOUCHED.snapshot(), freed.snapshot())) == {}


def test_a_large_block_may_go_while_a_pool_comes() -> None:
    """What one allocator gives back is not taken for a limit of what another one took."""
    before = replace(USUAL, anonymous=70, anonymous_space=80, malloc_own=50)
    after = replace(USUAL, anonymous=30, anonymous_space=40, python_live=15, python_held=18)
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {
        "python-live": 9,
        "python-free": 1,
        "malloc-live": -50,
    }


def test_room_that_became_resident_is_spent_once() -> None:
    """Two allocators may have had room that nothing was written to; each byte is one's."""
    before = replace(USUAL, others=(other(10, 12),))
    after = replace(before, anonymous=23)
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {
        "pool-free": 2,
        "python-free": 1,
    }


def test_a_heap_that_no_allocator_claims_is_mapped() -> None:
    """With another malloc in the process, ``[heap]`` is memory like any other."""
    before = replace(USUAL, has_malloc=False)
    after = replace(before, heap=14, arena=3)
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {"mapped": 7}


def test_an_allocator_that_was_there_unheard_has_not_grown() -> None:
    """When tracemalloc ends inside the window, pymalloc speaks again: its arenas are old."""
    before = replace(USUAL, has_python=False)
    assert moved(close_ledger(before.snapshot(), USUAL.snapshot())) == {}


def test_beside_a_silent_allocator_no_mapping_is_nobody_s() -> None:
    """While tracemalloc runs, new anonymous memory may be pymalloc's: it is unexplained."""
    silent = AllocatorStatistics("python", 0, 0, from_start=True, is_silent=True)
    before = replace(USUAL, has_python=False, others=(silent,))
    after = replace(
        before, anonymous=before.anonymous + 9, anonymous_space=before.anonymous_space + 9
    )
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {"unexplained": 9}


def test_accounts_are_there_even_when_they_did_not_move() -> None:
    """A report always has the same columns, zero or not."""
    assert close_ledger(USUAL.snapshot(), USUAL.snapshot()).to_dict() == dict.fromkeys(
        (
            "malloc-live",
            "malloc-free",
            "python-live",
            "python-free",
            "mapped",
            "stacks",
            "shared-memory",
            "swapped",
            "unexplained",
        ),
        0,
    )


BARE = replace(USUAL, has_layout=False)


@pytest.mark.parametrize(
    ("after", "accounts"),
    [
        pytest.param(BARE, {}, id="nothing happened"),
        pytest.param(
            replace(BARE, heap=14, malloc_live=12), {"malloc-live": 4}, id="live in malloc"
        ),
        pytest.param(
            replace(BARE, anonymous=70, malloc_own=50), {"malloc-live": 50}, id="a large block"
        ),
        pytest.param(
            replace(BARE, anonymous=25, malloc_own=50),
            {"malloc-live": 5},
            id="live only as far as the footprint grew",
        ),
        pytest.param(
            replace(BARE, heap=14), {"unexplained": 4}, id="free in malloc: cannot be told"
        ),
        pytest.param(
            replace(BARE, anonymous=26, python_live=9, python_held=14),
            {"python-live": 3, "python-free": 3},
            id="free in pymalloc: it says so itself",
        ),
        pytest.param(
            replace(BARE, anonymous=22, python_live=9, python_held=14),
            {"python-live": 2},
            id="free in pymalloc only as far as the footprint grew",
        ),
        pytest.param(
            replace(BARE, anonymous=15, python_live=2, python_held=3),
            {"python-live": -4, "python-free": -1},
            id="arenas were given back",
        ),
        pytest.param(
            replace(BARE, heap=9, malloc_live=20), {"unexplained": -1}, id="a shrinking footprint"
        ),
        pytest.param(replace(BARE, shared_memory=3), {"unexplained": 3}, id="no allocator's"),
    ],
)
def test_accounts_without_layout(after: Process, accounts: dict[str, float]) -> None:
    """Only what allocators say of themselves has a name, and never more than the footprint."""
    assert moved(close_ledger(BARE.snapshot(), after.snapshot())) == accounts


@pytest.mark.parametrize(("before", "after"), [(USUAL, BARE), (BARE, USUAL)])
def test_one_layout_is_none(before: Process, after: Process) -> None:
    """A layout on one side only has nothing to be compared with."""
    grown = replace(after, heap=14, malloc_live=12)
    accounts = close_ledger(before.snapshot(), grown.snapshot()).to_dict()
    assert accounts == {
        "malloc-live": 4 * MIB,
        "python-live": 0,
        "python-free": 0,
        "unexplained": 0,
    }


def test_the_rest_is_unexplained() -> None:
    """What the accounts don't hold is a line of its own, so that everything sums."""
    ledger = Ledger(100 * KIB, {"malloc-free": 60 * KIB, "mapped": -10 * KIB})
    assert ledger.unexplained_bytes == 50 * KIB


def test_a_ledger_is_written_largest_first() -> None:
    """Readers find the account that matters at the top, and what was given back at the end."""
    ledger = Ledger(30, {"mapped": -5, "malloc-free": 10, "python-live": 20, "stacks": 0})
    assert list(ledger.to_dict().items()) == [
        ("python-live", 20),
        ("malloc-free", 10),
        ("unexplained", 5),
        ("stacks", 0),
        ("mapped", -5),
    ]
