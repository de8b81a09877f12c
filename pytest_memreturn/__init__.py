"""Assert that memory is returned to the operating system.

The names listed in ``__all__`` are public; every other module is private. They are loaded
when first asked for, because pytest imports this package in every run.

PYTEST_DONT_REWRITE: fresh interpreters have this module before pytest could; nothing here asserts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._errors import (
        InvalidSettingError,
        MemoryNotReturnedWarning,
        MemreturnWarning,
        UnjudgedWarning,
    )
    from pytest_memreturn._failures import IsolationFailure, MemoryNotReturned, Unjudged
    from pytest_memreturn._fixture import MemreturnFixture
    from pytest_memreturn._measure import Measure, measure
    from pytest_memreturn._processes import WatchedProcess
    from pytest_memreturn._record import Record
    from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot
    from pytest_memreturn._watch import Watch, watch
    from pytest_memreturn.allocators._contract import Allocator
    from pytest_memreturn.probes._contract import AccountProbe
    from pytest_memreturn.reruns._contract import RemedyCandidate

__all__ = [
    "AccountProbe",
    "Allocator",
    "AllocatorStatistics",
    "InvalidSettingError",
    "IsolationFailure",
    "Measure",
    "MemoryNotReturned",
    "MemoryNotReturnedWarning",
    "MemreturnFixture",
    "MemreturnWarning",
    "Record",
    "RemedyCandidate",
    "Snapshot",
    "Unjudged",
    "UnjudgedWarning",
    "Watch",
    "WatchedProcess",
    "measure",
    "watch",
]

_HOMES = {
    "AccountProbe": "probes._contract",
    "Allocator": "allocators._contract",
    "AllocatorStatistics": "_snapshot",
    "InvalidSettingError": "_errors",
    "IsolationFailure": "_failures",
    "Measure": "_measure",
    "MemoryNotReturned": "_failures",
    "MemoryNotReturnedWarning": "_errors",
    "MemreturnFixture": "_fixture",
    "MemreturnWarning": "_errors",
    "Record": "_record",
    "RemedyCandidate": "reruns._contract",
    "Snapshot": "_snapshot",
    "Unjudged": "_failures",
    "UnjudgedWarning": "_errors",
    "Watch": "_watch",
    "WatchedProcess": "_processes",
    "measure": "_measure",
    "watch": "_watch",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
