"""What a probe must offer: the one contract all sources of readings keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from pytest_memreturn._outside import Outside
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._snapshot import Activity, Counters, Peak, Snapshot

if TYPE_CHECKING:
    from pytest_memreturn.probes.motion import Motion


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

    def activity(self) -> Activity | None:
        """What bounds how far a layout has changed since another time; ``None``: not known."""
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


class OutsideProbe(Protocol):
    """Finds memory beyond this process's own mappings: its children, segments left behind.

    Both methods raise `ReadingUnavailableError` where they can't look.
    """

    def begin(self) -> object:
        """What is there now, for `since`."""
        ...

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """What has come since `begin` gave `state`.

        `peak_growth_bytes`: how far the RSS of this process rose meanwhile.
        """
        ...


class TreeProbe(Protocol):
    """Reads another process with its descendants, from outside.

    Raises `UnwatchableError` for a process that can't be watched, with its pid, and any other
    `ReadingUnavailableError` for a reading that could not be had.
    """

    def identify(self, pid: int) -> ProcessKey:
        """Who the process is, so that nobody who gets the same pid later passes for it."""
        ...

    def read(
        self, root: ProcessKey, known: Iterable[ProcessKey] = (), *, layout: bool = False
    ) -> tuple[ProcessReading, ...]:
        """The process and its descendants, each with its share of what several have.

        `known`: processes that belong to the tree wherever their parents have gone. `layout`: by
        kinds of mappings, as far as the source knows them; dearer.
        """
        ...

    def motion(self, tree: Iterable[ProcessKey]) -> Motion:
        """What moves in these processes. Never raises."""
        ...


class AccountProbe(ABC):
    """An account of its own: memory that neither the layout nor an allocator shows.

    Derive from it to let the ledger count, say, a pool on a device or in a server that belongs to
    the process, and give it to the hook ``pytest_memreturn_probes``.
    """

    account: str
    """The account's name in ledgers and reports: letters, digits, dashes."""

    counted: bool = True
    """Whether its bytes belong to the footprint, and so to the verdict, or are only shown."""

    @abstractmethod
    def read_bytes(self) -> int:
        """How much it holds now. Called twice for every judged test: keep it cheap."""
