"""Starting a fresh interpreter, and leaving nothing of it behind."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from pytest_memreturn.fresh.command import Invocation
from pytest_memreturn.fresh.first_path import START

# What a fork of this process must not hold open: the other end would not learn of this one's end.
_KEPT: set[int] = set()


@contextlib.contextmanager
def kept_from_forks(descriptor: int) -> Iterator[None]:
    """Leave it to this process alone: what a test forks may outlive the run."""
    _watch_forks()
    _KEPT.add(descriptor)
    try:
        yield
    finally:
        _KEPT.discard(descriptor)


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    if _KEPT:
        # Not closed: there are objects that would close the number once more, whosever it is then.
        nothing = os.open(os.devnull, os.O_RDWR)
        for one in _KEPT:
            os.dup2(nothing, one, inheritable=False)
        os.close(nothing)


@contextlib.contextmanager
def lifeline() -> Iterator[int]:
    """The reading end of a pipe whose writing end only this process holds: it closes with it."""
    reading, writing = os.pipe()
    try:
        with kept_from_forks(writing):
            yield reading
    finally:
        os.close(reading)
        os.close(writing)


def start(
    invocation: Invocation,
    program: Sequence[str],
    *,
    variables: Mapping[str, str],
    output: IO[bytes] | None,
    keeps_open: Sequence[int],
) -> subprocess.Popen[bytes]:
    """Run the `main` of a module of ours in a fresh interpreter, in a group of its own.

    `program`: its name, and its arguments. `output`: where what it says goes; ``None``: where this
    process's goes. `keeps_open`: what it inherits besides. Raises `OSError`.
    """
    return subprocess.Popen(
        [*invocation.interpreter, "-c", START, *program],
        cwd=invocation.folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        pass_fds=tuple(keeps_open),
        # A group of its own, to be ended as a whole; no Ctrl-C of a terminal reaches it.
        start_new_session=True,
    )


def has_ended_within(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    """Wait for the end of a process, at most so long (``None``: for ever).

    Where the kernel helps, it is not reaped: until then nobody else can have its number. Elsewhere
    its group is ended at once, while that is most likely its own.
    """
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(process.pid)
            try:
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                return bool(poll.poll(None if seconds is None else seconds * 1000))
            finally:
                os.close(pidfd)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    _kill_group(process.pid)
    return True


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process with all of its group, whether it has ended or not."""
    if process.returncode is None:  # once it is reaped, its number may be somebody else's
        _kill_group(process.pid)
    process.wait()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
