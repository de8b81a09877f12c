"""What is found out about a window that retained: frozen plain data that travels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

from pytest_memreturn._outside import ChildProcess, Segment

# What a stretch of a heap is: handed out; free, and resident; free, and given back.
RegionKind: TypeAlias = Literal["live", "free", "returned"]


@dataclass(frozen=True, slots=True)
class SurvivorType:
    """Objects of one type that a window left behind; `chain` says what keeps the largest alive.

    ``None`` where nobody looked, or found one. `is_native`: of a type that an extension made, so
    that one may own memory of which Python knows nothing.
    """

    type: str
    count: int
    bytes: int
    chain: str | None = None
    is_native: bool = False


@dataclass(frozen=True, slots=True)
class Survivors:
    """Python objects a window left behind: by type, and their bytes that malloc holds.

    `in_malloc_bytes` is ``None`` where nobody has looked. `is_whole`: there was time for all.
    """

    types: tuple[SurvivorType, ...] = ()
    in_malloc_bytes: int | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Holding:
    """Memory that the test runner itself keeps: `count` of `what`, about so many bytes."""

    what: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class AllocatorGrowth:
    """How an allocator's own figures grew in a window; ``None`` where it does not say."""

    name: str
    live_bytes: int
    held_bytes: int | None
    arenas: int | None


@dataclass(frozen=True, slots=True)
class MappingChange:
    """All mappings of one kind, before a window and at its gate, as far as the footprint counts.

    Ranges are stretches of addresses that hold any of it; ``None`` where no addresses are known.
    """

    kind: str
    before_bytes: int
    after_bytes: int
    before_ranges: int | None
    after_ranges: int | None


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a heap of malloc's, from `address` on.

    What is small among something else is part of it: `live_bytes` of `bytes` are live.
    """

    heap: str
    kind: RegionKind
    address: int
    bytes: int
    live_bytes: int


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Live blocks of more than half of `up_to_bytes`, and no more than that."""

    up_to_bytes: int
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PooledArenas:
    """Arenas of CPython's small-object allocator: how much of each is live, by address."""

    arena_bytes: int
    live_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HeapPicture:
    """What malloc's heaps, and pymalloc's arenas, look like from within, in bytes.

    `proven`: the sum of what was found live agrees with the allocator's own figure. `reason`: why
    it is not proven, or not the whole of it.
    """

    proven: bool = False
    partial: bool = False
    reason: str | None = None
    regions: tuple[Region, ...] = ()
    live_bytes: int = 0
    free_bytes: int = 0
    returned_bytes: int = 0
    live_sizes: tuple[SizeClass, ...] = ()
    arenas: PooledArenas | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """Live blocks that keep free memory beside them from going back, by type of the owner.

    `what`: that type, or ``native block`` where no object was found. `bytes`: what is live there.
    `pinned_bytes`: what is free below them, or in the same arenas. `address` in `heap`, and `chain`
    are those of the worst of them.
    """

    what: str
    count: int
    bytes: int
    heap: str
    address: int
    pinned_bytes: int
    chain: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code by whose allocations memory grew.

    `native`: the function of native code, called from that line, that allocated most of it.
    """

    file: str
    line: int
    bytes: int
    source: str | None = None
    native: str | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something that might return the memory, tried in a fresh interpreter.

    `how` to apply it in production. `retained_bytes` with it; `returns_bytes`: less by so much
    than without it. Both are ``None`` where the attempt came to nothing; `reason` says why.
    """

    name: str
    how: str
    retained_bytes: int | None
    returns_bytes: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What only a window that retained is examined for.

    `parts` splits accounts further, and sums to them. `released`: by allocator, how far the
    footprint fell when it was asked for its free memory. `unwritten_huge_page_bytes`: resident
    only because of transparent huge pages; ``None`` where nobody could look. `layout`: every kind
    of mapping that holds anything; empty where there is no layout. `tracers` followed the lines
    that ran, and keep what they noted of them.

    From re-runs in fresh interpreters, where they were asked for: `one_time`, whether a second
    call keeps nothing more (``None``: not known); `lines`, largest growth first; `remedies`, best
    first; `timeline`, the footprint over time as seconds and bytes. `incomplete`: what is missing
    in all this, and why.
    """

    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)
    survivors: tuple[SurvivorType, ...] = ()
    children: tuple[ChildProcess, ...] = ()
    segments: tuple[Segment, ...] = ()
    held_by_pytest: tuple[Holding, ...] = ()
    tracers: tuple[str, ...] = ()
    unwritten_huge_page_bytes: int | None = None
    allocators: tuple[AllocatorGrowth, ...] = ()
    layout: tuple[MappingChange, ...] = ()
    heap: HeapPicture | None = None
    pins: tuple[Pin, ...] = ()
    one_time: bool | None = None
    lines: tuple[Line, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    timeline: tuple[tuple[float, int], ...] = ()
    incomplete: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the keys of the report schema."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Explanation:
        """The explanation that `to_dict` gave; keys of a newer report are passed over."""
        found = known_fields(cls, data)
        for key, kind in _LISTED.items():
            found[key] = all_of(kind, found.get(key, ()))
        if found.get("heap") is not None:
            found["heap"] = _heap_from_dict(found["heap"])
        found["timeline"] = tuple((at, size) for at, size in found.get("timeline", ()))
        for key in ("tracers", "incomplete"):
            found[key] = tuple(found.get(key, ()))
        return cls(**found)


def _heap_from_dict(data: Mapping[str, Any]) -> HeapPicture:
    found = known_fields(HeapPicture, data)
    found["regions"] = all_of(Region, found.get("regions", ()))
    found["live_sizes"] = all_of(SizeClass, found.get("live_sizes", ()))
    if found.get("arenas") is not None:
        arenas = known_fields(PooledArenas, found["arenas"])
        found["arenas"] = PooledArenas(arenas["arena_bytes"], tuple(arenas["live_bytes"]))
    return HeapPicture(**found)


_LISTED: Mapping[str, type[Any]] = {
    "survivors": SurvivorType,
    "children": ChildProcess,
    "segments": Segment,
    "held_by_pytest": Holding,
    "allocators": AllocatorGrowth,
    "layout": MappingChange,
    "pins": Pin,
    "lines": Line,
    "remedies": Remedy,
}

# Asked once, since every record is read back.
_FIELD_NAMES: dict[type[Any], tuple[str, ...]] = {}


def all_of(kind: type[Any], entries: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    """A frozen dataclass for each of the entries."""
    return tuple(kind(**known_fields(kind, one)) for one in entries)


def known_fields(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """What of `data` is a field of the dataclass `kind`."""
    return {name: data[name] for name in field_names(kind) if name in data}


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(one.name for one in fields(kind))
    return names
