"""Makes other interpreters give back what is free: the only code that changes another process."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_memreturn.remote.answers import problem_in, statistics_in

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics

Send: TypeAlias = Callable[[int, str], object]

# An interpreter gets to the script at its next instruction. One that ran answered within 10 ms,
# and a server that wakes every 0.1 s within that and the time of a collection.
_MOST_SECONDS = 10.0
# One that sleeps in a system call gets to it when that returns. Loops of servers wake it: uvicorn's
# workers every 0.1 s, its supervisor and gunicorn's arbiter within 1 s.
_MOST_ASLEEP_SECONDS = 1.5
_PAUSE_SECONDS = 0.005

_LARGEST_ANSWER_BYTES = 1 << 20

# An answer is no link, and no pipe that would be waited for. Windows has neither.
_AS_IT_LIES = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

_NEEDS = (
    "release=True needs CPython 3.14 or later on both sides, of the same minor version, for it is "
    "sys.remote_exec (PEP 768) that makes the other one collect and trim"
)


# A helper that multiprocessing keeps, which reads from a pipe all its life and holds next to
# nothing: to wait for it would add the time above to every release of a server with workers.
_SLEEPS_FOR_EVER = "multiprocessing.resource_tracker import main"


@dataclass(frozen=True, slots=True)
class Released:
    """What came of asking: statistics by pid, and for every other pid why there are none.

    `refused`: those of the latter that could not be asked at all.
    """

    statistics: dict[int, tuple[AllocatorStatistics, ...]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Asked:
    """A process that has been given a script; `seen_at` is when it was last seen to have run."""

    script: Path
    answer: Path
    figure: object
    seen_at: float


class RemoteReleaser:
    """Asks interpreters all at once, and waits for their answers.

    `has_run`: a figure that changes when the main thread of a process has run.
    `describe`: what is known of the Python of a process, in words.
    """

    def __init__(
        self,
        has_run: Callable[[int], object],
        describe: Callable[[int], str],
        *,
        send: Send | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._has_run = has_run
        self._describe = describe
        self._send = send or getattr(sys, "remote_exec", None)
        self._clock = clock
        self._sleep = sleep

    def release(self, commands: Mapping[int, str]) -> Released:
        """Make each process collect and trim; by pid the command that it was started by."""
        found = Released()
        asked = {}
        for pid, command in commands.items():
            if _SLEEPS_FOR_EVER in command:
                found.reasons[pid] = f"process {pid} is a helper of multiprocessing that sleeps"
                continue
            folder = Path(tempfile.mkdtemp(prefix=f"{pid}-", dir=_base()))
            script, answer = folder / "release.py", _folder_for_answer(folder, pid) / "answer"
            script.write_text(_text(str(answer)), encoding="utf-8")
            # Whoever reads it may be another user, whatever files are made with here.
            script.chmod(0o644)
            folder.chmod(0o711)
            figure = self._has_run(pid)
            reason = self._order(pid, script)
            if reason is None:
                asked[pid] = _Asked(script, answer, figure, self._clock())
            else:
                shutil.rmtree(folder, ignore_errors=True)
                found.reasons[pid] = reason
                found.refused.add(pid)
        self._wait(asked, found)
        return found

    def _wait(self, asked: dict[int, _Asked], found: Released) -> None:
        began = self._clock()
        while asked:
            for pid, one in list(asked.items()):
                if self._is_done(pid, one, began, found):
                    del asked[pid]
            if asked:
                self._sleep(_PAUSE_SECONDS)

    def _is_done(self, pid: int, one: _Asked, began: float, found: Released) -> bool:
        now, figure = self._clock(), self._has_run(pid)
        if figure != one.figure:
            one.figure, one.seen_at = figure, now
        if os.path.lexists(one.answer):
            _take(pid, one.answer, found)
            shutil.rmtree(one.script.parent, ignore_errors=True)
            return True
        if now - one.seen_at > _MOST_ASLEEP_SECONDS:
            found.reasons[pid] = (
                f"process {pid} sleeps in a system call, and gets to a release only when that "
                "returns"
            )
        elif now - began > _MOST_SECONDS:
            found.reasons[pid] = (
                f"process {pid} did not answer within {_MOST_SECONDS:g} s: it is busy outside of "
                f"Python, or can't read {one.script}"
            )
        else:
            return False
        # It may get to it yet, and shall do nothing then. A file that is gone would be an error.
        one.script.write_text("", encoding="utf-8")
        return True

    def _order(self, pid: int, script: Path) -> str | None:
        """Have a process run a script when it gets to it; the reason why that can't be."""
        own = f"this is Python {_own_version()}, process {pid} is {self._describe(pid)}"
        if self._send is None:
            return f"{_NEEDS}; {own}"
        try:
            self._send(pid, str(script))
        except PermissionError:
            return (
                f"process {pid} may not be traced, which release=True needs: be its user, or root; "
                "where /proc/sys/kernel/yama/ptrace_scope is 1, be its ancestor; in a container, "
                "have CAP_SYS_PTRACE"
            )
        except (OSError, RuntimeError) as error:
            return (
                f"process {pid} takes no script ({error}): {_NEEDS}, and neither "
                f"PYTHON_DISABLE_REMOTE_DEBUG nor -X disable-remote-debug there; {own}"
            )
        return None


def _take(pid: int, answer: Path, found: Released) -> None:
    try:
        data = _read(answer)
    except OSError as error:
        found.reasons[pid] = f"process {pid} left no answer that can be read: {error.strerror}"
        return
    problem = problem_in(data)
    if problem is None:
        found.statistics[pid] = statistics_in(data)
    else:
        found.reasons[pid] = f"process {pid} answered: {problem}"


def _read(answer: Path) -> bytes:
    """What lies there, if it is a file: whose folder it is may have put anything in its place."""
    descriptor = os.open(answer, _AS_IT_LIES)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return os.read(descriptor, _LARGEST_ANSWER_BYTES)
    finally:
        os.close(descriptor)


@functools.cache
def _source() -> str:
    return resources.files("pytest_memreturn.remote").joinpath("script.py").read_text("utf-8")


def _text(answer: str) -> str:
    return f"{_source()}\n\nanswer({answer!r})\n"


def _own_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@functools.cache
def _base() -> Path:
    """One folder to the end of this process: who wakes late must find an empty script in it."""
    base = Path(tempfile.mkdtemp(prefix="memreturn-release-"))
    base.chmod(0o711)
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    return base


def _folder_for_answer(folder: Path, pid: int) -> Path:
    """One below it, that a process of another user may write to, if this one may say so.

    Nothing else is given away: what this one writes to, or reads for a script, stays its own.
    """
    found = folder / "own"
    found.mkdir(0o700)
    with contextlib.suppress(OSError):
        owner = Path(f"/proc/{pid}").stat()
        if owner.st_uid != os.geteuid():
            os.chown(found, owner.st_uid, owner.st_gid)
    return found
