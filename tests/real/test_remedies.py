"""For memory that is kept for a known reason, the remedy that works is found by trying."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import pytest

from pytest_memreturn import Record
from pytest_memreturn.report.advice import recommended

Judge = Callable[..., dict[str, Any]]

TRIM = "malloc_trim(0)"
TRIM_THRESHOLD = "MALLOC_TRIM_THRESHOLD_=131072"
MMAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_=131072"
ONE_ARENA = "MALLOC_ARENA_MAX=1"
COLLECT = "gc.collect()"
PYTHON_MALLOC = "PYTHONMALLOC=malloc"
CHILD = "the work in a child process that ends"
PYARROW = "pyarrow.default_memory_pool().release_unused()"

# By work-load: what returns its memory, and what does not.
REMEDIES = {
    "test_heap_top_pinned": ({TRIM, CHILD}, {COLLECT, ONE_ARENA, PYTHON_MALLOC, TRIM_THRESHOLD}),
    "test_dynamic_threshold": (
        {TRIM, TRIM_THRESHOLD, MMAP_THRESHOLD, CHILD},
        {COLLECT, ONE_ARENA, PYTHON_MALLOC},
    ),
    "test_thread_arenas": ({ONE_ARENA, CHILD}, {COLLECT, PYTHON_MALLOC}),
    "test_pymalloc_fragmented": ({CHILD}, {COLLECT, TRIM, TRIM_THRESHOLD, ONE_ARENA}),
    "test_cache_filled_once": ({CHILD}, {COLLECT, TRIM, TRIM_THRESHOLD, ONE_ARENA}),
    "test_pyarrow_pool": ({PYARROW, CHILD}, {COLLECT, TRIM, TRIM_THRESHOLD, ONE_ARENA}),
}


@pytest.mark.parametrize("workload", REMEDIES)
def test_the_remedy_that_works_is_found(judge: Judge, workload: str) -> None:
    """It is recommended with its bytes; what does not help is not, and nor is what nobody tried."""
    if workload == "test_pyarrow_pool" and importlib.util.find_spec("pyarrow") is None:
        left_out = "left out: pyarrow is not installed"
        if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
            pytest.fail(left_out)
        pytest.skip(left_out)
    works, does_not = REMEDIES[workload]

    found = judge(workload, "--memreturn-explain", source="workloads_remedies.py")

    record = Record.from_dict(found)
    assert record.explanation is not None
    assert record.explanation.incomplete == ()
    tried = {one.name: one for one in record.explanation.remedies}
    helped = {name for name, one in tried.items() if recommended(record, one)}
    assert works <= helped, tried
    assert does_not <= tried.keys() - helped, tried
    for name in works:
        assert tried[name].returns_bytes is not None
        assert (tried[name].returns_bytes or 0) >= (record.retained_bytes or 0) / 2, tried
    quoted = [name for name in tried if f"{name} (tried: returns " in found["stdout"]]
    assert quoted
    assert set(quoted) <= helped
    assert len(record.explanation.timeline) >= 2
    assert record.explanation.one_time is (workload == "test_cache_filled_once")


def test_the_line_that_keeps_it_is_named(judge: Judge) -> None:
    """A cache: its line, its bytes, and that a second call keeps no more."""
    found = judge("test_cache_filled_once", "--memreturn-explain", source="workloads_remedies.py")

    (line, *_) = found["explanation"]["lines"]
    assert line["file"] == "test_workloads_remedies.py"
    assert line["source"].startswith('cache["texts"] = [str(number)')
    assert abs(line["bytes"] - found["retained_bytes"]) < found["retained_bytes"] / 4
