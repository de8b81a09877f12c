"""Processes that outlive the one they belong to: by their group, by a variable they inherited."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_PROCESSES = Path("/proc")

# A zombie, and one that is being taken away.
_ENDED = (b"Z", b"X")


def started_with(name: str, values: set[str], processes: Path = _PROCESSES) -> set[int]:
    """The processes, as far as this one may know, that were started with this variable.

    With any of the values. One that was forked shows what its parent was started with.
    """
    wanted = {os.fsencode(f"{name}={value}") for value in values}
    return {
        number
        for number, variables in _contents(processes, "environ")
        if not wanted.isdisjoint(variables.split(b"\0"))
    }


def members_of(group: int, processes: Path = _PROCESSES) -> set[int]:
    """The processes of a group that run, as far as this one may know."""
    found = set()
    for number, stat in _contents(processes, "stat"):
        # Behind the name, which may hold anything.
        state, _, own_group = stat[stat.rfind(b")") + 2 :].split(maxsplit=3)[:3]
        if int(own_group) == group and state not in _ENDED:
            found.add(number)
    return found


def _contents(processes: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """What a file of every process holds, as far as it can be read."""
    try:
        with os.scandir(processes) as entries:
            numbers = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError:  # no procfs
        return
    for number in numbers:
        with contextlib.suppress(OSError):  # gone, or somebody else's
            yield number, (processes / str(number) / name).read_bytes()
