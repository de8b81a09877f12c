"""Bringing a process to level ground before a window, with no more work than is needed."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._instruments import FullReading
from pytest_memreturn._sizes import KIB

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Tolerated
    from pytest_memreturn._ground import Pulse
    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._snapshot import Counters

# A reading leaves some 20 KiB behind. But where numpy wants huge pages in malloc's heap, the first
# byte written after a trim brings 2 MiB: of 890 leaks two were hidden in 2.6 and 4 MiB that were
# there and not in the layout.
_MOST_LEFT_BEHIND_BYTES = 64 * KIB

# Bound before a test that replaces it for its own ends can reach the readings.
_GETPID = os.getpid


@dataclass(frozen=True, slots=True)
class LeftGarbage:
    """At most so many bytes of garbage were left before a window.

    `old_bytes`: what only full collections look at; the rest any collection may take.
    """

    young_bytes: int = 0
    old_bytes: int = 0


def stand_level(instruments: Instruments, tolerated: Tolerated) -> tuple[Pulse, LeftGarbage]:
    """Leave no more garbage, and free memory that can be given back, than is tolerated.

    Gives the pulse of the level process and what may be left. The young go first: what tests leave
    behind is mostly among them, and they take 0.1 ms where all objects take 20 to 80 ms.
    """
    ground, releaser = instruments.ground, instruments.releaser
    ground.enter(_GETPID())
    # Counting them takes a walk over them all, so nobody asks where there were none.
    if ground.frozen_objects and releaser.frozen_objects() < ground.frozen_objects:
        # What was garbage when it was frozen no collection has dropped yet, and no figure shows.
        ground.ended(None)
    pulse = instruments.pulse()
    young_bytes = ground.young_garbage_bytes(pulse)
    if young_bytes is None or young_bytes >= tolerated.young_garbage_bytes:
        releaser.collect_young()
        pulse = instruments.pulse()
        ground.was_collected_young(pulse)
        young_bytes = 0
    old_bytes = ground.garbage_bytes(pulse) if tolerated.garbage_bytes else None
    if old_bytes is not None and ground.free_bytes(pulse) >= tolerated.free_bytes:
        # Before old garbage is judged: a footprint that rose because malloc took back the pages
        # of its last trim looks like garbage. In the suite of attrs it rose by 1.2 MiB so, every
        # 40 tests, with 16 KiB of garbage in it.
        pulse = _trim(instruments)
        old_bytes = ground.garbage_bytes(pulse)
    if old_bytes is None or old_bytes >= tolerated.garbage_bytes:
        if tolerated.garbage_bytes:
            releaser.collect_once()
        else:
            releaser.collect()
        pulse = _trim(instruments)
        ground.was_collected(pulse, frozen_objects=releaser.frozen_objects())
        return pulse, LeftGarbage()
    ground.sees(pulse)
    return pulse, LeftGarbage(young_bytes, old_bytes)


def _trim(instruments: Instruments) -> Pulse:
    instruments.releaser.trim()
    pulse = instruments.pulse()
    instruments.ground.was_trimmed(pulse)
    return pulse


def take_baseline(
    instruments: Instruments, pulse: Pulse, tolerated: Tolerated
) -> tuple[FullReading, Counters]:
    """The readings that a window starts from, after `pulse`: in full, and counters by themselves.

    The layout may be that of an earlier window, as long as less has moved since than is tolerated.
    """
    tolerated_bytes = tolerated.drift_bytes
    ground, memory = instruments.ground, instruments.memory
    if ground.layout_may_serve(pulse, tolerated_bytes):
        if pulse.exact is None and ground.has_lazy_pages(pulse, tolerated_bytes):
            pulse = dataclasses.replace(pulse, exact=memory.exact())
        layout, drift_bytes = ground.layout_and_drift(pulse)
        if abs(drift_bytes) < tolerated_bytes:
            reading = FullReading(layout, pulse.allocators, drift_bytes=drift_bytes)
            return reading, pulse.counters
    reading, counters = _read_in_full(instruments, pulse)
    if abs(reading.drift_bytes) >= _MOST_LEFT_BEHIND_BYTES:
        # It is there for a second reading to use, and to show.
        pulse = instruments.pulse()
        reading, counters = _read_in_full(instruments, pulse)
    ground.was_laid_out(reading.capture, pulse)
    return reading, counters


def _read_in_full(instruments: Instruments, pulse: Pulse) -> tuple[FullReading, Counters]:
    reading = instruments.full_reading(baseline=True)
    counters = instruments.memory.counters()
    left_bytes = counters.footprint_bytes - pulse.counters.footprint_bytes
    if counters.error_bytes:
        left_bytes = 0  # what the reading itself left behind is less than they can tell
    return dataclasses.replace(reading, drift_bytes=left_bytes), counters
