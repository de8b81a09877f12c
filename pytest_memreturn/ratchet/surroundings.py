"""What of an environment decides how much is retained, and where two of them differ; pure."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

# Those that serve a whole process. Others come and go with the libraries that tests import.
_SERVING = ("python", "malloc", "jemalloc", "tcmalloc", "mimalloc")

# Which allocator they bring is among the allocators; and a number of threads is no allocator's.
_OF_NO_ACCOUNT = ("LD_PRELOAD", "OMP_NUM_THREADS")


def surroundings(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What matters of the ``environment`` object of a report.

    A patch release of Python, a kernel or a library is no other environment: whoever keeps them
    up to date would have to record everything anew each week.
    """
    return {
        "python": ".".join(environment["python"].split(".")[:2]),
        "implementation": environment["implementation"],
        "libc": environment["libc"],
        "machine": platform.machine(),
        "allocators": sorted(one for one in environment["allocators"] if one in _SERVING),
        "page_size": environment["page_size"],
        "huge_pages": environment["huge_pages"],
        "variables": {
            name: value
            for name, value in environment["variables"].items()
            if name not in _OF_NO_ACCOUNT
        },
        "probe": environment["probe"],
    }


def differences(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Where a recorded environment is not the one here, each in words."""
    return list(_differences(recorded, here))


def _differences(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    for name, value in here.items():
        was = recorded.get(name)
        if isinstance(value, Mapping) and isinstance(was, Mapping):
            for variable in sorted({*value, *was}):
                if was.get(variable) != value.get(variable):
                    yield _in_words(variable, was.get(variable), value.get(variable), "unset")
        elif was != value:
            yield _in_words(name, was, value, "unknown")


def _in_words(name: str, was: object, here: object, nothing: str) -> str:
    return f"{name} {_shown(was, nothing)} (here {_shown(here, nothing)})"


def _shown(value: object, nothing: str) -> str:
    if value is None:
        return nothing
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)
