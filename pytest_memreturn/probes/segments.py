"""Shared memory that exists by itself, and whose it is, from procfs.

What is missed: a memfd that only another process has open; what a segment grew by that was there
before; folders below ``/dev/shm``.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pytest_memreturn._outside import Segment, SegmentKind
from pytest_memreturn.probes.children import read_whole

# Bound here for the same reason as in _files.
_LISTDIR, _SCANDIR, _READLINK, _STAT, _FSTAT = (
    os.listdir,
    os.scandir,
    os.readlink,
    os.stat,
    os.fstat,
)
_ACCESS, _EFFECTIVE_UID = os.access, os.geteuid
_CLOCK_NS = time.clock_gettime_ns

# Where POSIX shared memory is: the place is glibc's and musl's, not a setting.
SHM_FOLDER = "/dev/shm"  # noqa: S108 - read, never written

# The clock that file systems take their times from (CLOCK_REALTIME_COARSE, which Python does not
# name). It lags behind the fine one by up to a tick: a file made just after a fine reading could
# be stamped before it.
_FILE_CLOCK = 5

_KB = 1024
_SECOND_NS = 10**9
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's is
_DELETED = " (deleted)"
_MEMFD = "/memfd:"
_USERS = "/etc/passwd"
_COLUMNS = ("shmid", "cpid", "cuid", "ctime", "rss", "swap")

_MAPPED = re.compile(rb"^(Rss|Anonymous|Swap|Shared_Hugetlb|Private_Hugetlb): +(\d+)", re.MULTILINE)
_HEADER = re.compile(rb"^([0-9a-f]+-[0-9a-f]+ \S{4} .*)$", re.MULTILINE)

# Device and inode; System V segments have their id for an inode, on a device that is not known.
_Key: TypeAlias = tuple[int | None, int]


@dataclass(frozen=True, slots=True)
class KnownSegments:
    """The segments at one time: inodes, the kernel's table, and open files without a name."""

    shm_inodes: frozenset[int] = frozenset()
    sysv: bytes = b""
    unlinked: frozenset[_Key] = frozenset()
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """A new segment before it is known whose it is; `creator` is a pid, for System V only."""

    kind: SegmentKind
    name: str
    key: _Key
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


class LinuxSegments:
    """Finds segments that are new and that are this process's or its descendants'.

    `has_siblings`: other processes run tests of the same user at the same time.
    """

    def __init__(
        self, proc: str = "/proc", shm: str = SHM_FOLDER, *, has_siblings: bool = False
    ) -> None:
        self._proc = proc
        self._shm = shm
        self._has_siblings = has_siblings
        # Segments seen in somebody else's hands, so as not to look through all processes again.
        self._foreign: set[_Key] = set()

    def known(self) -> KnownSegments:
        """All segments as of now."""
        return KnownSegments(
            shm_inodes=frozenset(entry.inode() for entry in self._shm_entries()),
            sysv=self._sysv_table(),
            unlinked=frozenset(self._unlinked()),
            at_ns=_CLOCK_NS(_FILE_CLOCK),
        )

    def new_since(
        self,
        known: KnownSegments,
        *,
        family: Callable[[], Collection[int]] = frozenset,
        peak_growth_bytes: int | None = None,
    ) -> tuple[Segment, ...]:
        """The segments that are not in `known` and hold memory.

        `family` gives the pids of all descendants; it is asked only where something is new.
        `peak_growth_bytes`: how far this process's RSS rose since, if that is known.
        """
        found = [
            one
            for one in (*self._new_shm(known), *self._new_sysv(known), *self._new_unlinked(known))
            if one.size_bytes and one.key not in self._foreign
        ]
        if not found:
            return ()
        own = self._own(found, known, {*family(), self._own_pid()}, peak_growth_bytes)
        if not own:
            return ()
        mapped = self._mapped_here(own)
        return tuple(
            Segment(
                kind=one.kind,
                name=one.name,
                size_bytes=one.size_bytes,
                counted_bytes=max(0, one.size_bytes - mapped[one.key]),
                owner=_user_name(one.uid),
            )
            for one in sorted(own, key=lambda one: (one.kind, one.name))
        )

    def _shm_entries(self) -> list[os.DirEntry[str]]:
        try:
            with _SCANDIR(self._shm) as entries:
                return list(entries)
        except OSError:
            return []

    def _new_shm(self, known: KnownSegments) -> Iterator[_Found]:
        new: dict[int, _Found] = {}
        for entry in self._shm_entries():
            # By inode alone: another name for an old file is no new memory.
            if entry.inode() in known.shm_inodes:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                new[status.st_ino] = _file("shm", entry.path, status)
        yield from new.values()

    def _sysv_table(self) -> bytes:
        try:
            return read_whole(f"{self._proc}/sysvipc/shm")
        except OSError:
            return b""

    def _new_sysv(self, known: KnownSegments) -> Iterator[_Found]:
        table = self._sysv_table()
        if table == known.sysv:
            return
        old = {row["shmid"] for row in _rows(known.sysv)}
        for row in _rows(table):
            if row["shmid"] not in old:
                yield _Found(
                    kind="sysv",
                    name=f"shmid {row['shmid']}",
                    key=(None, row["shmid"]),
                    size_bytes=row["rss"] + row["swap"],
                    uid=row["cuid"],
                    # In whole seconds: it may be as late as the end of that one.
                    changed_ns=(row["ctime"] + 1) * _SECOND_NS - 1,
                    creator=row["cpid"],
                )

    def _unlinked(self) -> dict[_Key, int]:
        """The open files of this process that have no name, each with one of its descriptors."""
        found: dict[_Key, int] = {}
        try:
            names = _LISTDIR(f"{self._proc}/self/fd")
        except OSError:
            return found
        for name in names:
            descriptor = int(name)
            try:
                status = _FSTAT(descriptor)
            except OSError:  # the listing's own, if nothing else
                continue
            if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                found[status.st_dev, status.st_ino] = descriptor
        return found

    def _new_unlinked(self, known: KnownSegments) -> Iterator[_Found]:
        for key, descriptor in self._unlinked().items():
            if key in known.unlinked:
                continue
            try:
                name = _READLINK(f"{self._proc}/self/fd/{descriptor}")
                status = _FSTAT(descriptor)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) != key:
                continue  # closed meanwhile, and its number given to another file
            if name.startswith(_MEMFD):
                yield _file("memfd", name.removeprefix("/").removesuffix(_DELETED), status)
            elif name.startswith(f"{self._shm}/") and key[1] not in known.shm_inodes:
                yield _file("shm", name, status)

    def _own_pid(self) -> int:
        """This process as this procfs calls it, which may be that of another namespace."""
        try:
            return int(_READLINK(f"{self._proc}/self"))
        except OSError:
            return os.getpid()

    def _own(
        self,
        found: list[_Found],
        known: KnownSegments,
        family: set[int],
        peak_growth_bytes: int | None,
    ) -> list[_Found]:
        """Those of `found` that are this process's or its descendants'."""
        holders = self._holders(found)
        own = []
        for one in found:
            if one.creator in family:
                own.append(one)
            elif self._is_alive(one.creator) or holders[one.key] - family:
                self._foreign.add(one.key)
            elif holders[one.key] or self._is_left_by_us(one, known, peak_growth_bytes):
                own.append(one)
        return own

    def _is_alive(self, creator: int | None) -> bool:
        # A creator in another namespace reads as 0, and nothing is known of it.
        if creator is None:
            return False
        return creator == 0 or _ACCESS(f"{self._proc}/{creator}", os.F_OK)

    def _is_left_by_us(
        self, one: _Found, known: KnownSegments, peak_growth_bytes: int | None
    ) -> bool:
        """Whether a segment that nobody holds may have been this process's."""
        if one.uid != _EFFECTIVE_UID() or one.changed_ns < known.at_ns:
            return False
        if not self._has_siblings:
            return True
        # It could be a sibling's: writing it through a mapping has raised the writer's RSS.
        return peak_growth_bytes is not None and one.size_bytes <= peak_growth_bytes

    def _holders(self, found: list[_Found]) -> Mapping[_Key, set[int]]:
        """Which processes have each one open or mapped, as far as they may be looked into."""
        holders: dict[_Key, set[int]] = {one.key: set() for one in found}
        for name in _LISTDIR(self._proc):
            if name.isdigit():
                for key in self._held_by(f"{self._proc}/{name}", found):
                    holders[key].add(int(name))
        return holders

    def _held_by(self, folder: str, found: list[_Found]) -> set[_Key]:
        """Which of `found` the process has; none where it has ended or is another user's."""
        held: set[_Key] = set()
        with contextlib.suppress(OSError):
            maps = read_whole(f"{folder}/maps")
            held |= {one.key for one in found if one.pattern.search(maps)}
        with contextlib.suppress(OSError):
            for name in _LISTDIR(f"{folder}/fd"):
                held |= self._opened(f"{folder}/fd/{name}") & {one.key for one in found}
        return held

    def _opened(self, link: str) -> set[_Key]:
        """What one descriptor of some process leads to, where that may be a segment."""
        with contextlib.suppress(OSError):
            # The name comes first: asking for the status of a file elsewhere could block.
            if _READLINK(link).startswith((_MEMFD, f"{self._shm}/")):
                status = _STAT(link)
                return {(status.st_dev, status.st_ino)}
        return set()

    def _mapped_here(self, found: list[_Found]) -> Mapping[_Key, int]:
        """How much of each one this process's own readings count, by its own mappings."""
        mapped = dict.fromkeys((one.key for one in found), 0)
        try:
            smaps = read_whole(f"{self._proc}/self/smaps")
        except OSError:
            return mapped
        # What stands before the first header, then each header and the lines below it.
        _, *pieces = _HEADER.split(smaps)
        patterns = [(one.key, one.pattern) for one in found]
        for header, lines in zip(pieces[::2], pieces[1::2], strict=True):
            for key, pattern in patterns:
                if pattern.search(header):
                    mapped[key] += _shared_bytes(lines)
        return mapped


def _shared_bytes(lines: bytes) -> int:
    """What of a mapping is the segment's own pages, not copies made on writing.

    Its swapped pages are among them: smaps shows those of the segment itself, and so do the
    readings that add it up.
    """
    size = dict(_MAPPED.findall(lines))
    total = sum(int(value) for name, value in size.items() if name != b"Anonymous")
    return (total - int(size.get(b"Anonymous", 0))) * _KB


def _file(kind: SegmentKind, name: str, status: os.stat_result) -> _Found:
    return _Found(
        kind=kind,
        name=name,
        key=(status.st_dev, status.st_ino),
        size_bytes=status.st_blocks * _BLOCK_BYTES,
        uid=status.st_uid,
        changed_ns=status.st_ctime_ns,
    )


def _rows(table: bytes) -> Iterator[Mapping[str, int]]:
    """The kernel's table of System V segments; every column is a number but for ``perms``."""
    names, *lines = [line.split() for line in table.decode("ascii").splitlines()] or [[]]
    for line in lines:
        row = dict(zip(names, line, strict=False))
        try:
            yield {name: int(row[name]) for name in _COLUMNS}
        except (KeyError, ValueError):
            return


def _user_name(uid: int) -> str:
    """The name that ``/etc/passwd`` has for a user, or else the number.

    Not the system's own look-up: it may load libraries into the judged process and ask servers.
    """
    with contextlib.suppress(OSError):
        for line in read_whole(_USERS).decode(errors="replace").splitlines():
            name, *rest = line.split(":")
            if rest[1:2] == [str(uid)]:
                return name
    return str(uid)
