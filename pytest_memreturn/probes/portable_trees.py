"""Other processes and their descendants, through psutil alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import psutil

from pytest_memreturn._errors import ReadingUnavailableError, UnwatchableError
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._snapshot import Snapshot
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.probes.outside import command_line, own_bytes

# Bound here for the same reason as in _files.
_GETPID = os.getpid


class PortableTrees:
    """Reads trees of processes without layouts; pages that several have count in none of them."""

    def identify(self, pid: int) -> ProcessKey:
        """Who has this pid now; `UnwatchableError` for one whose memory can't be read."""
        process = _living(pid)
        if pid == _GETPID():
            msg = f"{pid} is the process that asks: judge it by memreturn() or measure()"
            raise UnwatchableError(msg)
        if process in psutil.Process().parents():
            msg = (
                f"{pid} is an ancestor of the process that asks, whose memory would count as its "
                "own"
            )
            raise UnwatchableError(msg)
        _reading(process)
        if not psutil.pid_exists(pid):  # which knows threads from processes
            msg = f"{pid} is a thread, and no process"
            raise UnwatchableError(msg)
        return ProcessKey(pid, process.create_time())

    def read(
        self, root: ProcessKey, known: Iterable[ProcessKey] = (), *, layout: bool = False
    ) -> tuple[ProcessReading, ...]:
        """Every live process of the tree, the root first; `layout` adds nothing."""
        del layout
        if _living(root.pid).create_time() != root.started:
            msg = f"{root.pid} has ended, and another process has its pid now"
            raise UnwatchableError(msg)
        found = [reading for one in _tree(root, known) if (reading := _reading(one)) is not None]
        if not found or found[0].key != root:
            msg = f"{root.pid} ended while it was read"
            raise UnwatchableError(msg)
        return tuple(found)

    def motion(self, tree: Iterable[ProcessKey]) -> Motion:
        """Threads and CPU time of all processes."""
        threads, busy_seconds = 0, 0.0
        for key in tree:
            try:
                process = psutil.Process(key.pid)
                times = process.cpu_times()
                threads += process.num_threads()
                busy_seconds += times.user + times.system
            except (psutil.Error, OSError):
                continue
        return Motion(threads, busy_seconds)


def _living(pid: int) -> psutil.Process:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            msg = f"{pid} has ended, and its parent has not waited for it"
            raise UnwatchableError(msg)
    except psutil.NoSuchProcess as error:
        msg = f"{pid} is no process that runs"
        raise UnwatchableError(msg) from error
    except (psutil.Error, OSError) as error:
        raise _unreadable(pid, error) from error
    return process


def _tree(root: ProcessKey, known: Iterable[ProcessKey]) -> Iterator[psutil.Process]:
    """The processes of the tree, each once, the root first."""
    seen = set()
    for key in (root, *known):
        try:
            process = psutil.Process(key.pid)
            if process.create_time() != key.started:
                continue
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError) as error:
            raise _unreadable(key.pid, error) from error
        yield from (one for one in family if one not in seen)
        seen.update(family)


def _reading(process: psutil.Process) -> ProcessReading | None:
    """One process; ``None`` if it has ended."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessReading(
            ProcessKey(process.pid, process.create_time()),
            process.name(),
            command_line(process.cmdline()),
            Snapshot(own_bytes(process), process.memory_info().rss),
        )
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied as error:
        msg = f"{process.pid} is a process whose memory may not be read: run as its user"
        raise UnwatchableError(msg) from error
    except (psutil.Error, OSError) as error:
        raise _unreadable(process.pid, error) from error


def _unreadable(pid: int, error: Exception) -> ReadingUnavailableError:
    return ReadingUnavailableError(f"psutil cannot read process {pid}: {error}")
