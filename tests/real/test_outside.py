"""Memory outside the process is found, named and charged to the test that left it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MIB = 1024 * 1024

Judge = Callable[..., dict[str, Any]]
Check = Callable[[dict[str, Any]], None]

# By work-load: cause, account and its growth in bytes; None is returned.
LEFT = {
    "test_child_left_running": ("child-process", "children", 40 * MIB),
    "test_child_ended": None,
    "test_older_child": None,
    "test_forked_child_left_running": ("child-process", "children", 30 * MIB),
    "test_pool_left_running": ("child-process", "children", 40 * MIB),
    "test_segment_left_behind": ("shared-memory", "shared-memory", 50 * MIB),
    "test_segment_still_mapped": ("shared-memory", "shared-memory", 50 * MIB),
    "test_segment_removed": None,
    "test_older_segment": None,
    "test_memfd_left_open": ("shared-memory", "shared-memory", 50 * MIB),
    "test_sysv_segment_left_behind": ("shared-memory", "shared-memory", 50 * MIB),
}

FOLDER = "/dev/shm/"  # noqa: S108 - where the kernel has them, not a place of ours

# What a child of CPython has besides what it was told to take.
INTERPRETER = 6 * MIB


@pytest.mark.parametrize("trim", [False, True], ids=["collect", "trim"])
@pytest.mark.parametrize("workload", LEFT)
def test_what_is_left_outside(judge: Judge, check_ledger: Check, workload: str, trim: bool) -> None:
    """Children and segments that stay are retained, others are not, at both gates."""
    options = ["--memreturn-trim"] if trim else []
    record = judge(workload, *options, source="workloads_outside.py")
    expected = LEFT[workload]
    assert record["verdict"] == ("retained" if expected else "returned"), record
    if expected is None:
        return
    cause, account, size = expected
    assert record["cause"] == cause, record
    check_ledger(record)
    tolerance = INTERPRETER if account == "children" else size * 0.05
    assert record["ledger"][account] == pytest.approx(size, abs=tolerance), record


def test_a_child_is_named(judge: Judge) -> None:
    """With its pid, its command line and its footprint."""
    record = judge("test_child_left_running", source="workloads_outside.py")
    (child,) = record["explanation"]["children"]
    assert child["name"].startswith("python")
    assert child["command"].endswith(" 40")
    assert child["footprint_bytes"] == record["ledger"]["children"]
    assert f"{child['name']} (pid {child['pid']})" in record["stdout"]


@pytest.mark.parametrize(
    ("workload", "kind", "name"),
    [
        ("test_segment_left_behind", "shm", FOLDER + "psm_"),
        ("test_segment_still_mapped", "shm", FOLDER + "psm_"),
        ("test_memfd_left_open", "memfd", "memfd:left-open"),
        ("test_sysv_segment_left_behind", "sysv", "shmid "),
    ],
)
def test_a_segment_is_named(judge: Judge, workload: str, kind: str, name: str) -> None:
    """With its kind, its name, its owner and what it occupies."""
    record = judge(workload, source="workloads_outside.py")
    (segment,) = record["explanation"]["segments"]
    assert (segment["kind"], segment["size_bytes"]) == (kind, 50 * MIB)
    assert segment["name"].startswith(name)
    assert segment["owner"] in record["stdout"]


def test_a_segment_counts_once(judge: Judge) -> None:
    """Mapped, it is in this process's own figures, and is not added again."""
    record = judge("test_segment_still_mapped", source="workloads_outside.py")
    (segment,) = record["explanation"]["segments"]
    assert segment["counted_bytes"] == 0
