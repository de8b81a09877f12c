"""Pictures of malloc's heaps and pymalloc's arenas, drawn of processes that made them so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MIB = 1024 * 1024

Judge = Callable[..., dict[str, Any]]

REGION = re.compile(r"(?:^|\|)[█░·]+ (\d+\.\d) (live|free|returned)(?=\|)")


def strip_of(stdout: str, label: str = "heap") -> str:
    """The strip on the line of that label in a failure message."""
    (line,) = [line for line in stdout.splitlines() if line.startswith(f"  {label:11}")]
    return line[13:]


def drawn(strip: str) -> list[tuple[str, float]]:
    """Its regions: what each is, and its MiB."""
    return [(kind, float(size)) for size, kind in REGION.findall(strip)]


def test_the_classic_picture_in_the_main_heap(judge: Judge) -> None:
    """Used, freed, a result, freed again: each with its size, within two hundredths."""
    record = judge(
        "test_classic_in_the_main_heap",
        source="workloads_heaps.py",
        variables={"COLUMNS": "120"},
    )
    assert record["cause"] == "held-by-malloc"
    regions = drawn(strip_of(record["stdout"]))
    *_, used, freed, result, freed_above = regions
    assert [kind for kind, _ in (used, freed, result, freed_above)] == [
        "live",
        "free",
        "live",
        "free",
    ]
    # Below it lies what the interpreter had before.
    assert 10 * 0.98 <= used[1] <= 25
    for found, expected in ((freed, 49), (result, 1), (freed_above, 49)):
        assert found[1] == pytest.approx(expected, rel=0.02, abs=0.051)


def test_the_classic_picture_in_the_heap_of_a_thread(judge: Judge) -> None:
    """There nothing else lies below it."""
    record = judge(
        "test_classic_in_the_heap_of_a_thread",
        source="workloads_heaps.py",
        variables={"COLUMNS": "120"},
    )
    strip = strip_of(record["stdout"])
    assert strip.startswith("thread heap 1 |")
    assert [kind for kind, _ in drawn(strip)[:4]] == ["live", "free", "live", "free"]
    for (_, found), expected in zip(drawn(strip), (4, 20, 1, 20), strict=False):
        assert found == pytest.approx(expected, rel=0.02, abs=0.051)


@pytest.mark.parametrize(
    "workload",
    [
        "test_classic_in_the_main_heap",
        "test_classic_in_the_heap_of_a_thread",
        "test_a_block_on_every_page",
    ],
)
def test_the_walk_agrees_with_malloc(judge: Judge, workload: str) -> None:
    """To the hundredth; and every byte of the heaps lies in a region."""
    heap = judge(workload, source="workloads_heaps.py")["explanation"]["heap"]
    assert (heap["proven"], heap["partial"], heap["reason"]) == (True, False, None)
    whole = heap["live_bytes"] + heap["free_bytes"] + heap["returned_bytes"]
    assert sum(one["bytes"] for one in heap["regions"]) == whole
    in_classes = sum(one["bytes"] for one in heap["live_sizes"])
    assert in_classes == pytest.approx(heap["live_bytes"], rel=0.01)


def test_blocks_that_pin_are_named(judge: Judge) -> None:
    """Native ones as well, of which no Python object knows."""
    record = judge("test_a_block_on_every_page", source="workloads_heaps.py")
    assert record["cause"] == "pinned-malloc"
    assert "free" in [kind for kind, size in drawn(strip_of(record["stdout"])) if size > 50]
    pin = record["explanation"]["pins"][0]
    assert pin["what"] == "native block"
    # The first one or two thousand found room in holes that the interpreter had left.
    assert 12_000 < pin["count"] <= 15_000
    assert pin["pinned_bytes"] == pytest.approx(15_000 * (4096 - 64), rel=0.1)


def test_the_block_near_the_top_is_named(judge: Judge) -> None:
    """The one for which all below it stays."""
    record = judge("test_classic_in_the_main_heap", source="workloads_heaps.py")
    pin = record["explanation"]["pins"][0]
    assert pin["what"] == "bytearray"
    assert pin["pinned_bytes"] == pytest.approx(98 * MIB, rel=0.02)


def test_tuples_that_pin_arenas_are_named(judge: Judge) -> None:
    """How full the arenas are, and what lives in those that are nearly empty."""
    record = judge("test_tuples_pin_arenas", source="workloads_heaps.py")
    assert record["cause"] == "pinned-python"
    arenas = record["explanation"]["heap"]["arenas"]
    assert arenas["arena_bytes"] == MIB
    nearly_empty = [size for size in arenas["live_bytes"] if size < MIB // 20]
    assert len(nearly_empty) > 50
    assert "▁▁▁▁▁▁▁▁" in strip_of(record["stdout"], "arenas")
    by_type = {one["what"]: one for one in record["explanation"]["pins"]}
    assert by_type["tuple"]["count"] >= 290
    assert "nearly empty arenas" in by_type["tuple"]["heap"]


@pytest.mark.extended
def test_heaps_of_random_blocks_are_walked() -> None:
    """500 rounds, with threads that allocate meanwhile: no crash, and nothing wrong is proven.

    In the rounds where nobody disturbs it, the walk is proven.
    """
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "fuzz_heaps.py"), "500", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stderr
    found = re.fullmatch(r"(\d+) proven, (\d+) unproven, 0 wrong\n", ended.stdout)
    assert found, ended.stdout + ended.stderr
    assert int(found[1]) >= 395, ended.stderr
