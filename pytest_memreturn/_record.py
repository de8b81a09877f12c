"""What is reported of one judged test or block: frozen plain data that travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

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
class Explanation:
    """What only a window that retained is examined for."""

    survivors: tuple[SurvivorType, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One verdict with everything that led to it. Sizes are bytes; ``None`` was not read.

    `reserve_bytes` is the part of what was allowed that came on top of the default, for the
    allocators' own working stock.
    `readings` are footprints by rung of the release ladder. `ledger` is ``None`` where the
    accounts were not needed: for most windows that returned their memory.
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
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_dict` gave; keys of a newer report are passed over."""
        values = _known_fields(cls, data)
        if values.get("explanation") is not None:
            survivors = values["explanation"].get("survivors", ())
            values["explanation"] = Explanation(
                tuple(SurvivorType(**_known_fields(SurvivorType, one)) for one in survivors)
            )
        return cls(**values)


def _known_fields(kind: type[Record | SurvivorType], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in data.items() if key in names}
