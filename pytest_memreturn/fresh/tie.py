"""Tying a fresh interpreter to the process that started it."""

from __future__ import annotations

import os
import select
import signal
import sys


def tie_to(lifeline: int) -> None:
    """Have the kernel end this process, and all it starts, when the pipe's other end is closed.

    Without a thread, which would be part of what is measured.
    """
    os.set_inheritable(lifeline, False)  # noqa: FBT003 - the only way to call it
    import fcntl

    set_signal = getattr(fcntl, "F_SETSIG", None)
    if set_signal is None:  # not Linux
        return
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, set_signal, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    poll = select.poll()  # `select` takes no descriptor above 1023
    poll.register(lifeline, 0)  # its other end being closed is told in any case
    if poll.poll(0):  # closed already: no signal will come
        sys.exit(1)
