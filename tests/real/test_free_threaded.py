"""What a free-threaded build can be asked, and what it says of the rest."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this build has a GIL"
)

MIB = 1024 * 1024

Judge = Callable[..., dict[str, Any]]


def test_what_cannot_be_read_is_said(judge: Judge, tmp_path: Path) -> None:
    """Python's objects are in no account: the rest of the ledger holds, and the reason is named."""
    record = judge("test_python_leak_of_small_objects")
    assert (record["verdict"], record["cause"]) == ("retained", "unexplained")
    assert not {"python-live", "python-free"} & set(record["ledger"])
    assert sum(record["ledger"].values()) == record["retained_bytes"] - record["hidden_bytes"]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert "free-threaded" in report["environment"]["unavailable"]["python"]
    assert "python" not in report["environment"]["allocators"]


def test_objects_are_counted_all_the_same(judge: Judge) -> None:
    """The census needs no statistics."""
    record = judge("test_python_leak_of_small_objects")
    survivors = {one["type"]: one["count"] for one in record["explanation"]["survivors"]}
    assert survivors["dict"] > 90_000
    assert survivors["str"] > 90_000


@pytest.mark.parametrize(
    ("workload", "cause", "account", "size"),
    [
        ("test_malloc_never_freed", "live-native", "malloc-live", 50_000 * 1_008),
        ("test_mapping_kept", "mapped", "mapped", 50 * MIB),
        ("test_stacks_of_threads", "mapped", "stacks", 8 * 4 * MIB),
    ],
)
def test_what_python_does_not_hold_has_its_account(
    judge: Judge, workload: str, cause: str, account: str, size: int
) -> None:
    """The C library and the kernel speak as they do elsewhere."""
    record = judge(workload)
    assert (record["verdict"], record["cause"]) == ("retained", cause), record
    assert record["ledger"][account] == pytest.approx(size, rel=0.05), record


@pytest.mark.parametrize("workload", ["test_untouched_block", "test_holes_are_used_and_left"])
def test_what_came_back_is_returned(judge: Judge, workload: str) -> None:
    """And so is what was never used."""
    assert judge(workload)["verdict"] == "returned"
