"""What is reported of one judged test or block: frozen plain data that travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_memreturn._explanation import Explanation, all_of, field_names, known_fields
from pytest_memreturn._processes import WatchedProcess

if TYPE_CHECKING:
    from pytest_memreturn._growth import GrowthKind
    from pytest_memreturn._settings import Gate
    from pytest_memreturn._snapshot import PeakQuality
    from pytest_memreturn._verdict import Outcome

Rung: TypeAlias = Literal["baseline", "end", "collect", "trim"]

# What was judged: a test's body, the test with its set-up and tear-down, all tests of a class or
# module with theirs, a block under `measure` or the fixture, or other processes that were watched
# in one.
Window: TypeAlias = Literal["call", "test", "class", "module", "block", "watch"]

# Those of which a test may have any number, each with a label.
LABELLED: tuple[Window, ...] = ("block", "watch")

RUNGS: tuple[Rung, ...] = ("baseline", "end", "collect", "trim")


@dataclass(frozen=True, slots=True)
class Due:
    """A verdict that is to come: of a test, or of a class or module."""

    nodeid: str
    gate: Gate
    window: Window = "call"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A fixture that outlives the window it was first set up in, and what it keeps by right."""

    fixture: str
    scope: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Isolation:
    """The fresh interpreter that a test ran in. `env`: what its variables differed in.

    `allocator`: what was to serve malloc. `overhead_seconds`: how long it took but for the test.
    """

    env: Mapping[str, str | None]
    allocator: str | None
    overhead_seconds: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a test that was run again, and does not count."""

    verdict: Outcome
    retained_bytes: int | None
    cause: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Rounds:
    """A body that was run again and again. `run` of the rounds that were `asked` for were needed.

    `warmup`: it had run so often before the baseline. `growth` is how `figure` went on growing from
    `since_round` on, by `per_round_bytes`; ``None`` for a single round. `exceeds`: steadily, and by
    more than `allowed_per_round_bytes`. `figure` is ``footprint``, ``live`` for the live bytes of
    all allocators, or the name of one of them. `points` are readings: after how many rounds, live
    bytes, footprint.
    """

    asked: int
    run: int
    warmup: int
    allowed_per_round_bytes: int = 0
    allowed_origin: str = ""
    growth: GrowthKind | None = None
    exceeds: bool = False
    figure: str = "live"
    per_round_bytes: int = 0
    since_round: int = 0
    points: tuple[tuple[int, int, int], ...] = ()

    @property
    def keeps_alive(self) -> bool:
        """Whether too much of each round stays alive, so that nothing could give it back."""
        return self.exceeds and self.figure != "footprint"


@dataclass(frozen=True, slots=True)
class Record:
    """One verdict with everything that led to it. Sizes are bytes; ``None`` was not read.

    `reserve_bytes` is the part of what was allowed that came on top, for the allocators' own
    working stock over the default, and for what huge pages filled up.
    `recorded_bytes` is what a ratchet file has, where what was allowed came from there.
    `readings` are footprints by rung of the release ladder. `ledger` is ``None`` where the
    accounts were not needed: for most windows that returned their memory.
    `hidden_bytes` is the part of what was retained that the footprint does not show, since it
    grew into memory that was resident and free before. `excluded` is not part of it,
    nor is `examined_bytes`: what it took to find out who had the memory of windows inside, and to
    count objects between rounds.
    `drift_bytes` is how far the footprint had moved before the window since the layout was read
    from which the ledger starts, which may be that of an earlier window.
    `settled_seconds` is how long the figure went on falling by itself after the window.
    `test_count` is how many tests ran inside the window.
    `torn_down_bytes` is how much of what was retained came back when the test's own fixtures had
    ended; ``None`` where nobody looked: it was not a body that retained.
    `isolation` is ``None`` for what was judged in the process of the run itself.
    `processes` are those that were watched, whatever became of them.
    `earlier_attempts` are those of a test that another plugin has run again: the last one counts.
    `rounds` is there for a test with rounds, or with warm-up.
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
    recorded_bytes: int | None = None
    hidden_bytes: int = 0
    drift_bytes: int = 0
    excluded: tuple[Exclusion, ...] = ()
    examined_bytes: int = 0
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
    test_count: int = 1
    torn_down_bytes: int | None = None
    processes: tuple[WatchedProcess, ...] = ()
    earlier_attempts: tuple[Attempt, ...] = ()
    isolation: Isolation | None = None
    rounds: Rounds | None = None
    explanation: Explanation | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the keys of the report schema."""
        found = {name: getattr(self, name) for name in field_names(Record)}
        # Not `asdict` for the whole of it: what most records have is plain already.
        found["excluded"] = tuple(asdict(one) for one in self.excluded)
        found["processes"] = tuple(asdict(one) for one in self.processes)
        found["earlier_attempts"] = tuple(asdict(one) for one in self.earlier_attempts)
        if self.rounds is not None:
            found["rounds"] = asdict(self.rounds)
        if self.isolation is not None:
            found["isolation"] = asdict(self.isolation)
        if self.explanation is not None:
            found["explanation"] = self.explanation.to_dict()
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_dict` gave; keys of a newer report are passed over."""
        values = known_fields(cls, data)
        values["excluded"] = all_of(Exclusion, values.get("excluded", ()))
        values["processes"] = all_of(WatchedProcess, values.get("processes", ()))
        values["earlier_attempts"] = all_of(Attempt, values.get("earlier_attempts", ()))
        if values.get("rounds") is not None:
            rounds = known_fields(Rounds, values["rounds"])
            rounds["points"] = tuple((at, live, whole) for at, live, whole in rounds["points"])
            values["rounds"] = Rounds(**rounds)
        if values.get("isolation") is not None:
            values["isolation"] = Isolation(**known_fields(Isolation, values["isolation"]))
        if values.get("explanation") is not None:
            values["explanation"] = Explanation.from_dict(values["explanation"])
        return cls(**values)
