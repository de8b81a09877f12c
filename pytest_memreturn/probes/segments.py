"""Shared memory that exists by itself, new and counted, from procfs.

What is missed: a memfd that only another process has open; what a segment grew by that was there
before; folders below ``/dev/shm``.

What can't be read raises `ReadingUnavailableError`: what nobody could look for must not pass for
nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._outside import Segment, SegmentKind
from pytest_memreturn.probes._files import read_by_lines, read_whole, unreadable
from pytest_memreturn.probes._ownership import (
    MEMFD,
    FoundSegment,
    Ownership,
    SegmentKey,
    user_name,
)
from pytest_memreturn.probes._smaps import by_header

# Bound here for the same reason as in _files.
_LISTDIR, _SCANDIR, _READLINK, _FSTAT = os.listdir, os.scandir, os.readlink, os.fstat
_ACCESS = os.access
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
_COLUMNS = ("shmid", "cpid", "cuid", "ctime", "rss", "swap")

_MAPPED = re.compile(
    rb"^(Rss|Anonymous|Swap|Shared_Hugetlb|Private_Hugetlb): +(\d{1,20})\b", re.MULTILINE
)
_HEADER = re.compile(rb"^([0-9a-f]+-[0-9a-f]+ \S{4} .*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KnownSegments:
    """The segments at one time: inodes, the kernel's table, and open files without a name."""

    shm_inodes: frozenset[int] = frozenset()
    sysv: bytes = b""
    unlinked: frozenset[SegmentKey] = frozenset()
    at_ns: int = 0


class LinuxSegments:
    """Finds segments that are new and that are this process's or its descendants'.

    `has_siblings`: other processes run tests of the same user at the same time.
    """

    def __init__(
        self, proc: str = "/proc", shm: str = SHM_FOLDER, *, has_siblings: bool = False
    ) -> None:
        self._proc = proc
        self._shm = shm
        self._ownership = Ownership(proc, shm, has_siblings=has_siblings)

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
        found = (*self._new_shm(known), *self._new_sysv(known), *self._new_unlinked(known))
        own = self._ownership.own(
            [one for one in found if one.size_bytes > 0],
            since_ns=known.at_ns,
            family=family,
            peak_growth_bytes=peak_growth_bytes,
        )
        if not own:
            return ()
        mapped = self._mapped_here(own)
        return tuple(
            Segment(
                kind=one.kind,
                name=_as_text(one.name),
                size_bytes=one.size_bytes,
                # Less than nothing where it is mapped twice: the kernel counts it for each.
                counted_bytes=one.size_bytes - mapped[one.key],
                owner=user_name(one.uid),
            )
            for one in sorted(own, key=lambda one: (one.kind, one.name))
        )

    def _shm_entries(self) -> list[os.DirEntry[str]]:
        try:
            with _SCANDIR(self._shm) as entries:
                return list(entries)
        except FileNotFoundError:
            return []
        except OSError as error:
            if not _ACCESS(self._shm, os.W_OK):
                return []  # then no segment can be made there either
            raise unreadable(self._shm, error) from error

    def _new_shm(self, known: KnownSegments) -> Iterator[FoundSegment]:
        new: dict[int, FoundSegment] = {}
        for entry in self._shm_entries():
            # By inode alone: another name for an old file is no new memory.
            if entry.inode() in known.shm_inodes:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # it has vanished meanwhile
                continue
            if stat.S_ISREG(status.st_mode):
                new[status.st_ino] = _file("shm", entry.path, status)
        yield from new.values()

    def _sysv_table(self) -> bytes:
        path = f"{self._proc}/sysvipc/shm"
        try:
            return read_whole(path)
        except FileNotFoundError:
            return b""  # a kernel without such segments
        except OSError as error:
            raise unreadable(path, error) from error

    def _new_sysv(self, known: KnownSegments) -> Iterator[FoundSegment]:
        table = self._sysv_table()
        if table == known.sysv:
            return
        old = {row["shmid"] for row in _rows(known.sysv)}
        for row in _rows(table):
            if row["shmid"] not in old:
                yield FoundSegment(
                    kind="sysv",
                    name=f"shmid {row['shmid']}",
                    key=(None, row["shmid"]),
                    size_bytes=row["rss"] + row["swap"],
                    uid=row["cuid"],
                    # In whole seconds: it may be as late as the end of that one.
                    changed_ns=(row["ctime"] + 1) * _SECOND_NS - 1,
                    creator=row["cpid"],
                )

    def _unlinked(self) -> dict[SegmentKey, int]:
        """The open files of this process that have no name, each with one of its descriptors."""
        found: dict[SegmentKey, int] = {}
        path = f"{self._proc}/self/fd"
        try:
            names = _LISTDIR(path)
        except OSError as error:
            raise unreadable(path, error) from error
        for name in names:
            descriptor = int(name)
            try:
                status = _FSTAT(descriptor)
            except OSError:  # the listing's own, if nothing else
                continue
            if status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                found[status.st_dev, status.st_ino] = descriptor
        return found

    def _new_unlinked(self, known: KnownSegments) -> Iterator[FoundSegment]:
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
            if name.startswith(MEMFD):
                yield _file("memfd", name.removeprefix("/").removesuffix(_DELETED), status)
            elif name.startswith(f"{self._shm}/") and key[1] not in known.shm_inodes:
                yield _file("shm", name, status)

    def _mapped_here(self, found: list[FoundSegment]) -> Mapping[SegmentKey, int]:
        """How much of each one this process's own readings count, by its own mappings."""
        mapped = dict.fromkeys((one.key for one in found), 0)
        patterns = [(one.key, one.pattern) for one in found]
        with contextlib.suppress(OSError):
            for header, lines in by_header(read_by_lines(f"{self._proc}/self/smaps"), _HEADER):
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


def _as_text(name: str) -> str:
    """A name that can be written anywhere; a file's may have bytes that are no text."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _file(kind: SegmentKind, name: str, status: os.stat_result) -> FoundSegment:
    return FoundSegment(
        kind=kind,
        name=name,
        key=(status.st_dev, status.st_ino),
        size_bytes=status.st_blocks * _BLOCK_BYTES,
        uid=status.st_uid,
        changed_ns=status.st_ctime_ns,
    )


def _rows(table: bytes) -> Iterator[Mapping[str, int]]:
    """The kernel's table of System V segments; every column is a number but for ``perms``.

    Raises `ReadingUnavailableError` for a row that lacks one.
    """
    names, *lines = [
        line.split() for line in table.decode("ascii", errors="replace").splitlines()
    ] or [[]]
    for line in lines:
        row = dict(zip(names, line, strict=False))
        try:
            yield {name: int(row[name]) for name in _COLUMNS}
        except (KeyError, ValueError) as error:
            msg = "cannot make sense of /proc/sysvipc/shm"
            raise ReadingUnavailableError(msg) from error
