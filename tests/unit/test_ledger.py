"""Accounts from two snapshots: hand-made ones, each for one thing that memory does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment
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

    Resident and address space by mapping kind; what malloc and pymalloc say of themselves, and
    `malloc_live` is what of it lies in the main heap.
    """

    heap: float = 10
    arena: float = 0
    anonymous: float = 20
    stack: float = 1
    shared_memory: float = 0
    file: float = 2
    special: float = 0
    swap: float = 0
    outside: Outside = NOTHING_OUTSIDE
    heap_space: float = 16
    anonymous_space: float = 30
    malloc_live: float = 8
    arena_live: float = 0
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
                    whole(self.malloc_live + self.arena_live),
                    live_by_kind={
                        "heap": whole(self.malloc_live),
                        "arena": whole(self.arena_live),
                    },
                    own_mapping_live_bytes=whole(self.malloc_own),
                )
            )
        if self.has_python:
            allocators.append(
                AllocatorStatistics(
                    "python", whole(self.python_live), whole(self.python_held), from_start=True
                )
            )
        inside = sum(one.counted_bytes for one in kinds.values()) + whole(self.swap)
        return Snapshot(
            inside + self.outside.footprint_bytes,
            inside,
            swap_bytes=whole(self.swap),
            kinds=kinds if self.has_layout else {},
            allocators=tuple(allocators),
            outside=self.outside,
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
            replace(USUAL, arena=6, arena_live=1),
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


def test_room_that_was_written_to_long_ago_does_not_become_resident() -> None:
    """Who fills an array made before must not pass for the working stock of an allocator."""
    roomy = replace(other(0, 30), most_untouched_bytes=whole(1.5))
    before = replace(USUAL, others=(roomy,), has_python=False)
    filled = replace(before, anonymous=24)
    assert moved(close_ledger(before.snapshot(), filled.snapshot())) == {
        "pool-free": 1.5,
        "unexplained": 2.5,
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


def test_lazily_freed_pages_that_are_written_to_again_are_mapped() -> None:
    """No allocator took them: the address space was there, and so was the room in arenas."""
    before = replace(Process(python_held=30).snapshot(), lazy_free_bytes=10 * MIB)
    after = replace(Process(python_held=30, anonymous=30).snapshot(), lazy_free_bytes=0)
    assert moved(close_ledger(before, after)) == {"mapped": 10}
    assert moved(close_ledger(after, before)) == {"mapped": -10}


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
    after = replace(before, heap=14, heap_space=20)
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {"mapped": 4}


def test_a_heap_that_no_allocator_claims_is_shared_out() -> None:
    """An allocator that takes the place of malloc cuts its blocks from ``[heap]``, too."""
    before = replace(USUAL, has_malloc=False)
    after = replace(before, heap=14, heap_space=20, others=(other(3, 4),))
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {
        "pool-live": 3,
        "pool-free": 1,
    }


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


# -- how an account is made up --


def parts_in_mib(ledger: Ledger) -> dict[str, dict[str, float]]:
    """The parts that are not zero, in MiB."""
    return {
        account: {name: size / MIB for name, size in parts.items() if size}
        for account, parts in ledger.parts.items()
    }


def test_the_accounts_of_malloc_are_told_apart_by_place() -> None:
    """Its main heap, its thread arenas, and blocks with a mapping of their own."""
    after = replace(
        USUAL,
        heap=15,
        heap_space=20,
        malloc_live=9,
        arena=6,
        arena_live=2,
        anonymous=70,
        anonymous_space=80,
        malloc_own=50,
    )
    ledger = close_ledger(USUAL.snapshot(), after.snapshot())
    assert moved(ledger) == {"malloc-live": 53, "malloc-free": 8}
    assert parts_in_mib(ledger) == {
        "malloc-live": {"main-heap": 1, "thread-arenas": 2, "own-mappings": 50},
        "malloc-free": {"main-heap": 4, "thread-arenas": 4},
    }


def test_a_first_touch_is_a_part_of_what_is_live() -> None:
    """A block that was made before the window has its own mapping as well."""
    filled = replace(UNTOUCHED, anonymous=48)
    ledger = close_ledger(UNTOUCHED.snapshot(), filled.snapshot())
    assert parts_in_mib(ledger)["malloc-live"] == {"own-mappings": 40}


def test_other_accounts_have_no_parts() -> None:
    """Neither has any where there is no layout to tell places apart."""
    assert set(close_ledger(USUAL.snapshot(), USUAL.snapshot()).parts) == {
        "malloc-live",
        "malloc-free",
    }
    assert close_ledger(BARE.snapshot(), BARE.snapshot()).parts == {}


# -- an allocator that does not say what it holds --


def untold(live: float, own: float = 0) -> AllocatorStatistics:
    """An allocator that says what it has handed out, and no more."""
    return AllocatorStatistics("pool", whole(live), own_mapping_live_bytes=whole(own))


@pytest.mark.parametrize("before", [USUAL, BARE])
@pytest.mark.parametrize(
    ("grown", "live", "given_back", "accounts"),
    [
        pytest.param(40, 10, 25, {"pool-live": 10, "pool-free": 25}, id="live, and given back"),
        pytest.param(40, 0, 40, {"pool-free": 40}, id="all of it was free"),
        pytest.param(40, 10, 0, {"pool-live": 10}, id="it gave nothing back"),
        pytest.param(40, 10, 90, {"pool-live": 10, "pool-free": 30}, id="more than there was"),
        pytest.param(40, 90, 25, {"pool-live": 40}, id="live only as far as there is memory"),
        pytest.param(40, 0, -5, {}, id="asking it took memory"),
    ],
)
def test_what_an_untold_allocator_gave_back_was_free_in_it(
    before: Process, grown: float, live: float, given_back: float, accounts: dict[str, float]
) -> None:
    """Its release shows what its statistics do not; whatever is left is somebody else's."""
    after = replace(
        before,
        anonymous=before.anonymous + grown,
        anonymous_space=before.anonymous_space + grown,
        others=(untold(live),),
    )
    ledger = close_ledger(
        before.snapshot(), after.snapshot(), given_back={"pool": whole(given_back)}
    )
    rest = {"mapped" if before.has_layout else "unexplained": grown - sum(accounts.values())}
    assert moved(ledger) == {**accounts, **{name: size for name, size in rest.items() if size}}


def test_what_others_gave_back_is_not_an_untold_allocator_s() -> None:
    """An allocator that says what it holds needs nobody to ask it."""
    after = replace(USUAL, heap=14, heap_space=20)
    ledger = close_ledger(USUAL.snapshot(), after.snapshot(), given_back={"malloc": whole(1)})
    assert moved(ledger) == {"malloc-free": 4}


def test_an_untold_allocator_was_there_before() -> None:
    """Its live bytes are compared as any other's, large blocks included."""
    before = replace(USUAL, others=(untold(10),))
    after = replace(before, anonymous=50, anonymous_space=60, others=(untold(15, own=20),))
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {
        "pool-live": 25,
        "mapped": 5,
    }


# -- allocators that are no part of it --


@pytest.mark.parametrize("is_before", [True, False])
def test_memory_elsewhere_has_no_account(*, is_before: bool) -> None:
    """A pool on a GPU holds none of this process's memory."""
    device = replace(other(500, 600), is_elsewhere=True)
    before = replace(USUAL, others=(replace(device, live_bytes=0),) if is_before else ())
    after = replace(USUAL, others=(device,))
    ledger = close_ledger(before.snapshot(), after.snapshot())
    assert moved(ledger) == {}
    assert not any(account.startswith("pool") for account in ledger.accounts)


@pytest.mark.parametrize("falls_silent", [True, False])
def test_an_allocator_that_is_silent_on_one_side_is_not_compared(*, falls_silent: bool) -> None:
    """What it holds neither came nor went, and new memory may be its own."""
    heard, silent = other(10, 16), replace(other(0, 0), is_silent=True)
    first, last = (heard, silent) if falls_silent else (silent, heard)
    before = replace(USUAL, others=(first,))
    after = replace(USUAL, others=(last,), anonymous=23, anonymous_space=33)
    ledger = close_ledger(before.snapshot(), after.snapshot())
    assert "pool-live" not in ledger.accounts
    assert ledger.accounts["mapped"] == 0
    assert moved(ledger) == {"unexplained": 3}


# -- beyond the process --


def child(mib: float, pid: int = 7) -> ChildProcess:
    """A child that holds so much."""
    return ChildProcess(pid, "python", "python -c pass", whole(mib))


def segment(size: float, counted: float) -> Segment:
    """A segment of which a part is mapped here."""
    return Segment("shm", "psm_1", whole(size), whole(counted), "root")


@pytest.mark.parametrize("base", [USUAL, BARE])
def test_what_is_outside_has_accounts_of_its_own(base: Process) -> None:
    """Children, segments, what hooks read; and it leaves the others as they are."""
    after = replace(
        base,
        outside=Outside(
            (child(30), child(5, pid=8)), (segment(9, 4),), {"device": whole(6)}, {"seen": 10**9}
        ),
    )
    ledger = close_ledger(base.snapshot(), after.snapshot())
    assert moved(ledger) == {"children": 35, "device": 6, "shared-memory": 4}
    assert ledger.growth_bytes == whole(45)


def test_segments_and_mapped_shared_memory_are_one_account() -> None:
    """What is mapped here is in the layout; a segment brings only what is not."""
    after = replace(USUAL, shared_memory=3, outside=Outside(segments=(segment(9, 4),)))
    assert moved(close_ledger(USUAL.snapshot(), after.snapshot())) == {"shared-memory": 7}


def test_what_was_outside_before_is_taken_off() -> None:
    """In a span inside a window there may be a child at its beginning."""
    before = replace(USUAL, outside=Outside((child(30),), (segment(9, 4),), {"device": whole(6)}))
    after = replace(USUAL, outside=Outside((child(10),), (), {"device": whole(8), "pool": 5}))
    ledger = close_ledger(before.snapshot(), after.snapshot())
    assert moved(ledger) == {"device": 2, "pool": 5 / MIB, "shared-memory": -4, "children": -20}
    gone = close_ledger(before.snapshot(), USUAL.snapshot())
    assert moved(gone) == {"shared-memory": -4, "device": -6, "children": -30}


def test_where_no_layout_is_the_outside_explains_nothing_else() -> None:
    """A child's memory is not taken for live blocks of this process."""
    after = replace(BARE, malloc_live=90, outside=Outside((child(30),)))
    assert moved(close_ledger(BARE.snapshot(), after.snapshot())) == {"children": 30}


# -- what the footprint does not show --


@pytest.mark.parametrize(
    ("accounts", "hidden_bytes"),
    [
        pytest.param({}, 0, id="nothing moved"),
        pytest.param({"malloc-live": 50, "malloc-free": 0}, 0, id="it shows: it is new memory"),
        pytest.param({"malloc-live": 50, "malloc-free": -50}, 50, id="all of it in old room"),
        pytest.param({"malloc-live": 50, "malloc-free": -20}, 20, id="a part in old room"),
        pytest.param({"malloc-live": 20, "malloc-free": -50}, 20, id="old room went, too"),
        pytest.param({"malloc-live": -5, "malloc-free": -50}, 0, id="nothing grew"),
        pytest.param({"malloc-live": 50, "malloc-free": 9}, 0, id="the room grew as well"),
        pytest.param({"malloc-live": 50}, 0, id="of whose room nothing is known"),
        pytest.param(
            {"malloc-live": 50, "malloc-free": 0, "python-live": 0, "python-free": -50},
            50,
            id="as much room of another allocator went",
        ),
        pytest.param(
            {"mapped": 50, "python-live": -1, "python-free": -70}, 49, id="more room than grew went"
        ),
        pytest.param(
            {"mapped": 50, "python-live": -60, "python-free": -70}, 0, id="more was given back"
        ),
        pytest.param(
            {"mapped": 50, "malloc-live": 20, "malloc-free": -20, "python-free": -30},
            20,
            id="room of which nobody says what is live",
        ),
        pytest.param(
            {
                "mapped": 50,
                "malloc-live": 20,
                "malloc-free": -30,
                "python-live": 0,
                "python-free": -30,
            },
            60,
            id="a part filled room, a part replaced it",
        ),
        pytest.param(
            {"malloc-live": 5, "malloc-free": -9, "python-live": 7, "python-free": -7},
            12,
            id="in two allocators",
        ),
        pytest.param(
            {"malloc-live": 50, "malloc-free": -50, "python-live": -30, "python-free": 30},
            20,
            id="the program gave a part back to another allocator",
        ),
        pytest.param(
            {"malloc-live": 50, "malloc-free": -50, "python-live": -80, "python-free": 80},
            0,
            id="it gave more back than it took",
        ),
        pytest.param(
            {"malloc-live": 50, "malloc-free": -50, "swapped": 10},
            50,
            id="some of the rest was swapped out",
        ),
        pytest.param(
            {"malloc-live": 0, "malloc-free": -50, "swapped": 50}, 0, id="free memory swapped out"
        ),
        pytest.param(
            {"malloc-live": 0, "malloc-free": 48, "python-live": 0, "python-free": -48},
            48,
            id="malloc keeps as much as free arenas went back",
        ),
        pytest.param(
            {"malloc-live": -40, "malloc-free": 48, "python-live": 0, "python-free": -48},
            8,
            id="most of what malloc keeps was handed out before",
        ),
    ],
)
def test_live_memory_hides_in_room_that_was_resident(
    accounts: dict[str, int], hidden_bytes: int
) -> None:
    """As much as grew alive in an allocator, and took its free memory away."""
    assert Ledger(sum(accounts.values()), accounts).hidden_bytes == hidden_bytes


def test_what_a_pool_gave_back_to_malloc_is_not_kept_by_it() -> None:
    """Free in the one, free in the other: it is the same memory."""
    accounts = {"malloc-live": 0, "malloc-free": 50, "pool-live": 0, "pool-free": -50}
    assert Ledger(0, accounts).hidden_bytes == 50
    assert Ledger(0, accounts, pooled={"malloc": -30}).hidden_bytes == 20
    assert Ledger(0, accounts, pooled={"malloc": -50}).hidden_bytes == 0


# -- spans that do not count --


def test_a_span_is_taken_out_account_by_account() -> None:
    """Also an account, or a part of one, that only one of the two has."""
    whole_window = Ledger(
        100, {"malloc-live": 60, "mapped": 30}, {"malloc-live": {"main-heap": 40, "x": 20}}
    )
    span = Ledger(
        50,
        {"malloc-live": 15, "children": 25},
        {"malloc-live": {"main-heap": 10, "y": 5}, "pool-live": {"main-heap": 0}},
    )
    assert whole_window.less(span) == Ledger(
        50,
        {"malloc-live": 45, "mapped": 30, "children": -25},
        {"malloc-live": {"main-heap": 30, "x": 20, "y": -5}, "pool-live": {"main-heap": 0}},
    )


def test_room_that_a_span_brought_can_hide_what_came_after_it() -> None:
    """A fixture's pool has room to spare, and the test leaves its blocks in it."""
    before = replace(USUAL, others=(other(0, 0),))
    with_room = replace(before, anonymous=30, anonymous_space=40, others=(other(0, 10),))
    after = replace(with_room, others=(other(6, 10),))
    span = close_ledger(before.snapshot(), with_room.snapshot())
    rest = close_ledger(before.snapshot(), after.snapshot()).less(span)
    assert moved(rest) == {"pool-live": 6, "pool-free": -6}
    assert rest.hidden_bytes == whole(6)


def test_no_more_hides_than_could_be_in_what_was_held_before() -> None:
    """Blocks in new memory show, though what is resident of them may not be known by address."""
    ledger = Ledger(0, {"pool-live": 50, "pool-free": -50}, most_hidden={"pool": 20})
    assert ledger.hidden_bytes == 20
    assert replace(ledger, most_hidden={"pool": -20}).hidden_bytes == 0
    assert replace(ledger, most_hidden={"other": 20}).hidden_bytes == 50


def slab(live: float, held: float, own: float = 0) -> AllocatorStatistics:
    """A pool that takes its memory from malloc."""
    return replace(other(live, held, own), name="slab", is_from_malloc=True)


def test_the_room_of_a_pool_from_malloc_is_malloc_s() -> None:
    """Anonymous memory that is written to for the first time is none of it."""
    before = replace(USUAL, malloc_live=8, others=(slab(1, 3),))
    after = replace(before, anonymous=23)
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {
        "python-free": 2,
        "unexplained": 1,
    }


def test_a_pool_from_malloc_may_map_large_blocks_itself() -> None:
    """They are its own beside what it holds of malloc."""
    before = replace(USUAL, others=(slab(1, 3),))
    after = replace(USUAL, anonymous=25, anonymous_space=35, others=(slab(1, 3, own=5),))
    assert moved(close_ledger(before.snapshot(), after.snapshot())) == {"slab-live": 5}


def test_a_pool_from_another_malloc_is_named_once() -> None:
    """What it holds is taken from whoever serves malloc, and is not counted twice."""

    def reading(anonymous: int, served: int, live: int, held: int) -> Snapshot:
        return Snapshot(
            footprint_bytes=anonymous,
            rss_bytes=anonymous,
            kinds={"anonymous": KindUsage(anonymous, anonymous)},
            allocators=(
                AllocatorStatistics("jemalloc", served, held_bytes=served),
                AllocatorStatistics("slab", live, held_bytes=held, is_from_malloc=True),
            ),
        )

    ledger = close_ledger(reading(100, 10, 0, 0), reading(140, 50, 30, 40))
    assert {name: size for name, size in ledger.accounts.items() if size} == {
        "slab-live": 30,
        "slab-free": 10,
    }
    assert (ledger.unexplained_bytes, ledger.hidden_bytes) == (0, 0)
