"""Other processes and their descendants, from procfs.

What is missed: a daemon that was there before anybody looked, which init has adopted; shared
memory that is left behind and mapped by nobody.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import psutil

from pytest_memreturn._errors import ReadingUnavailableError, UnwatchableError
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn.probes._files import read_by_lines, read_small, unreadable
from pytest_memreturn.probes._ownership import user_name
from pytest_memreturn.probes._shares import kinds_of, share
from pytest_memreturn.probes._smaps import ARENA_ALIGNMENT, HEADER, SmapsText
from pytest_memreturn.probes._thread_heaps import thread_heaps
from pytest_memreturn.probes.children import fields_in_bytes
from pytest_memreturn.probes.motion import Motion, will_purge
from pytest_memreturn.probes.processes import (
    families_of,
    read_command,
    read_stat,
    unless_ended,
)

if TYPE_CHECKING:
    from pytest_memreturn.probes._smaps import SmapsEntry
    from pytest_memreturn.probes.processes import Stat

# Bound here for the same reason as in _files.
_GETPID, _LISTDIR, _STAT = os.getpid, os.listdir, os.stat

_PROCESS = re.compile(rb"^Tgid:\t(\d{1,10})$", re.MULTILINE)

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class LinuxTrees:
    """Reads trees of processes, each process by its share of the memory."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        # Kernels without CONFIG_PROC_CHILDREN have no such file.
        self._lists_children = os.access(f"{proc}/thread-self/children", os.R_OK)

    def identify(self, pid: int) -> ProcessKey:
        """Who has this pid now; `UnwatchableError` for one whose memory can't be read."""
        stat = self._living(pid)
        process = self._process_of(pid)
        if process != pid:
            msg = f"{pid} ({stat.name}) is a thread of process {process}, and no process"
            raise UnwatchableError(msg)
        line = self._own_line()
        if pid == line[0]:
            msg = f"{pid} is the process that asks: judge it by memreturn() or measure()"
            raise UnwatchableError(msg)
        if pid in line:
            msg = (
                f"{pid} ({stat.name}) is an ancestor of the process that asks, whose memory would "
                "count as its own"
            )
            raise UnwatchableError(msg)
        if self._rollup(stat) is None:
            msg = f"{pid} ({stat.name}) has no memory of its own: it is the kernel's, or has ended"
            raise UnwatchableError(msg)
        return ProcessKey(pid, stat.start_ticks)

    def read(
        self, root: ProcessKey, known: Iterable[ProcessKey] = (), *, layout: bool = False
    ) -> tuple[ProcessReading, ...]:
        """Every live process of the tree, the root first."""
        if self._living(root.pid).start_ticks != root.started:
            msg = f"{root.pid} has ended, and another process has its pid now"
            raise UnwatchableError(msg)
        found = [
            reading
            for stat in self._stats(root, known)
            if (reading := self._reading(stat, layout=layout)) is not None
        ]
        if not found or found[0].key != root:
            msg = f"{root.pid} ended while it was read"
            raise UnwatchableError(msg)
        return tuple(found)

    def motion(self, tree: Iterable[ProcessKey]) -> Motion:
        """Threads and CPU time of all processes, and whether a purger is at work in any."""
        threads, busy_ticks, purges = 0, 0, False
        for key in tree:
            tasks = f"{self._proc}/{key.pid}/task"
            try:
                stat, names = read_stat(self._proc, key.pid), _LISTDIR(tasks)
            except (OSError, ReadingUnavailableError):
                continue  # it has ended
            threads += len(names)
            busy_ticks += 0 if stat is None else stat.busy_ticks
            purges = purges or any(will_purge(f"{tasks}/{name}") for name in names)
        return Motion(threads, busy_ticks / _TICKS_PER_SECOND, purges)

    def _living(self, pid: int) -> Stat:
        stat = read_stat(self._proc, pid)
        if stat is None:
            msg = f"{pid} is no process that runs"
            raise UnwatchableError(msg)
        if not stat.is_alive:
            msg = f"{pid} ({stat.name}) has ended, and its parent has not waited for it"
            raise UnwatchableError(msg)
        return stat

    def _process_of(self, pid: int) -> int:
        """The process of a thread; procfs hides that of threads, and shows it when asked."""
        try:
            found = _PROCESS.search(read_small(f"{self._proc}/{pid}/status"))
        except OSError:  # what follows says why
            return pid
        return pid if found is None else int(found[1])

    def _own_line(self) -> list[int]:
        """This process and its ancestors, as far as this procfs shows them."""
        line = [_GETPID()]
        while (stat := read_stat(self._proc, line[-1])) is not None and stat.parent > 0:
            line.append(stat.parent)
        return line

    def _stats(self, root: ProcessKey, known: Iterable[ProcessKey]) -> Iterator[Stat]:
        """The live processes of the tree, each once, the root first."""
        seen: set[int] = set()
        for key in (root, *known):
            stat = read_stat(self._proc, key.pid)
            if stat is None or stat.start_ticks != key.started:
                continue
            for pid in (key.pid, *self._descendants(key.pid)):
                if pid in seen:
                    continue
                seen.add(pid)
                stat = read_stat(self._proc, pid)
                if stat is not None and stat.is_alive:
                    yield stat

    def _descendants(self, pid: int) -> list[int]:
        if self._lists_children:
            return [one for family in families_of(self._proc, str(pid)) for one in family]
        try:
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        except (psutil.Error, OSError) as error:
            msg = f"psutil cannot list the children of process {pid}: {error}"
            raise ReadingUnavailableError(msg) from error

    def _reading(self, stat: Stat, *, layout: bool) -> ProcessReading | None:
        """One process; ``None`` if it has ended."""
        rollup = self._rollup(stat)
        if rollup is None:
            return None
        snapshot = share(rollup)
        folder = f"{self._proc}/{stat.pid}"
        if layout:
            entries = unless_ended(lambda path: list(_entries(path)), f"{folder}/smaps")
            if not entries:  # it ended between two lines as well
                return None
            arenas = thread_heaps(
                (one.start for one in entries if _may_be_thread_heap(one)), f"{folder}/mem"
            )
            kinds = kinds_of(entries, rollup["Pss_Shmem"], arenas)
            snapshot = dataclasses.replace(snapshot, kinds=kinds)
        key = ProcessKey(stat.pid, stat.start_ticks)
        return ProcessReading(key, stat.name, read_command(folder), snapshot)

    def _rollup(self, stat: Stat) -> dict[str, int] | None:
        """Sums over all mappings; ``None`` for what has no memory, or has it no more."""
        path = f"{self._proc}/{stat.pid}/smaps_rollup"
        try:
            return fields_in_bytes(read_small(path)) or None
        except (FileNotFoundError, ProcessLookupError):
            return None
        except PermissionError as error:
            msg = (
                f"{stat.pid} ({stat.name}) is a process of user {self._owner(stat.pid)} whose "
                "memory may not be read: run as that user, or as root (CAP_SYS_PTRACE)"
            )
            raise UnwatchableError(msg) from error
        except OSError as error:
            raise unreadable(path, error) from error

    def _owner(self, pid: int) -> str:
        try:
            return user_name(_STAT(f"{self._proc}/{pid}").st_uid)
        except OSError:
            return "unknown"


def _entries(path: str) -> Iterator[SmapsEntry]:
    """Every mapping, some at a time: the text of a whole layout would stay in malloc's heap."""
    begun = b""
    for lines in read_by_lines(path):
        begun += lines
        # The last mapping may not be all here.
        last = max((found.start() for found in HEADER.finditer(begun)), default=0)
        if last:
            yield from SmapsText(begun[:last], last).entries()
            begun = begun[last:]
    if begun:
        yield from SmapsText(begun, len(begun)).entries()


def _may_be_thread_heap(entry: SmapsEntry) -> bool:
    is_nameless = not entry.path or entry.path.startswith(b"[anon:")
    return is_nameless and entry.permissions == b"rw-p" and entry.start % ARENA_ALIGNMENT == 0
