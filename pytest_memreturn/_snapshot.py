"""Readings as frozen, JSON-able data; no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from pytest_memreturn._outside import NOTHING_OUTSIDE, Outside

MappingKind: TypeAlias = Literal[
    "heap",  # the brk heap: the main arena of malloc
    "arena",  # a thread arena of glibc malloc
    "stack",
    "anonymous",  # private memory that the layout alone gives no owner
    "shared-memory",
    "file",
    "special",  # vdso, vvar and their like: the kernel's
]

PeakQuality: TypeAlias = Literal[
    "exact",  # the kernel's counter, reset when the window opened
    "process",  # the process reached a new lifetime high in the window: exact, by luck
    "at-least",  # only readings inside the window; the true peak may be higher
]


@dataclass(frozen=True, slots=True)
class Counters:
    """The footprint as one cheap reading gives it.

    `error_bytes` bounds how far the kernel's counters may be off; 0 means exact. A source that
    cannot tell lazily freed pages counts them, so that the footprint reads too high, never low.
    """

    footprint_bytes: int
    rss_bytes: int
    error_bytes: int = 0


# Where a page is of 4 KiB; where it is larger, there are more.
_SMALL_PAGES_IN_HUGE = 512


@dataclass(frozen=True, slots=True)
class Activity:
    """Counts in bytes that only rise: what they rose by bounds what happened meanwhile.

    `fault_bytes`: pages that were given to this process, a page for each fault, so that a huge
    page counts as a small one.
    `lazily_freed_bytes`: pages that were freed lazily, by this process or by others; ``None`` where
    nobody counts them.
    `huge_fault_bytes`: huge pages that were given to this process or to others.
    """

    fault_bytes: int
    lazily_freed_bytes: int | None
    huge_fault_bytes: int = 0

    def touched_bytes_since(self, then: Activity) -> int:
        """So many bytes were given to this process; less than that where others took huge pages."""
        fault_bytes = self.fault_bytes - then.fault_bytes
        huge_fault_bytes = self.huge_fault_bytes - then.huge_fault_bytes
        # Each takes a fault: of more huge pages than this process had faults it may have had none.
        if huge_fault_bytes <= fault_bytes * _SMALL_PAGES_IN_HUGE:
            fault_bytes += huge_fault_bytes
        return fault_bytes


@dataclass(frozen=True, slots=True)
class KindUsage:
    """All mappings of one kind together.

    `counted_bytes` is their part of the footprint without swap; `size_bytes` is address space.
    """

    size_bytes: int
    counted_bytes: int


@dataclass(frozen=True, slots=True)
class MappedRange:
    """Addresses ``start`` to ``end`` (exclusive) of one mapping and what it holds.

    Where a heap has holes that were given back, each resident run of it is a range.
    `huge_page_bytes` is what of it lies in transparent huge pages.
    """

    start: int
    end: int
    kind: MappingKind
    counted_bytes: int
    huge_page_bytes: int = 0


_NO_LIVE: Mapping[MappingKind, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AllocatorStatistics:
    """What one allocator says of itself, in bytes.

    `name` is the prefix of its accounts (``<name>-live``, ``<name>-free``).
    `live_bytes`: handed out to the program, from memory shared between blocks.
    `held_bytes`: the memory those blocks are cut from, resident or not; ``None`` where the
    allocator does not say, so that only what its release gives back shows what was free.
    `live_by_kind`: `live_bytes` by the mapping kinds that are wholly this allocator's, for one
    that has any; how much of those is resident tells the rest.
    `own_mapping_live_bytes`: live blocks that have a mapping of their own each.
    `thread_top_bytes`: free bytes at the top of thread arenas, which no trim hands back.
    `reserve_bytes`: free memory it may keep whatever the program does, as its own working stock.
    `arenas`: how many separate heaps it keeps, if it counts them.
    `most_untouched_bytes`: no more of its free memory than this was never written to; ``None``
    where any of it may be so.
    `holds_address_space`: any part of `held_bytes` may not be resident, so that less of it does
    not mean that memory was given back.
    `is_from_malloc`: it takes its memory from malloc, or from what serves in its place, whose
    live bytes are then less by what it holds.
    `from_start`: it serves from the start of the process on, so that no answer does not mean
    no memory. `is_silent`: it serves, but says nothing just now; the figures mean nothing.
    `is_elsewhere`: its memory is not this process's (a GPU's): shown, and never counted.
    """

    name: str
    live_bytes: int
    held_bytes: int | None = None
    live_by_kind: Mapping[MappingKind, int] = field(default_factory=lambda: _NO_LIVE)
    own_mapping_live_bytes: int = 0
    thread_top_bytes: int = 0
    reserve_bytes: int = 0
    arenas: int | None = None
    most_untouched_bytes: int | None = None
    holds_address_space: bool = False
    is_from_malloc: bool = False
    from_start: bool = False
    is_silent: bool = False
    is_elsewhere: bool = False

    @property
    def counts(self) -> bool:
        """Whether its figures say something of this process's memory."""
        return not self.is_silent and not self.is_elsewhere

    @property
    def free_bytes(self) -> int:
        """Room in what it holds, resident or not; 0 where it does not say what it holds."""
        return 0 if self.held_bytes is None else max(0, self.held_bytes - self.live_bytes)


_NO_KINDS: Mapping[MappingKind, KindUsage] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of everything, in bytes. ``None`` marks what the probe cannot see.

    `outside` is memory beyond this process's own mappings that came with the window.
    `kinds` is empty where there is no mapping layout; otherwise its counted bytes, `swap_bytes`,
    what is outside and `drift_bytes` are the footprint, exactly. `drift_bytes`: how far the
    footprint moved between the reading of the layout and this one.
    """

    footprint_bytes: int
    rss_bytes: int
    swap_bytes: int = 0
    drift_bytes: int = 0
    lazy_free_bytes: int | None = None
    file_bytes: int | None = None
    huge_page_bytes: int | None = None
    kinds: Mapping[MappingKind, KindUsage] = field(default_factory=lambda: _NO_KINDS)
    ranges: tuple[MappedRange, ...] = field(default=(), repr=False)
    allocators: tuple[AllocatorStatistics, ...] = ()
    outside: Outside = NOTHING_OUTSIDE

    def counted_bytes(self, *kinds: MappingKind) -> int:
        """The footprint of mappings of these kinds, without swap."""
        return sum(self.kinds[kind].counted_bytes for kind in kinds if kind in self.kinds)

    def allocator(self, name: str) -> AllocatorStatistics | None:
        """The statistics of the allocator called `name`, if it had any to give."""
        return next((one for one in self.allocators if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest RSS inside a window, in bytes, and how far it can be trusted."""

    rss_bytes: int
    quality: PeakQuality
