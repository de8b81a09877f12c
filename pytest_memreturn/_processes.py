"""Readings of a tree of processes, and how each process grew between two of them; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._snapshot import KindUsage, Snapshot

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappingKind


@dataclass(frozen=True, slots=True, order=True)
class ProcessKey:
    """A process for good: a pid is used again, but not with the same start time.

    `started` is in the unit of the probe that gave it.
    """

    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process at one time; the footprint in `snapshot` is its share, in bytes."""

    key: ProcessKey
    name: str
    command: str
    snapshot: Snapshot

    @property
    def footprint_bytes(self) -> int:
        """What of the tree's footprint is this process's."""
        return self.snapshot.footprint_bytes


@dataclass(frozen=True, slots=True)
class WatchedProcess:
    """How much of the footprint of a tree one process had, in bytes.

    `before_bytes` is ``None`` for one that came with the window, `after_bytes` for one that has
    ended. `not_released` says why it was not made to give back what is free; ``None`` where it
    was, or where nobody asked for it.
    """

    pid: int
    name: str
    command: str
    before_bytes: int | None
    after_bytes: int | None
    not_released: str | None = None

    @property
    def grown_bytes(self) -> int:
        """How far its share grew; negative for what it gave back, by its end as well."""
        return (self.after_bytes or 0) - (self.before_bytes or 0)


def footprint_of(tree: Iterable[ProcessReading]) -> int:
    """The footprint of a whole tree, in bytes."""
    return sum(one.footprint_bytes for one in tree)


def growth_by_process(
    before: Sequence[ProcessReading],
    after: Sequence[ProcessReading],
    not_released: Mapping[int, str] | None = None,
) -> tuple[WatchedProcess, ...]:
    """Every process of either reading, the one that grew most first.

    Their growth sums to that of the footprint. `not_released`: reasons by pid.
    """
    old = {one.key: one for one in before}
    new = {one.key: one for one in after}
    reasons = not_released or {}
    found = [
        WatchedProcess(
            key.pid,
            (new.get(key) or old[key]).name,
            (new.get(key) or old[key]).command,
            old[key].footprint_bytes if key in old else None,
            new[key].footprint_bytes if key in new else None,
            reasons.get(key.pid) if key in new else None,
        )
        for key in sorted({**old, **new})
    ]
    return tuple(sorted(found, key=lambda one: -one.grown_bytes))


def bounds_of_growth(
    processes: Iterable[WatchedProcess],
    unsure: Collection[int],
    live_bytes: Mapping[int, int] | None = None,
) -> tuple[int, int]:
    """How much less, and how much more, the growth may be than it reads: 0 or less, 0 or more.

    `unsure`: pids of processes that gave back what is free at one of two readings only, or might
    have at the last. What such a one grew by may be free; what it gave back may hide what others
    grew by. `live_bytes`: of those among them that gave it back at the last one only, how much
    they had in use then. What they grew by is no free memory; what was free before may be in use.
    """
    live = live_bytes or {}
    less = more = 0
    for one in processes:
        if one.pid in unsure:
            less -= 0 if one.pid in live else max(0, one.grown_bytes)
            hidden = max(0, -one.grown_bytes) + live.get(one.pid, 0)
            more += min(one.before_bytes or 0, hidden)
    return less, more


def sum_of(tree: Sequence[ProcessReading]) -> Snapshot:
    """The readings of all processes as one, without allocators; a figure that one lacks is none."""
    kinds: dict[MappingKind, KindUsage] = {}
    for one in tree:
        for kind, usage in one.snapshot.kinds.items():
            known = kinds.get(kind, KindUsage(0, 0))
            kinds[kind] = KindUsage(
                known.size_bytes + usage.size_bytes, known.counted_bytes + usage.counted_bytes
            )
    snapshots = [one.snapshot for one in tree]
    return Snapshot(
        footprint_bytes=footprint_of(tree),
        rss_bytes=sum(one.rss_bytes for one in snapshots),
        swap_bytes=sum(one.swap_bytes for one in snapshots),
        lazy_free_bytes=_sum_if_known(one.lazy_free_bytes for one in snapshots),
        file_bytes=_sum_if_known(one.file_bytes for one in snapshots),
        huge_page_bytes=_sum_if_known(one.huge_page_bytes for one in snapshots),
        kinds=kinds,
    )


def _sum_if_known(sizes: Iterable[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def nothing_of(snapshot: Snapshot) -> Snapshot:
    """What a process reads that is not there: zeros, of what the reading of it says."""
    return Snapshot(
        0,
        0,
        kinds=dict.fromkeys(snapshot.kinds, KindUsage(0, 0)),
        allocators=tuple(
            dataclasses.replace(
                one,
                live_bytes=0,
                held_bytes=None if one.held_bytes is None else 0,
                live_by_kind=dict.fromkeys(one.live_by_kind, 0),
                own_mapping_live_bytes=0,
                thread_top_bytes=0,
                arenas=None if one.arenas is None else 0,
            )
            for one in snapshot.allocators
        ),
    )
