"""How long something may take."""

from __future__ import annotations

import time
from collections.abc import Callable


def time_limit(
    seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Callable[[], bool]:
    """Tells, whenever it is asked, whether so many seconds have gone by since now."""
    end = clock() + seconds
    return lambda: clock() > end
