"""Processes that left their group, known by a variable that they have inherited."""

from __future__ import annotations

import os
from pathlib import Path

_PROCESSES = Path("/proc")


def started_with(name: str, value: str, processes: Path = _PROCESSES) -> list[int]:
    """The processes, as far as this one may know, that were started with this variable."""
    wanted = f"{name}={value}".encode()
    found = []
    try:
        with os.scandir(processes) as entries:
            numbers = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError:  # no procfs
        return []
    for number in numbers:
        try:
            variables = (processes / str(number) / "environ").read_bytes()
        except OSError:  # gone, or somebody else's
            continue
        if wanted in variables.split(b"\0"):
            found.append(number)
    return found
