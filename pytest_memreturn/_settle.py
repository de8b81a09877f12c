"""Waiting for a footprint that is still falling; pure but for what is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_memreturn._sizes import KIB
from pytest_memreturn.probes.motion import Motion

# An empty test moves the footprint by at most 16 KiB; what is on its way back comes in more.
_NOISE_BYTES = 64 * KIB

# Enough for a thread that only needs the interpreter, whose lock a running thread gives up
# every 5 ms, and too little to be felt by whoever waits for a failing test.
_FIRST_PAUSE_SECONDS = 0.01
# jemalloc's purger works in steps of 0.1 s: twice a step is often enough. The reading of a
# process with much memory takes several milliseconds, which shall not become the load.
_LONGEST_PAUSE_SECONDS = 0.05
_PAUSE_GROWTH = 1.5

# Less CPU time than this share of a pause is housekeeping: a pool that looks for work.
_BUSY_SHARE = 0.1

# How long the figure may stand still, by what may be behind it.
#
# Nothing that shows. Threads that sleep (a pool of workers) are in most processes for good, so
# every window that retained waits this long.
_QUIET_PATIENCE_SECONDS = 0.1
# Threads that are busy, and children. Both may go on for ever: a thread that serves, a child
# that nobody ends. A child with 300,000 small objects took 0.07 s to end.
_ACTIVE_PATIENCE_SECONDS = 0.5
# A purger that has set itself a time. Of frames freed in polars (decay 0.5 s), up to 0.90 s
# passed before the first fall, and 0.5 s between two that mattered; under a jemalloc with a
# decay of 1 s, up to 0.5 s and 1.0 s. On a busy machine it was no more. A leak beside a purger
# that never rests waits this long once. A decay of 10 s, jemalloc's default, begins too late.
_PURGE_PATIENCE_SECONDS = 1.25


@dataclass(frozen=True, slots=True)
class Settled:
    """The footprint at the last reading, and how long it went on falling.

    `seconds` is when the last fall that mattered was seen; 0 where nothing fell.
    `waited_seconds` is how long somebody waited for it.
    """

    footprint_bytes: int
    seconds: float = 0.0
    waited_seconds: float = field(default=0.0, compare=False)


def settle(  # noqa: PLR0913 - the world, by its parts
    read_footprint: Callable[[], int],
    sample: Callable[[], Motion],
    fits: Callable[[int], bool],
    *,
    at_most_seconds: float,
    others_alive: bool = False,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Settled:
    """Read the footprint (bytes) until it `fits`, but only as long as it may fall.

    `others_alive`: there are new child processes, whose memory `read_footprint` counts. Without
    them and without a second thread nothing can fall by itself, and nobody waits. Never takes
    longer than `at_most_seconds` and two readings. What the readings raise goes on.
    """
    footprint = read_footprint()
    if fits(footprint) or at_most_seconds <= 0:
        return Settled(footprint)
    motion = sample()
    if motion.threads <= 1 and not others_alive:
        return Settled(footprint)
    started = clock()
    # It moves on with a footprint or a number of threads that is lower than any so far: a thread
    # that takes and frees by turns, or a server with a thread per request, would do so for ever.
    lowest, fewest = footprint, motion.threads
    waited = fell_at = moved_at = busy_at = 0.0
    pause = _FIRST_PAUSE_SECONDS
    while waited < at_most_seconds:
        pause = min(pause, at_most_seconds - waited)
        sleep(pause)
        footprint = read_footprint()
        # By the pauses at the least, should the clock stand still.
        passed = max(pause, clock() - started - waited)
        waited += passed
        if fits(footprint):
            return Settled(footprint, waited, waited)
        before, motion = motion, sample()
        if lowest - footprint >= _NOISE_BYTES:
            lowest, fell_at, moved_at = footprint, waited, waited
        if motion.threads < fewest:
            fewest, moved_at = motion.threads, waited
        busy_seconds = motion.other_busy_seconds - before.other_busy_seconds
        if others_alive or busy_seconds > passed * _BUSY_SHARE:
            busy_at = waited
        if waited - moved_at >= _patience_seconds(motion, waited - busy_at):
            break
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
    return Settled(footprint, fell_at, waited)


def _patience_seconds(motion: Motion, idle_seconds: float) -> float:
    if motion.purges_in_background:
        return _PURGE_PATIENCE_SECONDS
    # On a machine with more to do a busy thread may have to wait for its turn.
    if idle_seconds < _QUIET_PATIENCE_SECONDS:
        return _ACTIVE_PATIENCE_SECONDS
    return _QUIET_PATIENCE_SECONDS
