"""A process that has loaded what every isolated test needs, and forks one for each.

Nothing of a test's, of a project's or of another plugin's is ever loaded in it: its memory is that
of an interpreter which has just started, and so is that of each process that it forks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import socket
import time
import warnings

from _pytest.config import default_plugins

from pytest_memreturn import allocators, probes
from pytest_memreturn.fresh.tie import tie_to
from pytest_memreturn.isolation import child
from pytest_memreturn.probes.strays import members_of

# What a run that judges loads in any case, and only that. Not `plugin`: pytest warns of plugins
# that were there before it could rewrite their assertions.
_ROOMS = (allocators, probes)
_MODULES = ("_additions", "_measure", "_ratchet_run", "_run_report", "_session")

# A folder's name and a byte or two.
_MOST_BYTES = 4096

# What still runs in the group of a test that has ended may be on its way: the resource tracker of
# multiprocessing took 30 ms to remove what was left in shared memory.
_GRACE_SECONDS = 0.5
_PAUSE_SECONDS = 0.005


def serve(control: socket.socket, *, ignores_children: bool = False) -> int:
    """Fork a process for each test that is asked for; the exit status, in whichever this is.

    Told: the folder of a test with the descriptors of its lifeline, its channel, and its output
    where it has one of its own. Tells: the number of the process, then the status it ended with.
    `ignores_children`: whether SIGCHLD is ignored in the run.
    """
    ended: int | None = None
    while True:
        try:
            asked, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 3)
        except ConnectionError:
            return 0
        if not asked:
            return 0
        if ended is not None:
            # Not before: as long as somebody may signal it, nobody else can have its number.
            os.waitpid(ended, 0)
        with warnings.catch_warnings():
            # What starts with every interpreter, as by a .pth file, may have started threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignores_children else signal.SIG_DFL)
            return _test(asked.decode(), descriptors)
        for one in descriptors:
            os.close(one)
        control.send(json.dumps(pid).encode())
        status = _status_of(pid)
        _end_group(pid)
        control.send(json.dumps(status).encode())
        ended = pid


def _status_of(pid: int) -> int:
    """The status that a process ends with, which is not reaped; negative for that of a signal."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert found is not None  # it was waited for
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _end_group(group: int) -> None:
    """End what is left of a test's group. What ends others when they end has the time for it."""
    if not _is_empty_in_time(group):
        # Those that the resource tracker waits for end at this, and it does not.
        _signal(group, signal.SIGTERM)
        _is_empty_in_time(group)
    _signal(group, signal.SIGKILL)


def _is_empty_in_time(group: int) -> bool:
    end = time.monotonic() + _GRACE_SECONDS
    while members_of(group):
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _test(folder: str, descriptors: list[int]) -> int:
    os.setsid()  # a group of its own, to be ended as a whole
    lifeline, channel, *output = descriptors
    for one in output:
        os.dup2(one, 1)
        os.dup2(one, 2)
        os.close(one)
    tie_to(lifeline)
    with socket.socket(fileno=channel) as opened:
        return child.main(opened, folder)


def load() -> None:
    """Load what is needed in any case."""
    names = [f"_pytest.{name}" for name in default_plugins]
    names += [f"pytest_memreturn.{name}" for name in _MODULES]
    for room in _ROOMS:
        names += [f"{room.__name__}.{one.name}" for one in pkgutil.iter_modules(room.__path__)]
    for name in names:
        importlib.import_module(name)


def main(lifeline: str, control: str) -> int:
    """Load what is needed, and serve until nobody asks any more."""
    tie_to(int(lifeline))
    # As who started the run may have it: what ends is then reaped by the kernel, and not told.
    ignores = signal.signal(signal.SIGCHLD, signal.SIG_DFL) == signal.SIG_IGN
    load()
    with socket.socket(fileno=int(control)) as asked:
        asked.set_inheritable(False)
        return serve(asked, ignores_children=ignores)
