"""How a program asks an allocator for what is free, and what a process can be started with."""

from __future__ import annotations

from collections.abc import Mapping

_CALLS: Mapping[str, str] = {
    "malloc": "malloc_trim(0)",
    "jemalloc": 'mallctl("arena.4096.purge")',
    "tcmalloc": "MallocExtension_ReleaseFreeMemory()",
    "mimalloc": "mi_collect(true)",
    "pyarrow": "pyarrow.default_memory_pool().release_unused()",
}
# Instead of a call.
_ALTERNATIVES: Mapping[str, str] = {"jemalloc": "or set MALLOC_CONF=background_thread:true"}

# Variables of glibc's malloc, read once when a process starts; the thresholds are what malloc
# begins with, but no longer grow with the blocks that are freed.
TRIM_THRESHOLD = ("MALLOC_TRIM_THRESHOLD_", "131072")
MMAP_THRESHOLD = ("MALLOC_MMAP_THRESHOLD_", "131072")
ONE_ARENA = ("MALLOC_ARENA_MAX", "1")


def release_call(allocator: str) -> str:
    """What a program calls to have free memory handed back by `allocator`."""
    return _CALLS.get(allocator, f"the release of {allocator}")


def alternative(allocator: str) -> str | None:
    """What does the same without a call, where there is something."""
    return _ALTERNATIVES.get(allocator)


def setting(variable: tuple[str, str]) -> str:
    """A variable as it is written."""
    return "=".join(variable)
