"""What procfs says of any process: its state, its descendants, its command."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn.probes._files import read_small, read_whole, unreadable
from pytest_memreturn.probes.outside import command_line

T = TypeVar("T")

# Bound here for the same reason as in _files.
_LISTDIR, _KILL = os.listdir, os.kill

_PID = re.compile(rb"(?<!\S)\d{1,10}(?!\S)")


@dataclass(frozen=True, slots=True)
class Stat:
    """What ``/proc/PID/stat`` says of a process; it started `start_ticks` after boot."""

    pid: int
    name: str
    is_alive: bool
    start_ticks: int
    parent: int = 0
    busy_ticks: int = 0


def families_of(proc: str, process: str) -> list[list[int]]:
    """The children of each thread of a process and of its descendants, oldest first each."""
    families = []
    parents = [process]
    while parents:
        tasks = f"{proc}/{parents.pop()}/task"
        for thread in unless_ended(_LISTDIR, tasks) or ():
            # A thread that ended meanwhile has handed its children to another one.
            text = unless_ended(read_whole, f"{tasks}/{thread}/children") or b""
            family = [int(name) for name in _PID.findall(text)]
            if family:
                families.append(family)
                parents += map(str, family)
    return families


def read_stat(proc: str, pid: int) -> Stat | None:
    """What the kernel says of a process; ``None`` where there is none."""
    path = f"{proc}/{pid}/stat"
    text = unless_ended(read_small, path)
    if text is None:
        if _belongs_to_another(pid):
            msg = f"cannot read {path}: hidden, and the process lives"
            raise ReadingUnavailableError(msg)
        return None
    # The name is in parentheses and may hold any character, a parenthesis too.
    start, _, rest = text.rpartition(b")")
    fields = rest.split()
    name = start.partition(b"(")[2].decode(errors="replace")
    try:
        # proc_pid_stat(5): the state is field 3, the parent 4, times in user and kernel mode 14
        # and 15, the start time 22.
        return Stat(
            pid,
            name,
            is_alive=fields[0] not in b"ZX",
            start_ticks=int(fields[19]),
            parent=int(fields[1]),
            busy_ticks=int(fields[11]) + int(fields[12]),
        )
    except (IndexError, ValueError) as error:
        msg = f"cannot make sense of {path}"
        raise ReadingUnavailableError(msg) from error


def read_command(folder: str) -> str:
    """The command line of the process of this folder; empty where nobody can read it."""
    words = []
    with contextlib.suppress(OSError):  # it counts, whatever it is called
        words = read_small(f"{folder}/cmdline").rstrip(b"\0").split(b"\0")
    return command_line([word.decode(errors="replace") for word in words])


def unless_ended(read: Callable[[str], T], path: str) -> T | None:
    """What `read` makes of a file of some process; ``None`` if the process has ended."""
    try:
        return read(path)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def _belongs_to_another(pid: int) -> bool:
    """Whether there is such a process, of another user: a procfs with ``hidepid`` hides it."""
    try:
        _KILL(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False
