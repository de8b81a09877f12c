"""For memory that is kept for a known reason, the remedy that works is found by trying."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_memreturn import Record
from pytest_memreturn.report.advice import recommended

# Each runs its work-load a dozen times.
pytestmark = pytest.mark.extended

Judge = Callable[..., dict[str, Any]]

TRIM = "malloc_trim(0)"
TRIM_THRESHOLD = "MALLOC_TRIM_THRESHOLD_=131072"
MMAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_=131072"
ONE_ARENA = "MALLOC_ARENA_MAX=1"
COLLECT = "gc.collect()"
PYTHON_MALLOC = "PYTHONMALLOC=malloc"
CHILD = "the work in a child process that ends"
PYARROW = "pyarrow.default_memory_pool().release_unused()"

# However busy the machine is.
PATIENTLY = ("--memreturn-explain", "--memreturn-explain-timeout=600")

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
    "test_import": ({CHILD}, {COLLECT, TRIM, TRIM_THRESHOLD, ONE_ARENA}),
    "test_pyarrow_pool": ({PYARROW, CHILD}, {COLLECT, TRIM, TRIM_THRESHOLD, ONE_ARENA}),
}


# By work-load that keeps memory on first use only: the file and the line that did.
ONE_TIME = {
    "test_cache_filled_once": ("test_workloads_remedies.py", 'cache["texts"] = [str(number)'),
    "test_import": ("tables.py", "TABLE = [str(one)"),
}


def needs(*libraries: str) -> None:
    """Say what is left out without them; where nothing may be, fail."""
    for name in libraries:
        if importlib.util.find_spec(name) is None:
            left_out = f"left out: {name} is not installed"
            if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
                pytest.fail(left_out)
            pytest.skip(left_out)


@pytest.mark.parametrize("workload", REMEDIES)
def test_the_remedy_that_works_is_found(judge: Judge, workload: str) -> None:
    """It is recommended with its bytes; what does not help is not, and nor is what nobody tried."""
    if workload == "test_pyarrow_pool":
        needs("pyarrow")
    works, does_not = REMEDIES[workload]

    found = judge(workload, *PATIENTLY, source="workloads_remedies.py")

    record = Record.from_dict(found)
    assert record.explanation is not None
    # On a machine that does much else, the census may not come to its end in time.
    incomplete = [one for one in record.explanation.incomplete if "are partial" not in one]
    assert incomplete == []
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
    assert record.explanation.one_time is (workload in ONE_TIME)
    if workload in ONE_TIME:
        file, source = ONE_TIME[workload]
        line = record.explanation.lines[0]
        assert line.file.endswith(file)
        assert (line.source or "").startswith(source)


def test_the_native_function_that_allocated_is_named(judge: Judge) -> None:
    """With the line of Python that called it."""
    needs("lxml", "memray")

    found = judge("test_document_kept", *PATIENTLY, source="workloads_remedies.py")

    (line, *_) = found["explanation"]["lines"]
    assert line["source"].startswith('cache["document"] = etree.fromstring(')
    assert line["native"].startswith("xml")
    assert line["bytes"] >= found["retained_bytes"] / 2


def test_outside_pytest(tmp_path: Path) -> None:
    """A script has its own function explained, without running itself again."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")

    ended = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    lines = ended.stdout.splitlines()
    assert lines[0].startswith("kept 58.")
    assert any(line.startswith("  remedy     malloc_trim(0): keeps ") for line in lines)
    assert any(line.startswith("  try        malloc_trim(0) (tried: returns 58.") for line in lines)


PROGRAM = """
from pytest_memreturn import MemoryNotReturned, measure

kept = []

def work():
    blocks = [bytes(3_000) for _ in range(20_000)]
    kept.append(bytes(3_000))
    del blocks

if __name__ == "__main__":
    measured = measure("1 MiB")
    try:
        with measured:
            work()
    except MemoryNotReturned:
        print(measured.explain(work))
"""
