"""Work-loads whose fate is known are judged right, at both gates, with the right cause."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

MIB = 1024 * 1024

Judge = Callable[..., dict[str, Any]]
Check = Callable[[dict[str, Any]], None]

# By work-load: the cause at the gate `collect`, then at the gate `trim`; None is returned.
CAUSES = {
    "test_everything_freed": (None, None),
    "test_freed_under_a_live_block_at_the_top": ("held-by-malloc", None),
    "test_one_native_block_on_every_heap_page": ("pinned-malloc", "pinned-malloc"),
    "test_one_object_in_every_pymalloc_arena": ("pinned-python", "pinned-python"),
    "test_python_leak_of_small_objects": ("live-python", "live-python"),
    "test_python_leak_of_buffers": ("live-python", "live-python"),
    "test_python_leak_into_an_old_hole": ("live-python", "live-python"),
    "test_malloc_never_freed": ("live-native", "live-native"),
    "test_malloc_never_freed_beside_a_reserved_buffer": ("live-native", "live-native"),
    "test_large_malloc_never_freed": ("live-native", "live-native"),
    "test_lazily_freed_mapping": (None, None),
    "test_mapping_kept": ("mapped", "mapped"),
    "test_untouched_block": (None, None),
    "test_reference_cycle": (None, None),
    "test_small_objects_come_and_go": (None, None),
    "test_cycles_of_small_objects_come_and_go": (None, None),
    # Ends only if the census keeps off the free list of CPython 3.12's asyncio.
    "test_leak_beside_asyncio": ("live-python", "live-python"),
    "test_tracemalloc_starts": (None, None),
    "test_thread_arenas_freed": ("held-by-malloc", None),
    "test_native_leak_into_resident_holes": ("live-native", "live-native"),
    "test_buffers_leak_into_resident_holes": ("live-python", "live-python"),
    "test_objects_leak_into_resident_arenas": ("live-python", "live-python"),
    "test_large_untouched_block_beside_holes": (None, None),
    "test_holes_are_used_and_left": (None, None),
    "test_stacks_of_threads": ("mapped", "mapped"),
    "test_huge_pages_for_a_few_bytes": ("mapped", "mapped"),
    "test_holes_filled_by_huge_pages": (None, None),
    "test_log_records": ("live-python", "live-python"),
    "test_session_fixture_inside": (None, None),
    "test_leak_beside_session_fixture": ("live-python", "live-python"),
}

# With its header for gc: 48, and from CPython 3.14 on, which keeps its hash in it, 64.
TUPLE_BYTES = -(-sys.getsizeof((0,)) // 16) * 16

# By work-load: the account that must have grown, and by how many bytes.
KNOWN_GROWTH = {
    "test_freed_under_a_live_block_at_the_top": ("malloc-free", 20_000 * 3_056),
    "test_one_native_block_on_every_heap_page": ("malloc-free", 15_000 * (4_096 - 64)),
    "test_python_leak_of_buffers": ("malloc-live", 10_000 * 5_024),
    "test_python_leak_into_an_old_hole": ("malloc-live", 20 * MIB),
    "test_malloc_never_freed": ("malloc-live", 50_000 * 1_008),
    "test_large_malloc_never_freed": ("malloc-live", 50 * (MIB + 4_096)),
    "test_mapping_kept": ("mapped", 50 * MIB),
    "test_native_leak_into_resident_holes": ("malloc-live", 40_000 * 1_008),
    "test_buffers_leak_into_resident_holes": ("malloc-live", 40_000 * 992),
    # A tuple and its number; pymalloc hands out multiples of 16 bytes.
    "test_objects_leak_into_resident_arenas": ("python-live", 300_000 * (TUPLE_BYTES + 32)),
    "test_stacks_of_threads": ("stacks", 8 * 4 * MIB),
    "test_huge_pages_for_a_few_bytes": ("mapped", 60 * MIB),
    "test_leak_beside_session_fixture": ("malloc-live", 20 * MIB),
}


@pytest.mark.parametrize("trim", [False, True], ids=["collect", "trim"])
@pytest.mark.parametrize("workload", CAUSES)
def test_verdict_and_cause_are_right(
    judge: Judge, check_ledger: Check, workload: str, trim: bool
) -> None:
    """Alone in its process, a work-load gets the verdict and the cause that it was made for."""
    record = judge(workload, *(["--memreturn-trim"] if trim else []))
    cause = CAUSES[workload][trim]
    assert record["cause"] == cause, record
    assert record["verdict"] == ("retained" if cause else "returned"), record
    if not cause:
        return
    check_ledger(record)
    if workload in KNOWN_GROWTH:
        account, size = KNOWN_GROWTH[workload]
        pinned_pages_only = trim and cause == "pinned-malloc"
        tolerance = size * (0.2 if pinned_pages_only else 0.05)
        assert record["ledger"][account] == pytest.approx(size, abs=tolerance), record


def test_the_peak_is_the_kernels_own(judge: Judge) -> None:
    """A spike that lasts for a moment is in the peak, whole."""
    record = judge("test_a_spike_of_30_mib")
    assert record["peak_quality"] == "exact"
    assert record["peak_growth_bytes"] == pytest.approx(30 * MIB, abs=MIB // 2)


def test_lazily_freed_pages_are_shown(judge: Judge) -> None:
    """MADV_FREE pages stay resident; they are told apart and don't count."""
    record = judge("test_lazily_freed_mapping", "--memreturn-max-retained=0")
    assert record["retained_bytes"] < MIB
    # Each processor may hold some pages back before it hands them to the lazy list.
    assert record["shown"]["lazy-free"] == pytest.approx(50 * MIB, abs=MIB // 2)


def test_survivors_are_named(judge: Judge) -> None:
    """The objects a test left behind are counted by type, without a census before it."""
    record = judge("test_python_leak_of_small_objects")
    survivors = {one["type"]: one["count"] for one in record["explanation"]["survivors"]}
    assert survivors["dict"] > 90_000
    assert survivors["str"] > 90_000


def test_hidden_growth_is_told_apart(judge: Judge) -> None:
    """What grew into resident memory is retained, though the footprint hardly moved."""
    record = judge("test_native_leak_into_resident_holes")
    readings = record["readings"]
    assert abs(readings["collect"] - readings["baseline"]) < 2 * MIB
    assert record["hidden_bytes"] == pytest.approx(40_000 * 1_008, rel=0.05)


def test_huge_pages_are_pointed_out(judge: Judge) -> None:
    """Memory that only huge pages make resident is said to be so."""
    record = judge("test_huge_pages_for_a_few_bytes")
    assert record["explanation"]["unwritten_huge_page_bytes"] == pytest.approx(60 * MIB, abs=MIB)
    assert record["shown"]["huge-pages"] == pytest.approx(60 * MIB, abs=MIB)


def test_what_pytest_keeps_is_named(judge: Judge) -> None:
    """Captured log records are named with about the bytes they take."""
    record = judge("test_log_records")
    (held,) = record["explanation"]["held_by_pytest"]
    assert held["what"] == "log records that pytest captured"
    assert held["count"] == 1_000
    assert held["bytes"] == pytest.approx(record["retained_bytes"], rel=0.1)


@pytest.mark.parametrize(
    ("workload", "kept"),
    [("test_session_fixture_inside", 0), ("test_leak_beside_session_fixture", 20 * MIB)],
)
def test_a_wider_fixture_is_not_blamed_on_the_test(judge: Judge, workload: str, kept: int) -> None:
    """A session fixture that is first set up inside is named, with what it keeps."""
    record = judge(workload)
    (excluded,) = record["excluded"]
    assert (excluded["fixture"], excluded["scope"]) == ("connection_pool", "session")
    assert excluded["bytes"] == pytest.approx(8_000 * 5_057, rel=0.05)
    assert record["retained_bytes"] == pytest.approx(kept, abs=MIB)


def test_parts_of_malloc_are_told_apart(judge: Judge) -> None:
    """Main heap, thread arenas and blocks with a mapping each are parts of malloc's accounts."""
    heap = judge("test_malloc_never_freed")["explanation"]["parts"]["malloc-live"]
    assert heap["main-heap"] == pytest.approx(50_000 * 1_008, rel=0.05)
    own = judge("test_large_malloc_never_freed")["explanation"]["parts"]["malloc-live"]
    assert own["own-mappings"] == pytest.approx(50 * MIB, rel=0.05)
    pinned = judge("test_one_native_block_on_every_heap_page")["explanation"]["parts"]
    assert pinned["malloc-free"]["main-heap-pinned"] > 40 * MIB
    arenas = judge("test_thread_arenas_freed")["explanation"]["parts"]["malloc-free"]
    assert arenas["thread-arenas-trimmable"] + arenas["thread-arenas-tops"] > 60 * MIB


def test_arenas_of_pymalloc_are_counted(judge: Judge) -> None:
    """How many arenas pymalloc took is there to read."""
    record = judge("test_python_leak_of_small_objects")
    grown = {one["name"]: one for one in record["explanation"]["allocators"]}
    assert grown["python"]["arenas"] * MIB == grown["python"]["held_bytes"]
    assert 25 <= grown["python"]["arenas"] <= 35


@pytest.mark.parametrize(
    ("workload", "account", "cause"),
    [
        ("test_python_leak_of_small_objects", "malloc-live", "live-python"),
        ("test_one_object_in_every_pymalloc_arena", "malloc-free", "held-by-malloc"),
    ],
)
def test_without_pymalloc(
    judge: Judge, check_ledger: Check, workload: str, account: str, cause: str
) -> None:
    """Under PYTHONMALLOC=malloc all of it is malloc's, and nothing is said of pymalloc."""
    record = judge(workload, variables={"PYTHONMALLOC": "malloc"})
    assert record["cause"] == cause, record
    assert "python-live" not in record["ledger"]
    assert max(record["ledger"], key=record["ledger"].__getitem__) == account
    check_ledger(record)


def test_with_debug_hooks(judge: Judge, check_ledger: Check) -> None:
    """Under PYTHONDEVMODE every block is larger, and in the same accounts."""
    plain = judge("test_python_leak_of_small_objects")
    record = judge("test_python_leak_of_small_objects", variables={"PYTHONDEVMODE": "1"})
    assert record["cause"] == "live-python"
    assert record["ledger"]["python-live"] > 1.1 * plain["ledger"]["python-live"]
    check_ledger(record)


@pytest.mark.parametrize(
    ("workload", "trim", "verdict"),
    [
        ("test_everything_freed", False, "returned"),
        ("test_freed_under_a_live_block_at_the_top", False, "retained"),
        ("test_freed_under_a_live_block_at_the_top", True, "returned"),
        ("test_python_leak_of_small_objects", False, "retained"),
        ("test_malloc_never_freed", True, "retained"),
    ],
)
def test_the_portable_probe_agrees(judge: Judge, workload: str, trim: bool, verdict: str) -> None:
    """Through psutil alone the verdicts are the same, and the peak says how good it is."""
    options = ["-o", "memreturn_probe=portable", *(["--memreturn-trim"] if trim else [])]
    record = judge(workload, *options)
    assert record["verdict"] == verdict, record
    assert record["peak_quality"] in {"process", "at-least"}
    if verdict == "retained":
        assert sum(record["ledger"].values()) == record["retained_bytes"]
