"""The ledger of a tree of processes, by example."""

from __future__ import annotations

from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, Snapshot
from pytest_memreturn._tree_ledger import close_tree_ledger, free_parts

KEY, OTHER = ProcessKey(1, 1), ProcessKey(2, 1)


def reading(key: ProcessKey, snapshot: Snapshot) -> ProcessReading:
    """A process that reads so."""
    return ProcessReading(key, "python", "serve", snapshot)


def malloc(live: int, tops: int = 0) -> tuple[AllocatorStatistics, ...]:
    """What a malloc says with so much in its main heap."""
    return (
        AllocatorStatistics(
            "malloc", live, 50, {"heap": live, "arena": 0}, thread_top_bytes=tops, from_start=True
        ),
    )


def test_processes_that_were_asked_and_others() -> None:
    """Live and free are told apart where they can be, and everything sums."""
    before = [
        reading(KEY, Snapshot(20, 0, kinds={"heap": KindUsage(20, 20)}, allocators=malloc(5))),
        reading(OTHER, Snapshot(10, 0, kinds={"heap": KindUsage(9, 9)})),
    ]
    after = [
        reading(KEY, Snapshot(50, 0, kinds={"heap": KindUsage(50, 50)}, allocators=malloc(15))),
        reading(OTHER, Snapshot(17, 0, 2, kinds={"heap": KindUsage(9, 12)})),
    ]
    ledger = close_tree_ledger(before, after)
    assert ledger.to_dict() == {
        "malloc-free": 20,
        "malloc-live": 10,
        "heaps": 3,
        "swapped": 2,
        "unexplained": 2,
        "mapped": 0,
        "stacks": 0,
        "shared-memory": 0,
    }
    assert free_parts(ledger, before, after)["malloc-free"]["main-heap-pinned"] == 20


def test_a_process_that_came_and_one_that_ended() -> None:
    """What one had is gone from the same accounts into which the other one's goes."""
    before = [
        reading(KEY, Snapshot(20, 0, kinds={"heap": KindUsage(20, 20)}, allocators=malloc(5)))
    ]
    after = [
        reading(OTHER, Snapshot(30, 0, kinds={"heap": KindUsage(30, 30)}, allocators=malloc(9)))
    ]
    ledger = close_tree_ledger(before, after)
    assert (ledger.accounts["malloc-live"], ledger.accounts["malloc-free"]) == (4, 6)
    assert ledger.unexplained_bytes == 0


def test_without_a_layout() -> None:
    """Nothing has a name."""
    found = close_tree_ledger([reading(KEY, Snapshot(5, 5))], [reading(KEY, Snapshot(9, 9))])
    assert found.to_dict() == {"unexplained": 4}
