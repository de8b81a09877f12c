"""The chain that keeps memory alive is named, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Judge = Callable[..., dict[str, Any]]

HERE = "test_workloads_chains"

# By work-load: the type of what stays, and how its chain begins and ends.
CHAINS = {
    "test_module_global": (
        "bytes",
        f"{HERE}.RESULTS (list) → [",
        "] → dict['body'] → bytes 1.0 MiB",
    ),
    "test_lru_cache": ("bytes", f"{HERE}.load (functools._lru_cache_wrapper) → ", "bytes 1.0 MiB"),
    "test_kept_exception": (
        "bytearray",
        f"{HERE}.ERRORS (list) → [0] → ValueError.__traceback__ → frame of parse() local 'buffer'",
        "bytearray 20.0 MiB",
    ),
    "test_thread_local_variable": (
        "bytes",
        f"thread 'worker-1': {HERE}.test_thread_local_variable.<locals>.work() local 'data' (list)",
        "bytes 1.0 MiB",
    ),
    "test_view_of_an_array": (
        "numpy.ndarray",
        f"{HERE}.RESULTS (list) → [0] → numpy.ndarray → ",
        "numpy.ndarray 20.0 MiB",
    ),
    "test_closure": (
        "bytearray",
        f"{HERE}.HANDLERS (list) → [0] → test_closure.<locals>.handler() closure of 'large' → ",
        "bytearray 20.0 MiB",
    ),
    "test_class_attribute": (
        "bytearray",
        f"{HERE}.Parser.cache (dict) → ['page'] → list[0] → ",
        "bytearray 20.0 MiB",
    ),
    "test_only_c_code": ("bytes", "C code (list) → [", "] → bytes 1.0 MiB"),
}


@pytest.mark.parametrize("workload", CHAINS)
def test_the_chain_is_right(judge: Judge, workload: str) -> None:
    """In the report, and in the message, which stays within twelve lines of 100 columns."""
    record = judge(workload, source="workloads_chains.py", variables={"COLUMNS": "100"})
    kind, begins, ends = CHAINS[workload]
    assert record["cause"] == "live-python"
    survivor = record["explanation"]["survivors"][0]
    assert survivor["type"] == kind
    assert survivor["bytes"] == pytest.approx(20 * 1024 * 1024, rel=0.05)
    assert survivor["chain"].startswith(begins)
    assert survivor["chain"].endswith(ends)
    lines = record["stdout"].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("kept "))
    message = lines[first : lines.index("", first)]
    assert len(message) <= 12
    assert max(map(len, message)) <= 100
    assert "  kept by    " in record["stdout"]
