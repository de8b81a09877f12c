"""The only code that changes the state of the process, but for the peak that a probe resets."""

from __future__ import annotations

import gc
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pytest_memreturn._errors import reading_of
from pytest_memreturn.allocators.numpy_cache import fill_numpy_cache
from pytest_memreturn.allocators.thread_cache import thread_cache_filler

# Bound before a test that replaces it for its own ends can reach the readings.
_GC_COLLECT, _GC_STATISTICS, _GC_FROZEN = gc.collect, gc.get_stats, gc.get_freeze_count

# A finalizer can make further garbage: a second pass drops what the first one's finalizers let
# go of. Chains deeper than that are not seen in practice, and a program that makes garbage
# for ever must not hold up the verdict.
_MOST_COLLECTIONS = 3

# Free-threaded builds look at all objects each time. Where the collector is incremental, as in
# the first releases of 3.14, it has no last threshold, and takes some of the old with the young.
KEEPS_OLD_APART = not sysconfig.get_config_var("Py_GIL_DISABLED") and gc.get_threshold()[2] > 0


def collect() -> None:
    """Collect garbage until a pass finds none, at most three times. Settings stay as they are."""
    for _ in range(_MOST_COLLECTIONS):
        if _GC_COLLECT() == 0:
            return


def collect_once() -> None:
    """Collect garbage in one pass: what is left is what finalizers have made in it."""
    _GC_COLLECT()


def collect_young() -> None:
    """Collect what no full collection has seen yet: a matter of microseconds."""
    _GC_COLLECT(1)


# CPython's own name for it changed with 3.13; both are there to hunt leaks with.
_CLEAR_CACHES: Callable[[], object] = getattr(
    sys, "_clear_internal_caches", getattr(sys, "_clear_type_cache", int)
)


_FILL_THREAD_CACHE = thread_cache_filler()


def level_caches() -> None:
    """Have caches that count as live, and that come to their size slowly, be at one end of it.

    The interpreter's cache of attributes is emptied: names that are made anew for each look-up
    stay in it until others take their places, so that a body under `asyncio` kept 80 bytes more
    after each run, for hundreds of runs. The cache of free blocks that malloc keeps for this
    thread is filled, and so is that of numpy, where the program has it.
    """
    _CLEAR_CACHES()
    fill_numpy_cache()
    _FILL_THREAD_CACHE()


def full_collections() -> int:
    """How many collections there have been that may take old objects, whoever asked for them."""
    counts = [int(one["collections"]) for one in _GC_STATISTICS()]
    return counts[-1] if KEEPS_OLD_APART else sum(counts)


def frozen_objects() -> int:
    """How many objects no collection looks at, until somebody unfreezes them."""
    return _GC_FROZEN()


def forget_last_failure() -> None:
    """Drop the traceback of the last failed test before the baseline.

    pytest keeps it for debuggers until the next test's call begins, which lies inside the
    window: what the failed test held would count as given back by this one.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)


@dataclass(frozen=True, slots=True)
class Releaser:
    """The rungs of the release ladder as the recorder calls them.

    `trims`: by allocator, in the order in which they are asked, those first that take their
    memory from the ones behind them. None of them says what it returned: malloc_trim(3) answers 1
    even when it gave nothing back, so it is measured.
    """

    collect: Callable[[], None] = collect
    collect_once: Callable[[], None] = collect_once
    collect_young: Callable[[], None] = collect_young
    full_collections: Callable[[], int] = full_collections
    frozen_objects: Callable[[], int] = frozen_objects
    trims: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    level_caches: Callable[[], None] = level_caches

    def trim(self) -> None:
        """Ask every allocator in turn."""
        for name, trim in self.trims.items():
            with reading_of("allocator", name):
                trim()

    def trim_measured(self, footprint_bytes: Callable[[], int]) -> dict[str, int]:
        """Ask every allocator in turn; by how many bytes the footprint fell for each."""
        fell_by = {}
        before = footprint_bytes()
        for name, trim in self.trims.items():
            with reading_of("allocator", name):
                trim()
            now = footprint_bytes()
            fell_by[name] = before - now
            before = now
        return fell_by
