"""Waiting for memory on its way back, by a scripted clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pytest_memreturn._settle import Settled, settle
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.probes.motion import Motion

# What may stay; a script that says HIGH has not returned its memory.
FITS = 2 * MIB
HIGH = 100 * MIB

# More than any single poll takes.
POLL = 0.06


@dataclass
class Process:
    """A process in which the footprint and the threads are functions of the time."""

    footprint: Callable[[float], int]
    motion: Callable[[float], Motion] = lambda _: Motion()
    reading_seconds: float = 0.0
    clock_stands: bool = False
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    readings: int = 0

    def read(self) -> int:
        """The footprint now; takes its time."""
        self.readings += 1
        self.now += self.reading_seconds
        return self.footprint(self.now)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds > 0
        self.pauses.append(seconds)
        self.now += seconds

    def settle(self, at_most_seconds: float = 3, *, others_alive: bool = False) -> Settled:
        """Wait for this process."""
        return settle(
            self.read,
            lambda: self.motion(self.now),
            lambda footprint: footprint <= FITS,
            at_most_seconds=at_most_seconds,
            others_alive=others_alive,
            clock=lambda: 7.0 if self.clock_stands else 1000 + self.now,
            sleep=self.sleep,
        )


def steps(*falls: tuple[float, int]) -> Callable[[float], int]:
    """A footprint that is `HIGH`, and from each of these seconds on so many bytes."""

    def footprint(now: float) -> int:
        return [HIGH, *(size for at, size in falls if at <= now)][-1]

    return footprint


def idle(now: float) -> Motion:
    """A second thread that sleeps."""
    del now
    return Motion(2, 1.0)


def busy(now: float) -> Motion:
    """A second thread that computes all the time."""
    return Motion(2, 1.0 + now)


def purging(now: float) -> Motion:
    """A purger that has something to do."""
    del now
    return Motion(2, 1.0, purges_in_background=True)


def until(seconds: float, first: Callable[[float], Motion]) -> Callable[[float], Motion]:
    """Motion of one kind, then of a thread that sleeps."""
    return lambda now: first(now) if now < seconds else idle(now)


def test_what_fits_is_not_waited_for() -> None:
    """One reading that fits is the answer, whatever moves."""
    process = Process(lambda _: FITS, purging)
    assert process.settle() == Settled(FITS, 0.0)
    assert (process.readings, process.pauses) == (1, [])


def test_a_process_in_which_nothing_can_move_is_not_waited_for() -> None:
    """One thread and no new child: no pause at all."""
    process = Process(steps((0.001, 0)))
    assert process.settle() == Settled(HIGH, 0.0)
    assert (process.readings, process.pauses) == (1, [])


def test_zero_never_waits() -> None:
    """Neither for a purger nor for a child."""
    process = Process(steps((0.001, 0)), purging)
    assert process.settle(0, others_alive=True) == Settled(HIGH, 0.0)
    assert (process.readings, process.pauses) == (1, [])


# Seconds that pass before a retained window is given up.
IN_VAIN = [
    pytest.param(steps(), idle, False, 0.1, id="threads that sleep"),
    pytest.param(steps(), busy, False, 0.5, id="a thread that computes for ever"),
    pytest.param(lambda now: HIGH + int(now * 100) * MIB, busy, False, 0.5, id="that also takes"),
    pytest.param(
        lambda now: HIGH + int(now * 1000) % 20 * MIB,
        busy,
        False,
        0.5,
        id="that takes and frees by turns",
    ),
    pytest.param(steps(), until(0.3, busy), False, 0.4, id="a thread that computes for a while"),
    pytest.param(steps(), lambda now: Motion(2, now * 0.09), False, 0.1, id="housekeeping"),
    pytest.param(
        steps(),
        lambda now: Motion(3 if now < 0.05 else 2),
        False,
        0.2,
        id="a thread that ends with nothing to give back",
    ),
    pytest.param(
        steps(),
        lambda now: Motion(3 - int(now * 30) % 2),
        False,
        0.2,
        id="threads that come and go",
    ),
    pytest.param(steps(), lambda _: Motion(), True, 0.5, id="a child that stays"),
    pytest.param(steps(), purging, False, 1.25, id="a leak beside a purger"),
    pytest.param(steps(), until(0.4, purging), False, 0.4, id="beside one that goes to sleep"),
    pytest.param(
        lambda now: HIGH - int(now * 10) * KIB, idle, False, 0.1, id="a fall within the noise"
    ),
]


@pytest.mark.parametrize(("footprint", "motion", "others_alive", "seconds"), IN_VAIN)
def test_patience_without_a_fall(
    footprint: Callable[[float], int],
    motion: Callable[[float], Motion],
    others_alive: bool,
    seconds: float,
) -> None:
    """How long a figure that does not fall is waited for hangs on what moves."""
    process = Process(footprint, motion)
    assert process.settle(others_alive=others_alive) == Settled(footprint(process.now), 0.0)
    assert seconds - POLL <= process.now <= seconds + POLL


# When the footprint has come so low that it fits.
WORTH_IT = [
    pytest.param(steps((0.08, 0)), idle, False, 0.08, id="a thread ends soon"),
    pytest.param(steps((0.4, 0)), busy, False, 0.4, id="a busy thread comes to its end"),
    pytest.param(
        steps((0.4, 90 * MIB), (0.8, 50 * MIB), (1.2, 0)), busy, False, 1.2, id="in three steps"
    ),
    pytest.param(steps((0.07, 0)), lambda _: Motion(), True, 0.07, id="a child ends"),
    pytest.param(steps((0.9, 90 * MIB), (2.0, 0)), purging, False, 2.0, id="a late purge"),
    pytest.param(
        steps((0.126, 60 * MIB), (0.41, 10 * MIB), (0.692, 9 * MIB), (0.895, MIB)),
        purging,
        False,
        0.895,
        id="a purge with plateaus",
    ),
    pytest.param(
        lambda now: HIGH - int(now * 50) * MIB, idle, False, 1.96, id="falling all the time"
    ),
    pytest.param(
        # A fall is what adds up since the last one, however small the parts.
        lambda now: HIGH - int(now * 2000) * KIB if now < 1 else 0,
        idle,
        False,
        1.0,
        id="dripping",
    ),
    pytest.param(
        steps((1.6, 0)),
        lambda now: Motion(5 - int(now / 0.4), now),
        False,
        1.6,
        id="a pool that ends thread by thread",
    ),
    pytest.param(
        lambda now: HIGH + 50 * MIB if now < 0.3 else 0, busy, False, 0.3, id="takes before it ends"
    ),
]


@pytest.mark.parametrize(("footprint", "motion", "others_alive", "seconds"), WORTH_IT)
def test_what_comes_back_is_waited_for(
    footprint: Callable[[float], int],
    motion: Callable[[float], Motion],
    others_alive: bool,
    seconds: float,
) -> None:
    """A footprint that fits in the end ends the wait, and its time is told."""
    process = Process(footprint, motion)
    settled = process.settle(others_alive=others_alive)
    assert settled.footprint_bytes == footprint(process.now)
    assert settled.seconds == pytest.approx(process.now)
    assert settled.footprint_bytes <= FITS
    assert seconds <= settled.seconds <= seconds + POLL


def test_a_fall_that_is_not_enough_is_told() -> None:
    """What fell in part is given up a patience after the last fall, whose time is told."""
    process = Process(steps((0.05, 60 * MIB)), idle)
    settled = process.settle()
    assert settled.footprint_bytes == 60 * MIB
    assert 0.05 <= settled.seconds <= 0.05 + POLL
    assert settled.seconds + 0.1 - 1e-9 <= process.now <= settled.seconds + 0.1 + POLL


@pytest.mark.parametrize("at_most_seconds", [0.005, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("reading_seconds", [0.0, 0.2])
def test_the_limit_holds_while_it_falls(at_most_seconds: float, reading_seconds: float) -> None:
    """However long it falls, and however slow a reading is: it ends there, but for the reading."""
    process = Process(lambda now: HIGH - int(now * MIB), purging, reading_seconds)
    settled = process.settle(at_most_seconds)
    assert settled.footprint_bytes > FITS
    latest = at_most_seconds + 2 * reading_seconds
    assert at_most_seconds - 1e-9 <= process.now <= latest + 1e-9
    assert process.readings == len(process.pauses) + 1


def test_pauses_grow_up_to_a_limit() -> None:
    """The first pause is short, so that little is lost where one is enough."""
    process = Process(steps(), purging)
    process.settle()
    assert process.pauses[:3] == [0.01, 0.015, 0.0225]
    assert process.pauses == sorted(process.pauses)
    assert process.pauses[-1] == 0.05


def test_a_clock_that_stands_still_is_no_trap() -> None:
    """The pauses themselves are counted."""
    process = Process(lambda now: HIGH - int(now * MIB), purging, clock_stands=True)
    process.settle()
    assert sum(process.pauses) == pytest.approx(3)
