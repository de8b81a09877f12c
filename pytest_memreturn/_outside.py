"""Memory that a test keeps outside its own process, as frozen data; no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

SegmentKind: TypeAlias = Literal[
    "shm",  # a file in /dev/shm, or one that was deleted there and is still open
    "sysv",  # a System V shared memory segment
    "memfd",  # anonymous memory behind a file descriptor
]

# What starts processes and keeps them, as far as it can be told.
ProcessOwner: TypeAlias = Literal[
    "ProcessPoolExecutor",
    "multiprocessing.Pool",
    "multiprocessing.Process",
    "loky",  # joblib's pool
]


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """A live descendant, and what memory it would give back if it ended.

    `footprint_bytes` leaves out the pages that it still shares with other processes. `owner`: what
    started it and keeps it; ``None`` where nobody knows.
    """

    pid: int
    name: str
    command: str
    footprint_bytes: int
    owner: ProcessOwner | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Shared memory that exists by itself, whoever maps it.

    `size_bytes`: what it occupies, in memory or in swap, however long it may be.
    `counted_bytes`: what it adds to the shared memory that this process's own readings hold;
    negative where they hold it more than once, a mapping each.
    `owner`: the user's name, or their number where it has no name.
    """

    kind: SegmentKind
    name: str
    size_bytes: int
    counted_bytes: int
    owner: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What is there now, and was not when a window opened.

    `accounts` and `shown`: growth in bytes of what other probes read, by account; the former is
    part of the footprint, the latter is not.
    """

    children: tuple[ChildProcess, ...] = ()
    segments: tuple[Segment, ...] = ()
    accounts: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)

    @property
    def children_bytes(self) -> int:
        """The footprint of all children."""
        return sum(child.footprint_bytes for child in self.children)

    @property
    def segments_bytes(self) -> int:
        """What of all segments this process's own footprint lacks."""
        return sum(segment.counted_bytes for segment in self.segments)

    def still_there(self, now: Outside) -> Outside:
        """What of this is there `now` as well, no larger than it was.

        A window is charged for nothing that came after it: a child that grew since, or whose
        pages are its own only because this process has written to them meanwhile.
        """
        sizes = {child.pid: child.footprint_bytes for child in self.children}
        segments = {(one.kind, one.name) for one in self.segments}
        return Outside(
            children=tuple(
                replace(child, footprint_bytes=min(child.footprint_bytes, sizes[child.pid]))
                for child in now.children
                if child.pid in sizes
            ),
            segments=tuple(one for one in now.segments if (one.kind, one.name) in segments),
            accounts={
                account: min(size, self.accounts.get(account, 0))
                for account, size in now.accounts.items()
            },
            shown=now.shown,
        )

    @property
    def footprint_bytes(self) -> int:
        """What to add to this process's own footprint."""
        return self.children_bytes + self.segments_bytes + sum(self.accounts.values())


NOTHING_OUTSIDE = Outside()
