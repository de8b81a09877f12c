"""What a recorder measures with: probes, the release ladder, a census, a clock."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn._record import Survivors
from pytest_memreturn._release import Releaser

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot
    from pytest_memreturn.probes._contract import AllocatorProbe, Capture, MemoryProbe


def _no_census(before: Snapshot, after: Snapshot) -> Survivors:
    del before, after
    return Survivors()


@dataclass(frozen=True, slots=True)
class Instruments:
    """What a recorder measures with.

    `census` looks for the objects that survived between two snapshots; it is called only for a
    window that retained.
    """

    memory: MemoryProbe
    allocators: tuple[AllocatorProbe, ...] = ()
    releaser: Releaser = field(default_factory=Releaser)
    census: Callable[[Snapshot, Snapshot], Survivors] = _no_census
    clock: Callable[[], float] = time.perf_counter

    def statistics(self) -> tuple[AllocatorStatistics, ...]:
        """Every allocator's own figures, as far as they have any."""
        return tuple(
            found for probe in self.allocators if (found := probe.statistics()) is not None
        )

    def full_reading(self, *, baseline: bool = False) -> FullReading:
        """Layout and allocators now, still in the raw."""
        return FullReading(self.memory.capture(baseline=baseline), self.statistics())


@dataclass(frozen=True, slots=True)
class FullReading:
    """A full reading in the raw: layout and allocators, taken together."""

    capture: Capture
    allocators: tuple[AllocatorStatistics, ...]

    def snapshot(self) -> Snapshot:
        """The reading as one snapshot."""
        found = self.capture.snapshot()
        if not self.allocators:
            return found
        return dataclasses.replace(found, allocators=(*found.allocators, *self.allocators))
