"""What a probe must offer: the one contract all sources of readings keep."""

from __future__ import annotations

from typing import Protocol

from pytest_memreturn._snapshot import AllocatorStatistics, Counters, Peak, Snapshot


class Capture(Protocol):
    """A full reading in the raw, taken with as little disturbance as the source allows.

    Making sense of it costs time and memory, and only a window that retained needs it.
    """

    def lazy_free_bytes(self) -> int:
        """Lazily freed pages at that time, which `MemoryProbe.counters` may have counted."""
        ...

    def footprint_bytes(self) -> int:
        """The exact footprint at that time, without making sense of the layout."""
        ...

    def snapshot(self) -> Snapshot:
        """The reading as data; the same answer each time it is asked."""
        ...


class MemoryProbe(Protocol):
    """Reads this process's memory. Every method raises `ReadingUnavailableError` when it can't."""

    @property
    def name(self) -> str:
        """What options, reports and messages call this probe."""
        ...

    def counters(self) -> Counters:
        """The cheapest reading there is."""
        ...

    def exact(self) -> Counters:
        """The footprint as exactly as this source can tell it, without layout."""
        ...

    def capture(self, *, baseline: bool = False) -> Capture:
        """Everything, the layout included, without allocator statistics.

        `baseline`: the first of a window. It makes ready what the later captures of the window
        need, and looks closer at what the window may fill up.
        """
        ...

    def open_peak(self) -> int:
        """Watch the peak from here on; gives the token for `close_peak`. Windows may nest."""
        ...

    def close_peak(self, token: int) -> Peak:
        """End the watch that `open_peak` began."""
        ...


class AllocatorProbe(Protocol):
    """Reads one allocator's own statistics."""

    @property
    def name(self) -> str:
        """The prefix of the allocator's accounts."""
        ...

    def statistics(self) -> AllocatorStatistics | None:
        """What the allocator says now; ``None`` where it is not in use or does not say."""
        ...
