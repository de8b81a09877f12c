"""What is recorded of a suite that retains: an entry for each test or block that does; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_memreturn._settings import Recorded
from pytest_memreturn._sizes import MIB

if TYPE_CHECKING:
    from pytest_memreturn._settings import Gate, Settings

# The file has what messages show, one decimal in MiB. An empty test moves by 16 KiB at most, so
# that a figure on this grid mostly stays as it is.
_STEPS_PER_MIB = 10

# Run after run, whole suites and parts of them, what a test retained spread by 0.5 MiB up to
# 80 MiB, and by 2 MiB at 190 MiB; an arena of CPython, which comes and goes as a whole, is 1 MiB.
DEFAULT_TOLERANCE_BYTES = 1 * MIB
_DEFAULT_TOLERANCE_PARTS = 50


class Key(NamedTuple):
    """What an entry is of: a test, or the block of that label inside it."""

    nodeid: str
    label: str | None = None

    @property
    def text(self) -> str:
        """As tables and messages name it."""
        return self.nodeid if self.label is None else f"{self.nodeid} [{self.label}]"

    @property
    def order(self) -> tuple[str, bool, str]:
        """Where it stands among others: a test before its blocks."""
        return self.nodeid, self.label is not None, self.label or ""


@dataclass(frozen=True, slots=True)
class Entry:
    """How much a test or block retained, on the grid of the file, and at which gate."""

    retained_bytes: int
    gate: Gate


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much more than what was recorded is not yet more, and how much less is not yet less.

    `size_bytes` is what somebody wrote; ``None`` is the default, which is a share of what was
    recorded where that is more.
    """

    size_bytes: int | None = None

    def of(self, retained_bytes: int) -> int:
        """The tolerance for what was recorded as `retained_bytes`."""
        if self.size_bytes is not None:
            return self.size_bytes
        return max(DEFAULT_TOLERANCE_BYTES, retained_bytes // _DEFAULT_TOLERANCE_PARTS)


@dataclass(frozen=True, slots=True)
class Ratchet:
    """What was recorded, and in which environment.

    `environment` is what `surroundings` gives. `name` is what messages call the file.
    """

    environment: Mapping[str, Any]
    entries: Mapping[Key, Entry] = field(default_factory=dict)
    name: str = ""

    @property
    def retained_bytes(self) -> int:
        """What all entries sum to."""
        return sum(one.retained_bytes for one in self.entries.values())

    def applied(self, settings: Settings, key: Key, tolerance: Tolerance) -> Settings:
        """The settings with what was recorded of this test or block at the same gate."""
        entry = self.entries.get(key)
        if entry is None or entry.gate != settings.gate.value:
            return settings
        recorded = Recorded(entry.retained_bytes, tolerance.of(entry.retained_bytes), self.name)
        limits = dataclasses.replace(settings.limits, recorded=recorded)
        return dataclasses.replace(settings, limits=limits)


def steps(retained_bytes: int) -> int:
    """How many steps of the file's grid hold so much."""
    return -(-max(0, retained_bytes) * _STEPS_PER_MIB // MIB)


def on_grid(retained_bytes: int) -> int:
    """The least size on the file's grid that holds so much."""
    return steps(retained_bytes) * MIB // _STEPS_PER_MIB


def grid_text(retained_bytes: int) -> str:
    """A size as the file has it, such as ``10.1 MiB``; never less than it is."""
    whole, tenth = divmod(steps(retained_bytes), _STEPS_PER_MIB)
    return f"{whole}.{tenth} MiB"
