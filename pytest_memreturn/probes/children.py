"""Descendants of this process and the memory that is their own, from procfs.

What is missed: a daemon, which init has adopted; pages that two descendants share with each
other and not with us, which are nobody's own; shared memory of a descendant that has a name
(those are segments) or that another process maps too.

What can't be read raises `ReadingUnavailableError`: a child of whom nobody could say what it holds
must not pass for none.
"""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import psutil

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._outside import ChildProcess
from pytest_memreturn.probes._files import read_by_lines, read_small
from pytest_memreturn.probes._smaps import by_header
from pytest_memreturn.probes.outside import helper_pids
from pytest_memreturn.probes.pools import owners
from pytest_memreturn.probes.processes import (
    Stat,
    families_of,
    read_command,
    read_stat,
    unless_ended,
)

# Bound here for the same reason as in _files.
_WAITID = os.waitid
_CLOCK_NS = time.clock_gettime_ns

_KB = 1024
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Any child, also one that was cloned without SIGCHLD (__WALL, which Python does not name); it
# stays as it is, to be waited for by its parent.
_ALL_CHILDREN = os.WEXITED | os.WNOHANG | os.WNOWAIT | 0x40000000

_FIELD = re.compile(rb"^(\w+):[ \t]+(\d{1,20}) kB$", re.MULTILINE)
_MAPPING = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ \S+ \d+ *(.*)$", re.MULTILINE)
# How the kernel names shared memory that has neither a name nor a descriptor.
_SHARED_ANONYMOUS = b"/dev/zero (deleted)"


@dataclass(frozen=True, slots=True)
class KnownChildren:
    """The descendants at one time, `at_ticks` clock ticks after boot."""

    pids: frozenset[int]
    at_ticks: int


class LinuxChildren:
    """Finds descendants that are new.

    `has_children` says whether there is any child, the ones that ended unnoticed included.
    """

    def __init__(self, proc: str = "/proc", has_children: Callable[[], bool] | None = None) -> None:
        self._proc = proc
        self._has_children = has_children or _has_children
        # Kernels without CONFIG_PROC_CHILDREN have no such file.
        self._lists_children = os.access(f"{proc}/thread-self/children", os.R_OK)

    def known(self) -> KnownChildren:
        """All descendants as of now.

        Their start times are not read: what began after this moment tells itself.
        """
        pids = self.pids()
        return KnownChildren(pids, _CLOCK_NS(time.CLOCK_BOOTTIME) * _TICKS_PER_SECOND // 10**9)

    def pids(self) -> frozenset[int]:
        """All descendants, also those that ended and were not waited for."""
        return frozenset(pid for family in self._families() for pid in family)

    def new_since(self, known: KnownChildren) -> tuple[ChildProcess, ...]:
        """The live descendants that are not in `known`, but for the helpers of multiprocessing."""
        found = [self._child(stat) for stat in self._new_stats(known)]
        alive = [child for child in found if child is not None]
        owned = owners() if alive else {}
        return tuple(replace(child, owner=owned.get(child.pid)) for child in alive)

    def _new_stats(self, known: KnownChildren) -> list[Stat]:
        new = []
        for family in self._families():
            # The kernel lists the children of a thread oldest first, and one that takes a dead
            # one's pid comes last: if the youngest is the process it was, so are those before it.
            is_as_it_was = False
            for pid in reversed(family):
                is_known = pid in known.pids
                if is_known and is_as_it_was:
                    continue
                stat = self._stat(pid)
                if stat is None:
                    continue
                if is_known and stat.start_ticks <= known.at_ticks:
                    is_as_it_was = True
                elif stat.start_ticks >= known.at_ticks and stat.is_alive:
                    new.append(stat)
        if new:
            helpers = helper_pids()
            new = [stat for stat in new if stat.pid not in helpers]
        return sorted(new, key=lambda stat: stat.pid)

    def _families(self) -> list[list[int]]:
        """The children of each thread of this process and of its descendants."""
        if not self._has_children():
            return []
        if not self._lists_children:
            return [_pids_by_psutil()]
        return families_of(self._proc, "self")

    def _stat(self, pid: int) -> Stat | None:
        return read_stat(self._proc, pid)

    def _child(self, stat: Stat) -> ChildProcess | None:
        """The child as data; ``None`` if it has ended."""
        folder = f"{self._proc}/{stat.pid}"
        footprint_bytes = unless_ended(_footprint_bytes, folder)
        if footprint_bytes is None:
            return None
        command = read_command(folder)
        return ChildProcess(stat.pid, stat.name, command, footprint_bytes)


def _has_children() -> bool:
    """Whether this process has any child: one system call, where procfs needs two a thread."""
    try:
        _WAITID(os.P_ALL, 0, _ALL_CHILDREN)
    except ChildProcessError:
        return False
    except OSError:
        # A sandbox may refuse the question: then look.
        return True
    return True


def _pids_by_psutil() -> list[int]:
    try:
        return [child.pid for child in psutil.Process().children(recursive=True)]
    except (psutil.Error, OSError) as error:
        msg = f"psutil cannot list the children of this process: {error}"
        raise ReadingUnavailableError(msg) from error


def _footprint_bytes(folder: str) -> int:
    """What of a process's memory is its own alone; raises `OSError` if it has ended."""
    try:
        rollup = fields_in_bytes(read_small(f"{folder}/smaps_rollup"))
        own_bytes = _own_by_rollup(rollup)
        if own_bytes is None:
            own_bytes = _own_by_mapping(read_by_lines(f"{folder}/smaps"))
        # A swapped page is shared like any other. Of one that two have, SwapPss is half of Swap;
        # of one that more have it is less, so that this is never too much.
        swap_bytes = max(0, 2 * rollup["SwapPss"] - rollup["Swap"])
    except (OSError, KeyError):
        # Another user's process, or a kernel without these files or lines.
        pages = read_small(f"{folder}/statm").split()
        try:
            return (int(pages[1]) - int(pages[2])) * mmap.PAGESIZE
        except (IndexError, ValueError) as error:
            msg = f"cannot make sense of {folder}/statm"
            raise ReadingUnavailableError(msg) from error
    return own_bytes + rollup.get("Private_Hugetlb", 0) + swap_bytes


def _own_by_rollup(rollup: dict[str, int]) -> int | None:
    """Private anonymous bytes that are not lazily freed, where the sums tell it without doubt.

    ``Private_Dirty`` alone is no answer: shared memory and files count there as well. Forked
    from a parent with 200 MB, a child that mapped 40 MB of shared memory, one that wrote 40 MB
    to a mapped file and one that has 40 MB of its own all read the same.
    """
    anonymous_bytes, lazy_bytes = rollup["Anonymous"], rollup["LazyFree"]
    if rollup.get("Pss_Shmem") != 0:
        return None
    if rollup["Pss_Anon"] == anonymous_bytes:
        return anonymous_bytes - lazy_bytes  # nothing is shared: a program of its own
    if lazy_bytes == 0 and rollup.get("Pss_Dirty") == rollup["Pss_Anon"]:
        return rollup["Private_Dirty"]  # what is dirty is anonymous
    return None


def _own_by_mapping(smaps: Iterable[bytes]) -> int:
    """The same by adding up mappings: exact always, and several times as dear.

    Shared memory without a name counts too where no other process maps it.
    """
    total = 0
    for path, lines in by_header(smaps, _MAPPING):
        fields = fields_in_bytes(lines)
        if path == _SHARED_ANONYMOUS:
            total += fields["Private_Clean"] + fields["Private_Dirty"]
        else:
            total += min(fields["Anonymous"], fields["Private_Dirty"])
    return total


def fields_in_bytes(text: bytes) -> dict[str, int]:
    """The lines of a kernel file that have a size, in bytes, by their names."""
    return {name.decode(): int(number) * _KB for name, number in _FIELD.findall(text)}
