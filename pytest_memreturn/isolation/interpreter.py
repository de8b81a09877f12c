"""Fresh interpreters, each for one test, from a process that has them ready."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_memreturn.fresh.command import Invocation
from pytest_memreturn.fresh.process import end_group, kept_from_forks, lifeline, start
from pytest_memreturn.isolation.ending import Ending
from pytest_memreturn.isolation.order import ANSWER, ORDER, OUTPUT, VARIABLE, Order
from pytest_memreturn.isolation.outcome import Outcome
from pytest_memreturn.isolation.sections import read_shortened
from pytest_memreturn.isolation.told import LAST_LINE, Told, parse_told
from pytest_memreturn.probes.kills import oom_kills
from pytest_memreturn.probes.strays import started_with

# A test that is interrupted tears its fixtures down; a second Ctrl-C does not wait for it.
_GRACE_SECONDS = 5.0

# After a test has told its end, its process may wait for one that it started: for ever, if that is
# a worker that works. What is done at exit has this long.
_END_SECONDS = 2.0

# So often it is looked whether it has told its end.
_LOOK_SECONDS = 0.5

# What is ended may just have started something; that ends after a few rounds, or never.
_MOST_ROUNDS = 5

# A number.
_MOST_BYTES = 64

# In milliseconds, some 24 days.
_MOST_POLLED = (1 << 31) - 1


class Interpreters:
    """Gives fresh interpreters that start with the same variables. Nothing outlives `close`.

    `shows`: their output goes where this process's goes, and is not kept. Raises `OSError`.
    """

    def __init__(
        self, invocation: Invocation, variables: Mapping[str, str], *, shows: bool
    ) -> None:
        self._shows = shows
        self._pid = os.getpid()
        with contextlib.ExitStack() as stack:
            scratch = tempfile.TemporaryDirectory(prefix="memreturn-", ignore_cleanup_errors=True)
            self._folder = Path(stack.enter_context(scratch))
            held = stack.enter_context(lifeline())
            # With borders between messages.
            self._control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
            stack.enter_context(self._control)
            stack.enter_context(kept_from_forks(self._control.fileno()))
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
        """End what they come from; twice is once, and nothing in a fork of this process."""
        if os.getpid() == self._pid:
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
            try:
                with theirs, (folder / OUTPUT).open("wb") as output:
                    own = () if self._shows else (output.fileno(),)
                    descriptors = (held, theirs.fileno(), *own)
                    socket.send_fds(self._control, [name.encode()], descriptors)
                pid = self._begun(limit_seconds)
                status, in_time = self._wait(pid, folder / ANSWER, limit_seconds)
            except BaseException:
                # What it tells next may be of this test, and would be taken for the next one's.
                self.close()
                raise
            finally:
                self._end_strays(folder)
            later = oom_kills()
            risen = None if kills is None or later is None else later - kills
            said = _read(folder / OUTPUT)
            if status is None:
                said += _read(self._folder / OUTPUT)
                self.close()
            return Outcome(
                _told(folder / ANSWER),
                Ending(status, None if in_time else limit_seconds, risen),
                ("", "") if self._shows else _captured(ours, folder / OUTPUT),
                said,
            )

    def _begun(self, limit_seconds: float | None) -> int:
        """The number of a test's process. Raises `OSError` where there is none."""
        problem = "ended"
        if not self._hears_within(limit_seconds):
            problem = f"had not started within {limit_seconds:g} s"
        elif (pid := self._next_number()) is not None:
            return pid
        said = _read(self._folder / OUTPUT).strip()
        msg = f"the process they come from {problem}: {said}"
        raise ChildProcessError(msg)

    def _wait(self, pid: int, answer: Path, limit_seconds: float | None) -> tuple[int | None, bool]:
        """The status that a test's process ended with, and whether it did so in time.

        The status is ``None`` where what it comes from ended before it, and 0 where it told its
        end and was ended then.
        """
        in_time = True
        has_told = has_ended = False
        try:
            if not self._ends_within(limit_seconds, answer):
                in_time = has_told = _tells_its_end(answer)
                # What it started may have to clear up after it, and is ended after it.
                _end(pid, signal.SIGKILL, alone=True)
            status = self._next_number()
            has_ended = True
        except KeyboardInterrupt:
            _end(pid, signal.SIGINT)
            self._hears_within(_GRACE_SECONDS)
            raise
        finally:
            # Until the next one is asked for, its number is nobody else's.
            if not has_ended:
                _end(pid, signal.SIGKILL)
                self._next_number()
        if status is None:  # what would have told has ended before it
            _end(pid, signal.SIGKILL)
        return (0 if has_told and status == -signal.SIGKILL else status), in_time

    def _ends_within(self, seconds: float | None, answer: Path) -> bool:
        """Whether a process ends within the limit, and once it has told its end, soon."""
        last = None if seconds is None else time.monotonic() + seconds
        while not _tells_its_end(answer):
            rest = _LOOK_SECONDS if last is None else min(_LOOK_SECONDS, last - time.monotonic())
            if self._hears_within(max(0, rest)):
                return True
            if last is not None and time.monotonic() >= last:
                return False
        return self._hears_within(_END_SECONDS)

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
        poll = select.poll()  # `select` takes no descriptor above 1023
        poll.register(self._control, select.POLLIN)
        return bool(poll.poll(None if seconds is None else min(seconds * 1000, _MOST_POLLED)))

    def _next_number(self) -> int | None:
        """What the server tells next; ``None`` where it has ended."""
        try:
            told = self._control.recv(_MOST_BYTES)
        except ConnectionError:
            return None
        return int(json.loads(told)) if told else None


def _end(pid: int, number: int, *, alone: bool = False) -> None:
    """Signal a process with its group, if it has made one of its own yet; or it `alone`."""
    for send in (os.kill,) if alone else (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, number)
            return


def _tells_its_end(answer: Path) -> bool:
    """Whether the last line says so: its process has nothing to do any more but to end."""
    try:
        with answer.open("rb") as lines:
            lines.seek(max(0, lines.seek(0, os.SEEK_END) - len(LAST_LINE)))
            return lines.read() == LAST_LINE
    except FileNotFoundError:
        return False


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
