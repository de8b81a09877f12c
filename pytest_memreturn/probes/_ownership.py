"""Whose a segment of shared memory is: this process's family's, or somebody else's.

Shared memory belongs to the whole machine. A segment is the family's (this process's and its
descendants') if one of them made it, or has it open or mapped and nobody else has; one that
nobody holds is an orphan, and may have been this process's.

What is missed: what another user's process, which may not be looked into, does with a segment.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import resource
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pytest_memreturn._outside import SegmentKind
from pytest_memreturn._sizes import KIB
from pytest_memreturn.probes._files import read_by_lines, read_whole

# Bound here for the same reason as in _files.
_LISTDIR, _READLINK, _STAT, _ACCESS = os.listdir, os.readlink, os.stat, os.access
_PID, _EFFECTIVE_UID = os.getpid, os.geteuid
_RESOURCE_USAGE, _OF_CHILDREN = resource.getrusage, resource.RUSAGE_CHILDREN

# Also what children wrote that have been waited for.
_WRITTEN = re.compile(rb"^wchar: (\d+)$", re.MULTILINE)

# How the kernel names a file that is nothing but memory, among the descriptors of a process.
MEMFD = "/memfd:"

# So much of what was written through a mapping must show in the peak: what was freed before it was
# written, and what the kernel has not yet added up, do not. 8 MiB showed as 7.9.
_SHOWS_IN_PEAK = 7 / 8

_USERS = "/etc/passwd"

# Device and inode; System V segments have their id for an inode, on a device that is not known.
SegmentKey: TypeAlias = tuple[int | None, int]


@dataclass(frozen=True, slots=True)
class FoundSegment:
    """A segment before it is known whose it is; `creator` is a pid, for System V only."""

    kind: SegmentKind
    name: str
    key: SegmentKey
    size_bytes: int
    uid: int
    changed_ns: int
    creator: int | None = None

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """What a line of ``maps`` has from the device on where it maps this segment."""
        device, inode = self.key
        if device is None:
            return re.compile(rb" \S+ %d +/SYSV" % inode)
        place = b"%02x:%02x" % (os.major(device), os.minor(device))
        return re.compile(rb" %b %d +(?!/SYSV)/" % (place, inode))


class Ownership:
    """Tells the family's segments from those of others.

    `has_siblings`: other processes run tests of the same user at the same time.
    """

    def __init__(self, proc: str, shm: str, *, has_siblings: bool) -> None:
        self._proc = proc
        self._shm = shm
        self._has_siblings = has_siblings
        # Segments seen in somebody else's hands, so as not to look through all processes again.
        self._foreign: set[SegmentKey] = set()

    def own(
        self,
        found: Iterable[FoundSegment],
        *,
        since_ns: int,
        family: Callable[[], Collection[int]],
        peak_growth_bytes: int | None,
    ) -> list[FoundSegment]:
        """Those of `found` that are this process's or its descendants'.

        `since_ns`: an orphan that last changed before it, by the clock of file systems, is not.
        `family` gives the pids of all descendants; it is asked only where there is a question, and
        what it raises goes on.
        `peak_growth_bytes`: how far this process's RSS rose since, if that is known.
        """
        unsettled = [one for one in found if one.key not in self._foreign]
        if not unsettled:
            return []
        pids = {*family(), self._own_pid()}
        holders = self._holders([one for one in unsettled if one.creator not in pids])
        own = []
        for one in unsettled:
            if one.creator in pids:
                own.append(one)
            elif self._is_alive(one.creator) or holders[one.key] - pids:
                self._foreign.add(one.key)
            elif holders[one.key] or self._is_left_by_us(
                one, since_ns, peak_growth_bytes, has_descendants=len(pids) > 1
            ):
                own.append(one)
        return own

    def _own_pid(self) -> int:
        """This process as this procfs calls it, which may be that of another namespace."""
        try:
            return int(_READLINK(f"{self._proc}/self"))
        except (OSError, ValueError):
            return _PID()

    def _is_alive(self, creator: int | None) -> bool:
        # A creator in another namespace reads as 0, and nothing is known of it.
        if creator is None:
            return False
        return creator == 0 or _ACCESS(f"{self._proc}/{creator}", os.F_OK)

    def _is_left_by_us(
        self,
        one: FoundSegment,
        since_ns: int,
        peak_growth_bytes: int | None,
        *,
        has_descendants: bool,
    ) -> bool:
        """Whether a segment that nobody holds may have been this process's."""
        if one.uid != _EFFECTIVE_UID() or one.changed_ns < since_ns:
            return False
        # Writing it through a mapping has raised the writer's RSS.
        if peak_growth_bytes is not None and one.size_bytes * _SHOWS_IN_PEAK <= peak_growth_bytes:
            return True
        if self._has_siblings:
            return False  # it could be theirs
        if peak_growth_bytes is None or has_descendants:
            return True
        return one.size_bytes <= self._most_written_bytes()

    def _most_written_bytes(self) -> float:
        """No more was ever written by system calls, or held by a child that has ended.

        Any program of the same user may leave a file in shared memory while tests run.
        """
        with contextlib.suppress(OSError):
            written = _WRITTEN.search(read_whole(f"{self._proc}/self/io"))
            if written:
                return max(int(written[1]), _RESOURCE_USAGE(_OF_CHILDREN).ru_maxrss * KIB)
        return math.inf

    def _holders(self, found: list[FoundSegment]) -> Mapping[SegmentKey, set[int]]:
        """Which processes have each one open or mapped, as far as they may be looked into."""
        holders: dict[SegmentKey, set[int]] = {one.key: set() for one in found}
        if not found:
            return holders
        with contextlib.suppress(OSError):
            for name in _LISTDIR(self._proc):
                if name.isdecimal():
                    for key in self._held_by(f"{self._proc}/{name}", found):
                        holders[key].add(int(name))
        return holders

    def _held_by(self, folder: str, found: list[FoundSegment]) -> set[SegmentKey]:
        """Which of `found` the process has; none where it has ended or is another user's."""
        held: set[SegmentKey] = set()
        with contextlib.suppress(OSError):
            for lines in read_by_lines(f"{folder}/maps"):
                held |= {one.key for one in found if one.pattern.search(lines)}
        with contextlib.suppress(OSError):
            for name in _LISTDIR(f"{folder}/fd"):
                held |= self._opened(f"{folder}/fd/{name}") & {one.key for one in found}
        return held

    def _opened(self, link: str) -> set[SegmentKey]:
        """What one descriptor of some process leads to, where that may be a segment."""
        with contextlib.suppress(OSError):
            # The name comes first: asking for the status of a file elsewhere could block.
            if _READLINK(link).startswith((MEMFD, f"{self._shm}/")):
                status = _STAT(link)
                return {(status.st_dev, status.st_ino)}
        return set()


def user_name(uid: int) -> str:
    """The name that ``/etc/passwd`` has for a user, or else the number.

    Not the system's own look-up: it may load libraries into the judged process and ask servers.
    """
    with contextlib.suppress(OSError):
        for line in read_whole(_USERS).decode(errors="replace").splitlines():
            name, *rest = line.split(":")
            if rest[1:2] == [str(uid)]:
                return name
    return str(uid)
