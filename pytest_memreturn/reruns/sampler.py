"""The footprint over time, read by a thread beside the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

# Often enough for a test of a tenth of a second; of a long one, every second point goes, again
# and again.
_EVERY_SECONDS = 0.005
MOST_POINTS = 500

Point = tuple[float, int]


class Sampler:
    """Reads a figure from `start` to `stop`, at even distances."""

    def __init__(
        self,
        read: Callable[[], int],
        clock: Callable[[], float],
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._read = read
        self._clock = clock
        self._wait = wait
        self._over = threading.Event()
        self._points: list[Point] = []
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._started = 0.0

    def start(self) -> None:
        """Take the first reading, and go on."""
        self._started = self._clock()
        self._take()
        self._thread.start()

    def stop(self) -> tuple[Point, ...]:
        """End with a last reading; all of them, at most `MOST_POINTS`."""
        self._over.set()
        self._thread.join()
        self._take()
        return tuple(thinned(self._points))

    def _take(self) -> None:
        self._points.append((round(self._clock() - self._started, 4), self._read()))

    def _sample(self) -> None:
        every = _EVERY_SECONDS
        while not self._wait(self._over, every):
            self._take()
            if len(self._points) >= 2 * MOST_POINTS:
                self._points = self._points[::2]
                every *= 2


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most `MOST_POINTS` of the points, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(index * step)] for index in range(MOST_POINTS)]
