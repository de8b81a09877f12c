"""Processes that left their group, known by a variable that they have inherited."""

from __future__ import annotations

import os
from pathlib import Path

_PROCESSES = Path("/proc")


def started_with(name: str, values: set[str], processes: Path = _PROCESSES) -> set[int]:
    """The processes, as far as this one may know, that were started with this variable.

    With any of the values. One that was forked shows what its parent was started with.
    """
    wanted = {os.fsencode(f"{name}={value}") for value in values}
    found: set[int] = set()
    try:
        with os.scandir(processes) as entries:
            numbers = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError:  # no procfs
        return found
    for number in numbers:
        try:
            variables = (processes / str(number) / "environ").read_bytes()
        except OSError:  # gone, or somebody else's
            continue
        if not wanted.isdisjoint(variables.split(b"\0")):
            found.add(number)
    return found
