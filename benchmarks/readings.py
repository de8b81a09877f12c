"""What each reading costs by itself, in a process without pytest.

python benchmarks/readings.py snapshot ROUNDS   in a process as large as standard input makes it
python benchmarks/readings.py each ROUNDS       every reading that a judged test may pay for
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

from pytest_memreturn._measure import instruments

SMAPS = "/proc/self/smaps"


def seconds_of(read: Callable[[], object]) -> float:
    """How long one call took."""
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


class KernelAlone:
    """The kernel's own work for ``smaps``: read into one buffer, and thrown away."""

    def __init__(self) -> None:
        self._buffer = bytearray(2**20)

    def __call__(self) -> None:
        """Read it once from end to end."""
        file = os.open(SMAPS, os.O_RDONLY)
        try:
            while os.readv(file, [self._buffer]):
                pass
        finally:
            os.close(file)


def snapshots(rounds: int) -> list[list[float]]:
    """Times of the kernel alone, of a full reading, and of such a reading made sense of."""
    ballast: dict[str, object] = {}
    exec(sys.stdin.read(), ballast)  # noqa: S102  as scale.py hands it over
    found = instruments()
    subjects: tuple[Callable[[], object], ...] = (
        KernelAlone(),
        lambda: found.full_reading(baseline=True),
        lambda: found.full_reading(baseline=True).snapshot(),
    )
    for subject in subjects:
        subject()
    times: list[list[float]] = [[] for _ in subjects]
    for _ in range(rounds):
        for subject, seconds in zip(subjects, times, strict=True):
            seconds.append(seconds_of(subject))
    return times


def each(rounds: int) -> dict[str, list[float]]:
    """Times of every reading that a judged test may pay for."""
    found = instruments()
    baseline = found.begin_outside()
    readings: dict[str, Callable[[], object]] = {
        "collect": found.releaser.collect,
        "trim, every allocator": found.releaser.trim,
        "layout, at the baseline": lambda: found.memory.capture(baseline=True),
        "allocator statistics, all": found.statistics,
        "outside, at the baseline": found.begin_outside,
        "outside, at the end": lambda: found.outside_since(baseline, peak_growth_bytes=0),
        "counters": found.memory.counters,
        "exact footprint": found.memory.exact,
    }
    return {name: [seconds_of(read) for _ in range(rounds)] for name, read in readings.items()}


def main() -> None:
    """Measure, and write the seconds to standard output."""
    what, rounds = sys.argv[1:]
    measured = {"snapshot": snapshots, "each": each}[what](int(rounds))
    json.dump(measured, sys.stdout)


if __name__ == "__main__":
    main()
