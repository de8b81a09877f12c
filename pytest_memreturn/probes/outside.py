"""What memory outside the process is new: children and shared-memory segments."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._outside import ChildProcess, Outside
from pytest_memreturn.probes.pools import owners

if TYPE_CHECKING:
    from pytest_memreturn.probes.children import KnownChildren
    from pytest_memreturn.probes.segments import KnownSegments

_COMMAND_CHARACTERS = 200

# Processes that CPython's multiprocessing starts once and keeps to the end, by the module that
# knows them, the object in it and the attribute with the pid. All private: where one has
# changed, the process simply counts.
_HELPERS = (
    ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
    ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
    # loky's, which joblib brings, and with it scikit-learn.
    ("joblib.externals.loky.backend.resource_tracker", "_resource_tracker", "_pid"),
)


@dataclass(frozen=True, slots=True)
class _LinuxState:
    """What procfs and ``/dev/shm`` showed at one time."""

    children: KnownChildren
    segments: KnownSegments


class LinuxOutside:
    """Children and segments by procfs and ``/dev/shm``."""

    def __init__(self) -> None:
        # Only where it exists: neither module can be loaded anywhere but on Linux.
        from pytest_memreturn.probes.children import LinuxChildren
        from pytest_memreturn.probes.segments import LinuxSegments

        self._children = LinuxChildren()
        self._segments = LinuxSegments(has_siblings=_has_sibling_workers())

    def begin(self) -> object:
        """What is there now."""
        return _LinuxState(self._children.known(), self._segments.known())

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """What is there now and was not at `begin`."""
        assert isinstance(state, _LinuxState)
        return Outside(
            self._children.new_since(state.children),
            self._segments.new_since(
                state.segments, family=self._children.pids, peak_growth_bytes=peak_growth_bytes
            ),
        )


class PortableOutside:
    """Children by psutil; segments it cannot see."""

    def begin(self) -> object:
        """The descendants now; psutil tells a process from a later one with the same pid."""
        return _descendants()

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """The live descendants that are there now and were not at `begin`."""
        del peak_growth_bytes
        assert isinstance(state, frozenset)
        new = _descendants() - state
        if not new:
            return Outside()
        helpers = helper_pids()
        found = [_child(one) for one in sorted(new, key=_pid) if one.pid not in helpers]
        owned = owners()
        return Outside(
            children=tuple(
                replace(child, owner=owned.get(child.pid)) for child in found if child is not None
            )
        )


def command_line(words: Sequence[str]) -> str:
    """A command as a shell would take it; of a long one 200 characters, with an ellipsis."""
    command = shlex.join(words)
    if len(command) <= _COMMAND_CHARACTERS:
        return command
    return command[: _COMMAND_CHARACTERS - 1] + "…"


def helper_pids() -> set[int]:
    """The pids of multiprocessing's own helpers, as far as loaded modules tell them."""
    pids = set()
    for module, holder, attribute in _HELPERS:
        # A test may have put anything in place of a module.
        with contextlib.suppress(Exception):
            pid = getattr(getattr(sys.modules[module], holder), attribute)
            if isinstance(pid, int):
                pids.add(pid)
    return pids


def _has_sibling_workers() -> bool:
    """Whether pytest-xdist runs other workers beside this one."""
    count = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "")
    return count.isdecimal() and int(count) > 1


def _descendants() -> frozenset[psutil.Process]:
    try:
        return frozenset(psutil.Process().children(recursive=True))
    except (psutil.Error, OSError) as error:
        msg = f"psutil cannot list the children of this process: {error}"
        raise ReadingUnavailableError(msg) from error


def _pid(process: psutil.Process) -> int:
    return process.pid


def _child(process: psutil.Process) -> ChildProcess | None:
    """The child as data; ``None`` if it has ended."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ChildProcess(
            pid=process.pid,
            name=process.name(),
            command=command_line(process.cmdline()),
            footprint_bytes=own_bytes(process),
        )
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError) as error:
        msg = f"psutil cannot read the child process {process.pid}: {error}"
        raise ReadingUnavailableError(msg) from error


def own_bytes(process: psutil.Process) -> int:
    """What of a process's memory is its own alone, as near as psutil has it."""
    try:
        return int(process.memory_full_info().uss)
    except (psutil.AccessDenied, OSError):
        # Some platforms tell the unique set size to its owner or to root only.
        memory = process.memory_info()
        return int(memory.rss - getattr(memory, "shared", 0))
