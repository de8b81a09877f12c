"""How each process of a tree grew, and what the tree is as a whole."""

from __future__ import annotations

from pytest_memreturn._processes import (
    ProcessKey,
    ProcessReading,
    WatchedProcess,
    bounds_of_growth,
    footprint_of,
    growth_by_process,
    nothing_of,
    sum_of,
)
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, Snapshot


def reading(pid: int, size: int, started: int = 1, **fields: object) -> ProcessReading:
    """A process with so much."""
    snapshot = Snapshot(size, 2 * size, **fields)  # type: ignore[arg-type]
    return ProcessReading(ProcessKey(pid, started), f"name{pid}", f"command {pid}", snapshot)


def test_growth_by_process() -> None:
    """The one that grew most comes first; who came had nothing, and who ended has nothing."""
    before = [reading(1, 10), reading(2, 20), reading(3, 5)]
    after = [reading(1, 11), reading(2, 15), reading(4, 30)]
    assert growth_by_process(before, after, {2: "asleep", 3: "gone"}) == (
        WatchedProcess(4, "name4", "command 4", None, 30),
        WatchedProcess(1, "name1", "command 1", 10, 11),
        WatchedProcess(2, "name2", "command 2", 20, 15, "asleep"),
        WatchedProcess(3, "name3", "command 3", 5, None),
    )


def test_a_pid_that_is_used_again_is_another_process() -> None:
    """Only the start time tells."""
    grown = growth_by_process([reading(1, 10, started=1)], [reading(1, 12, started=2)])
    assert [(one.before_bytes, one.after_bytes) for one in grown] == [(None, 12), (10, None)]


def test_bounds() -> None:
    """What an unsure process kept may be free, and what it gave back may hide growth."""
    processes = growth_by_process(
        [reading(1, 10), reading(2, 20), reading(3, 5)],
        [reading(1, 15), reading(2, 12), reading(3, 50)],
    )
    assert bounds_of_growth(processes, {1, 2}) == (-5, 8)
    assert bounds_of_growth(processes, set()) == (0, 0)
    # Of one that gave back what is free at the last reading only, and had so much in use then.
    assert bounds_of_growth(processes, {1, 2}, {1: 7}) == (0, 15)
    assert bounds_of_growth(processes, {1, 2}, {1: 70, 2: 70}) == (0, 30)


def test_a_tree_as_one() -> None:
    """Every figure is a sum, kind by kind."""
    tree = [
        reading(
            1,
            10,
            swap_bytes=1,
            lazy_free_bytes=2,
            file_bytes=3,
            huge_page_bytes=4,
            kinds={"heap": KindUsage(8, 5)},
        ),
        reading(
            2,
            20,
            swap_bytes=10,
            lazy_free_bytes=20,
            file_bytes=30,
            huge_page_bytes=40,
            kinds={"heap": KindUsage(4, 2), "stack": KindUsage(1, 1)},
        ),
    ]
    assert footprint_of(tree) == 30
    assert sum_of(tree) == Snapshot(
        30,
        60,
        swap_bytes=11,
        lazy_free_bytes=22,
        file_bytes=33,
        huge_page_bytes=44,
        kinds={"heap": KindUsage(12, 7), "stack": KindUsage(1, 1)},
    )


def test_a_figure_that_one_lacks_is_none() -> None:
    """A sum of some is no sum."""
    whole = sum_of([reading(1, 10, file_bytes=3), reading(2, 10)])
    assert (whole.file_bytes, whole.lazy_free_bytes) == (None, None)


def test_nothing() -> None:
    """Zeros of everything that the reading says."""
    allocators = (
        AllocatorStatistics("malloc", 5, 9, {"heap": 5}, 3, thread_top_bytes=1, arenas=2),
        AllocatorStatistics("other", 5),
    )
    found = nothing_of(Snapshot(10, 10, kinds={"heap": KindUsage(8, 5)}, allocators=allocators))
    assert (found.footprint_bytes, dict(found.kinds)) == (0, {"heap": KindUsage(0, 0)})
    assert found.allocators == (
        AllocatorStatistics("malloc", 0, 0, {"heap": 0}, 0, arenas=0),
        AllocatorStatistics("other", 0),
    )
