"""What native code allocates, by memray where it is installed (the extra ``memray``)."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_memreturn.reruns.lines import FRAMES, Trace

# What a frame is called of which memray knows no name.
_UNKNOWN = "<unknown>"
# Allocators of malloc's are at home in these; what asked for the memory lies above them.
_WRAPPERS = ("malloc", "calloc", "realloc", "operator new")


def is_installed() -> bool:
    """Whether native code can be looked at."""
    return importlib.util.find_spec("memray") is not None


@contextlib.contextmanager
def tracked(recording: Path) -> Iterator[None]:
    """Have memray write down every allocation in between."""
    import memray

    with memray.Tracker(recording, native_traces=True, trace_python_allocators=True):
        yield


def traces(recording: Path) -> Iterator[Trace]:
    """What native code has taken and not freed; Python's own allocations are left to tracemalloc.

    By stack: a million allocations from one place are one.
    """
    import memray

    pythons_own = {
        memray.AllocatorType.PYMALLOC_MALLOC,
        memray.AllocatorType.PYMALLOC_CALLOC,
        memray.AllocatorType.PYMALLOC_REALLOC,
    }
    with memray.FileReader(recording) as reader:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            if record.allocator in pythons_own:
                continue
            found = record.stack_trace(FRAMES)
            frames = [(file, line) for _, file, line in reversed(found)]
            yield Trace(record.size, frames, _asker(record, {name for name, _, _ in found}))


def _asker(record: Any, pythons: set[str]) -> str | None:  # noqa: ANN401 - memray need not be there
    """The innermost native function with a name; ``None`` where Python code comes first."""
    for name, _, _ in record.hybrid_stack_trace(FRAMES):
        if name in pythons:
            return None
        if name != _UNKNOWN and not name.startswith(_WRAPPERS):
            return str(name)
    return None
