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
import sys
import warnings

from _pytest.config import default_plugins

from pytest_memreturn import allocators, probes
from pytest_memreturn.fresh.tie import tie_to
from pytest_memreturn.isolation import child

# What a run that judges loads in any case, and only that. Not `plugin`: pytest warns of plugins
# that were there before it could rewrite their assertions.
_ROOMS = (allocators, probes)
_MODULES = ("_additions", "_measure", "_ratchet_run", "_run_report", "_session")

# A folder's name and a byte or two.
_MOST_BYTES = 4096


def serve(control: socket.socket) -> int:
    """Fork a process for each test that is asked for; the exit status, in whichever this is.

    Told: the folder of a test with the descriptors of its lifeline, its channel, and its output
    where it has one of its own. Tells: the number of the process, then the status it ended with.
    """
    while True:
        try:
            asked, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 3)
        except ConnectionError:
            return 0
        if not asked:
            return 0
        with warnings.catch_warnings():
            # What starts with every interpreter, as by a .pth file, may have started threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            control.close()
            return _test(asked.decode(), descriptors)
        for one in descriptors:
            os.close(one)
        control.send(json.dumps(pid).encode())
        # Not reaped before its group is ended: until then nobody else can have its number.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        control.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


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
    load()
    with socket.socket(fileno=int(control)) as asked:
        asked.set_inheritable(False)
        return serve(asked)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
