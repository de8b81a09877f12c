"""Whose the child processes of this process are, as far as loaded modules tell."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from pytest_memreturn._outside import ProcessOwner

# Modules with executors, and what keeps the thread of each that is in use: it has its processes by
# their pids. All private, as is the set below: where one has changed, nothing is told.
_EXECUTORS: tuple[tuple[str, ProcessOwner], ...] = (
    ("concurrent.futures.process", "ProcessPoolExecutor"),
    ("joblib.externals.loky.process_executor", "loky"),
)
_THREADS = "_threads_wakeups"

_MULTIPROCESSING, _CHILDREN = "multiprocessing.process", "_children"
# What a pool of multiprocessing calls its workers: ForkPoolWorker-1, SpawnPoolWorker-2.
_POOL_WORKER = "PoolWorker"


def owners() -> dict[int, ProcessOwner]:
    """By pid, what started a child that still runs. Imports nothing, and never raises."""
    found: dict[Any, ProcessOwner] = {}
    # A test may have put anything in place of a module.
    with contextlib.suppress(Exception):
        found.update(_children_of_multiprocessing())
    for module, owner in _EXECUTORS:
        with contextlib.suppress(Exception):
            for thread in list(getattr(sys.modules[module], _THREADS)):
                found |= dict.fromkeys(list(thread.processes), owner)
    return {pid: owner for pid, owner in found.items() if isinstance(pid, int)}


def _children_of_multiprocessing() -> Iterator[tuple[object, ProcessOwner]]:
    children: list[Any] = list(getattr(sys.modules[_MULTIPROCESSING], _CHILDREN))
    for one in children:
        with contextlib.suppress(ValueError):  # it was closed
            is_worker = _POOL_WORKER in one.name
            yield one.pid, "multiprocessing.Pool" if is_worker else "multiprocessing.Process"
