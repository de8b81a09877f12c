"""Fresh interpreters, each for one test, from a process that has them ready."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pytest_memreturn.fresh.command import Invocation
from pytest_memreturn.fresh.process import end_group, lifeline, start
from pytest_memreturn.isolation.ending import Ending
from pytest_memreturn.isolation.order import ANSWER, ORDER, OUTPUT, VARIABLE, Order
from pytest_memreturn.isolation.outcome import Outcome
from pytest_memreturn.isolation.sections import read_shortened
from pytest_memreturn.isolation.told import Told, parse_told
from pytest_memreturn.probes.kills import oom_kills
from pytest_memreturn.probes.strays import started_with

# A test that is interrupted tears its fixtures down; a second Ctrl-C does not wait for it.
_GRACE_SECONDS = 5.0

# What is ended may just have started something; that ends after a few rounds, or never.
_MOST_ROUNDS = 5

# A number.
_MOST_BYTES = 64


class Interpreters:
    """Gives fresh interpreters that start with the same variables. Nothing outlives `close`.

    `shows`: their output goes where this process's goes, and is not kept. Raises `OSError`.
    """

    def __init__(
        self, invocation: Invocation, variables: Mapping[str, str], *, shows: bool
    ) -> None:
        self._shows = shows
        with contextlib.ExitStack() as stack:
            scratch = tempfile.TemporaryDirectory(prefix="memreturn-", ignore_cleanup_errors=True)
            self._folder = Path(stack.enter_context(scratch))
            held = stack.enter_context(lifeline())
            # With borders between messages.
            self._control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
            stack.enter_context(self._control)
            with theirs, (self._folder / OUTPUT).open("wb") as output:
                self._server = start(
                    invocation,
                    ("pytest_memreturn.isolation.server", str(held), str(theirs.fileno())),
                    # What a test forks shows the variables that this one starts with.
                    variables={**variables, VARIABLE: str(self._folder)},
                    output=None if shows else output,
                    keeps_open=(held, theirs.fileno()),
                )
            stack.callback(end_group, self._server)
            self._open = stack.pop_all()

    @property
    def are_ready(self) -> bool:
        """Whether there may be another one: a test may have ended what it came from."""
        return self._server.poll() is None

    def close(self) -> None:
        """End what they come from; twice is once."""
        self._open.close()

    def run(self, order: Order, limit_seconds: float | None) -> Outcome:
        """Run a test in one, to its end; what interrupts that ends the test, and goes on.

        Raises `OSError` where none can be had any more.
        """
        kills = oom_kills()
        scratch = tempfile.TemporaryDirectory(prefix="memreturn-", ignore_cleanup_errors=True)
        with scratch as name, contextlib.ExitStack() as stack:
            folder = Path(name)
            (folder / ORDER).write_text(order.to_json(), encoding="utf-8")
            held = stack.enter_context(lifeline())
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            with theirs, (folder / OUTPUT).open("wb") as output:
                own = () if self._shows else (output.fileno(),)
                descriptors = (held, theirs.fileno(), *own)
                socket.send_fds(self._control, [name.encode()], descriptors)
            pid = self._next_number()
            if pid is None:
                msg = f"the process they come from ended: {_read(self._folder / OUTPUT).strip()}"
                raise ChildProcessError(msg)
            try:
                status, in_time = self._wait(pid, limit_seconds)
            finally:
                self._end_strays(folder)
            later = oom_kills()
            risen = None if kills is None or later is None else later - kills
            return Outcome(
                _told(folder / ANSWER),
                Ending(status, None if in_time else limit_seconds, risen),
                ("", "") if self._shows else _captured(ours, folder / OUTPUT),
                _read(folder / OUTPUT),
            )

    def _wait(self, pid: int, limit_seconds: float | None) -> tuple[int, bool]:
        """The status that a test's process ended with, and whether it did so by itself."""
        in_time = True
        has_ended = False
        try:
            if not self._hears_within(limit_seconds):
                in_time = False
                _end(pid, signal.SIGKILL)
            status = self._next_number()
            has_ended = True
        except KeyboardInterrupt:
            _end(pid, signal.SIGINT)
            self._hears_within(_GRACE_SECONDS)
            raise
        finally:
            # Until its status is taken, its number is nobody else's.
            if not has_ended:
                _end(pid, signal.SIGKILL)
                self._next_number()
        if status is None:  # what would have told has ended before it
            _end(pid, signal.SIGKILL)
        return (-signal.SIGKILL if status is None else status), in_time

    def _end_strays(self, folder: Path) -> None:
        """End what left the group of a test and still runs: forked by it, or started."""
        for _ in range(_MOST_ROUNDS):
            strays = started_with(VARIABLE, {str(self._folder), str(folder)})
            strays.discard(self._server.pid)
            for one in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(one, signal.SIGKILL)
            if not strays:
                return

    def _hears_within(self, seconds: float | None) -> bool:
        found, _, _ = select.select([self._control], [], [], seconds)
        return bool(found)

    def _next_number(self) -> int | None:
        """What the server tells next; ``None`` where it has ended."""
        try:
            told = self._control.recv(_MOST_BYTES)
        except ConnectionError:
            return None
        return int(json.loads(told)) if told else None


def _end(pid: int, number: int) -> None:
    """Signal a process and its group, if it has made one of its own yet."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, number)


def _told(answer: Path) -> Told:
    try:
        with answer.open(encoding="utf-8") as lines:
            return parse_told(lines)
    except FileNotFoundError:  # it did not come so far
        return Told()


def _read(output: Path) -> str:
    with output.open("rb") as said:
        return read_shortened(said.fileno())


def _captured(channel: socket.socket, output: Path) -> tuple[str, str]:
    """What is in the files that pytest captured in, where those are not the process's own."""
    channel.setblocking(False)  # noqa: FBT003 - the only way to call it
    try:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 2)
    except OSError:  # it did not come so far
        return "", ""
    found = ["", ""]
    for number, one in enumerate(descriptors):
        if not os.path.samestat(os.fstat(one), output.stat()):
            found[number] = read_shortened(one)
        os.close(one)
    return found[0], found[1]
