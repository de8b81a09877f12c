"""Two reports against each other: what each test keeps now, and kept before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn.report.environments import Difference, differences
from pytest_memreturn.report.names import state_of
from pytest_memreturn.report.same_test import Key, badness, kept_bytes, key_of, rank

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.report.run import Run


@dataclass(frozen=True, slots=True)
class Side:
    """A test in one report: the worst of its records, and how many there are."""

    worst: Record
    records: int

    @property
    def state(self) -> str:
        """Who has the memory, or why nobody knows, in a word."""
        return state_of(self.worst)


@dataclass(frozen=True, slots=True)
class Change:
    """A test in both reports, or in one of them."""

    key: Key
    old: Side | None
    new: Side | None

    @property
    def growth_bytes(self) -> int:
        """How much more is retained; of a test that came or went, all of it, or less than none."""
        old, new = (0 if one is None else kept_bytes(one.worst) for one in (self.old, self.new))
        return new - old

    def is_worse(self, tolerance_bytes: int) -> bool:
        """Whether more is retained than is tolerated, or the verdict is a worse one.

        A test that came is worse where it retains: nothing was there before. One that went, and
        one that has an outcome of its own now, such as a failed one, tell nothing of memory.
        """
        if self.new is None or rank(self.new.worst) == 0:
            return False
        if self.old is None or rank(self.old.worst) == 0:
            return self.new.worst.verdict == "retained"
        if rank(self.new.worst) > rank(self.old.worst):
            return True
        return self._is_judged_twice and self.growth_bytes > tolerance_bytes

    def is_noteworthy(self, tolerance_bytes: int) -> bool:
        """Whether a reader is to see it: anything but about as much with the same verdict."""
        if self.old is None or self.new is None:
            return False
        if rank(self.old.worst) != rank(self.new.worst):
            return True
        return self._is_judged_twice and abs(self.growth_bytes) > tolerance_bytes

    @property
    def _is_judged_twice(self) -> bool:
        sides = (self.old, self.new)
        return all(one is not None and one.worst.verdict != "unjudged" for one in sides)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two reports say of the same tests, most growth first, and where they differ in all."""

    old: Run
    new: Run
    changes: tuple[Change, ...]
    differences: tuple[Difference, ...]

    def worse(self, tolerance_bytes: int) -> list[Change]:
        """What is worse than it was."""
        return [one for one in self.changes if one.is_worse(tolerance_bytes)]

    def came(self) -> list[Change]:
        """Tests that only the new report has."""
        return [one for one in self.changes if one.old is None]

    def went(self) -> list[Change]:
        """Tests that only the old report has."""
        return [one for one in self.changes if one.new is None]


def compared(old: Run, new: Run) -> Comparison:
    """Each test of either report once, however many records it has."""
    before, after = _sides(old.records), _sides(new.records)
    changes = [Change(key, before.get(key), after.get(key)) for key in {**before, **after}]
    changes.sort(key=lambda one: (-one.growth_bytes, one.key.nodeid, str(one.key)))
    found = differences(old.environment, new.environment)
    return Comparison(old, new, tuple(changes), tuple(found))


def _sides(records: Iterable[Record]) -> dict[Key, Side]:
    found: dict[Key, list[Record]] = {}
    for one in records:
        found.setdefault(key_of(one), []).append(one)
    return {key: Side(max(several, key=badness), len(several)) for key, several in found.items()}
