"""The only code that changes the state of the process, but for the peak that a probe resets."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

# Bound before a test that replaces it for its own ends can reach the readings.
_GC_COLLECT = gc.collect

# A finalizer can make further garbage: a second pass drops what the first one's finalizers let
# go of. Chains deeper than that are not seen in practice, and a program that makes garbage
# for ever must not hold up the verdict.
_MOST_COLLECTIONS = 3


def collect() -> None:
    """Collect garbage until a pass finds none, at most three times. Settings stay as they are."""
    for _ in range(_MOST_COLLECTIONS):
        if _GC_COLLECT() == 0:
            return


def trim_malloc() -> None:
    """Ask the C library's malloc for its free memory, where it can be asked."""
    if hasattr(psutil, "heap_trim"):
        psutil.heap_trim()


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

    None of them says what it returned: malloc_trim(3) answers 1 even when it gave nothing
    back, so the recorder measures.
    """

    collect: Callable[[], None] = collect
    trims: tuple[Callable[[], None], ...] = (trim_malloc,)

    def trim(self) -> None:
        """Ask every allocator in turn."""
        for trim in self.trims:
            trim()
