"""What is reported of one judged test or block: frozen plain data that travels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_memreturn._outside import ChildProcess, Segment

if TYPE_CHECKING:
    from pytest_memreturn._settings import Gate
    from pytest_memreturn._snapshot import PeakQuality
    from pytest_memreturn._verdict import Outcome

Rung: TypeAlias = Literal["baseline", "end", "collect", "trim"]

# What was judged: a test's body, or a block under `measure` or the fixture.
Window: TypeAlias = Literal["call", "block"]

RUNGS: tuple[Rung, ...] = ("baseline", "end", "collect", "trim")


@dataclass(frozen=True, slots=True)
class SurvivorType:
    """Objects of one type that a window left behind; `chain` says what keeps them alive."""

    type: str
    count: int
    bytes: int
    chain: str | None = None


@dataclass(frozen=True, slots=True)
class Survivors:
    """Python objects a window left behind: by type, and their bytes that malloc holds.

    `in_malloc_bytes` is ``None`` where nobody has looked.
    """

    types: tuple[SurvivorType, ...] = ()
    in_malloc_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """Memory that the test runner itself keeps: `count` of `what`, about so many bytes."""

    what: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A fixture that outlives the window it was first set up in, and what it keeps by right."""

    fixture: str
    scope: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What only a window that retained is examined for.

    `parts` splits accounts further, and sums to them. `released`: by allocator, how far the
    footprint fell when it was asked for its free memory. `unwritten_huge_page_bytes`: resident
    only because of transparent huge pages; ``None`` where nobody could look.
    """

    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)
    survivors: tuple[SurvivorType, ...] = ()
    children: tuple[ChildProcess, ...] = ()
    segments: tuple[Segment, ...] = ()
    held_by_pytest: tuple[Holding, ...] = ()
    unwritten_huge_page_bytes: int | None = None
    allocators: tuple[AllocatorGrowth, ...] = ()


@dataclass(frozen=True, slots=True)
class AllocatorGrowth:
    """How an allocator's own figures grew in a window; ``None`` where it does not say."""

    name: str
    live_bytes: int
    held_bytes: int | None
    arenas: int | None


@dataclass(frozen=True, slots=True)
class Record:
    """One verdict with everything that led to it. Sizes are bytes; ``None`` was not read.

    `reserve_bytes` is the part of what was allowed that came on top, for the allocators' own
    working stock over the default, and for what huge pages filled up.
    `readings` are footprints by rung of the release ladder. `ledger` is ``None`` where the
    accounts were not needed: for most windows that returned their memory.
    `hidden_bytes` is the part of what was retained that the footprint does not show, since it
    grew into memory that was resident and free before. `excluded` is not part of it.
    `drift_bytes` is how far the footprint had moved before the window since the layout was read
    from which the ledger starts, which may be that of an earlier window.
    `settled_seconds` is how long the figure went on falling by itself after the window.
    """

    nodeid: str
    verdict: Outcome
    gate: Gate
    label: str | None = None
    location: str | None = None
    window: Window = "call"
    cause: str | None = None
    causes: Mapping[str, int] | None = None
    retained_bytes: int | None = None
    allowed_bytes: int | None = None
    allowed_origin: str | None = None
    reserve_bytes: int = 0
    hidden_bytes: int = 0
    drift_bytes: int = 0
    excluded: tuple[Exclusion, ...] = ()
    settled_seconds: float = 0.0
    peak_growth_bytes: int | None = None
    peak_quality: PeakQuality | None = None
    returned_ratio: float | None = None
    readings: Mapping[str, int | None] | None = None
    ledger: Mapping[str, int] | None = None
    shown: Mapping[str, int | None] | None = None
    overhead_seconds: float = 0.0
    worker: str | None = None
    reason: str | None = None
    own_outcome: str | None = None
    explanation: Explanation | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the keys of the report schema."""
        found = {name: getattr(self, name) for name in _FIELD_NAMES[Record]}
        # Not `asdict` for the whole of it: what most records have is plain already.
        found["excluded"] = tuple(asdict(one) for one in self.excluded)
        if self.explanation is not None:
            found["explanation"] = asdict(self.explanation)
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_dict` gave; keys of a newer report are passed over."""
        values = _known_fields(cls, data)
        values["excluded"] = _all_of(Exclusion, values.get("excluded", ()))
        if values.get("explanation") is not None:
            found = _known_fields(Explanation, values["explanation"])
            for key, kind in _EXPLAINED_BY.items():
                found[key] = _all_of(kind, found.get(key, ()))
            values["explanation"] = Explanation(**found)
        return cls(**values)


_EXPLAINED_BY: Mapping[str, type[Any]] = {
    "survivors": SurvivorType,
    "children": ChildProcess,
    "segments": Segment,
    "held_by_pytest": Holding,
    "allocators": AllocatorGrowth,
}

# Asked once, since every record is read back.
_FIELD_NAMES: Mapping[type[Any], tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind))
    for kind in (Record, Exclusion, Explanation, *_EXPLAINED_BY.values())
}


def _all_of(kind: type[Any], entries: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**_known_fields(kind, one)) for one in entries)


def _known_fields(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in _FIELD_NAMES[kind] if name in data}
