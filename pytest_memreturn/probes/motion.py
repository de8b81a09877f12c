"""What in this process may still be giving memory back."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Protocol

import psutil

from pytest_memreturn.probes._files import read_small

# Bound here for the same reason as in _files; clocks are replaced by tests even more often.
_LISTDIR = os.listdir
_PROCESS_SECONDS, _THREAD_SECONDS = time.process_time, time.thread_time

# Threads that purge for an allocator, by their name in the kernel, which has 15 characters at
# most. jemalloc names them so wherever it is: loaded before everything else, or inside polars.
_PURGERS = frozenset({b"jemalloc_bg_thd"})

# The second argument of futex(2) with which glibc waits for a condition (FUTEX_WAIT_BITSET,
# private, on either clock); it waits for a lock with another one. The fourth argument is the
# time at which the wait ends by itself, and null where it does not.
_CONDITION_WAITS = frozenset({b"0x89", b"0x189"})
_NO_TIMEOUT = b"0x0"


@dataclass(frozen=True, slots=True)
class Motion:
    """What moves in this process at one time; by default, nothing but the calling thread.

    `other_busy_seconds`: the CPU time that all threads but the calling one have used so far,
    those that ended included. `purges_in_background`: a thread of an allocator has set itself a
    time to give memory back, or may have.
    """

    threads: int = 1
    other_busy_seconds: float = 0.0
    purges_in_background: bool = False


class MotionProbe(Protocol):
    """Whatever tells what moves in this process. Cheap, and never raises."""

    def sample(self) -> Motion:
        """What moves now, seen from the calling thread."""
        ...


class PortableMotion:
    """Counts threads through psutil; sees no purger."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def sample(self) -> Motion:
        """Threads and their CPU time."""
        try:
            threads = self._process.num_threads()
        except (psutil.Error, OSError):
            # Those that Python knows are better than none.
            threads = threading.active_count()
        return Motion(threads, _other_busy_seconds())


class LinuxMotion:
    """Counts threads in procfs, and knows the purgers among them by name."""

    def __init__(self, proc: str = "/proc") -> None:
        self._tasks = f"{proc}/self/task"
        self._portable = PortableMotion()

    def sample(self) -> Motion:
        """Threads, their CPU time, and whether a purger is at work or will be."""
        try:
            threads = _LISTDIR(self._tasks)
        except OSError:
            return self._portable.sample()
        return Motion(
            len(threads),
            _other_busy_seconds(),
            any(will_purge(f"{self._tasks}/{thread}") for thread in threads),
        )


def will_purge(task: str) -> bool:
    """Whether this thread is a purger that does not sleep until somebody wakes it.

    A purger with nothing left to give back sleeps without a timeout, and so does every one of
    polars some 2 s after the last frame was freed: its presence alone tells nothing.
    """
    try:
        if read_small(f"{task}/comm").strip() not in _PURGERS:
            return False
    except OSError:
        return False  # it has ended
    try:
        # proc_pid_syscall(5): the number, six arguments, two registers; or "running".
        call = read_small(f"{task}/syscall").split()
    except OSError:
        return True  # the kernel doesn't tell
    _, _, operation, _, timeout, *_ = *call, *[b""] * 5
    return not (operation in _CONDITION_WAITS and timeout == _NO_TIMEOUT)


def _other_busy_seconds() -> float:
    # In this order, so that what passes in between never makes it negative.
    own = _THREAD_SECONDS()
    return _PROCESS_SECONDS() - own
