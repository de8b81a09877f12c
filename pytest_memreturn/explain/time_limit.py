"""How long something may take."""

from __future__ import annotations

import time
from collections.abc import Callable

# Beside seven busy processes on two processors a thread had a fifth of the time.
_PATIENCE = 5


def time_limit(
    seconds: float,
    clock: Callable[[], float] = time.thread_time,
    wall_clock: Callable[[], float] = time.perf_counter,
) -> Callable[[], bool]:
    """Tells, whenever it is asked, whether this thread has worked for so many seconds since now.

    What others take of a busy machine does not count, or an explanation would depend on them; but
    no more than five times as much is waited for, as where a process is being swapped in.
    """
    end, last = clock() + seconds, wall_clock() + seconds * _PATIENCE
    return lambda: clock() > end or wall_clock() > last
