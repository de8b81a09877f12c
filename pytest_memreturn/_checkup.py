"""What was found out about measuring on this machine: frozen plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal[
    "good",
    "optional",  # it is not there, and only those who want it miss it
    "limited",  # verdicts can be trusted, and something is not known or costs more
    "unjudged",  # tests cannot be judged
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what would change it if it is not good."""

    topic: str
    name: str
    text: str
    state: State = "good"
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Many readings of one figure, in short."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Noise:
    """What windows read in which nothing happened: `retained_bytes`, and what each cost."""

    windows: int
    retained_bytes: Spread
    seconds: Spread


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that was found; `noise` by how closely windows were looked at."""

    environment: Mapping[str, Any]
    findings: tuple[Finding, ...]
    noise: Mapping[str, Noise] = field(default_factory=dict)

    @property
    def judges(self) -> bool:
        """Whether tests are judged here."""
        return all(one.state != "unjudged" for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "judges": self.judges,
            "environment": dict(self.environment),
            "noise": {name: asdict(one) for name, one in self.noise.items()},
            "findings": [asdict(one) for one in self.findings],
        }
