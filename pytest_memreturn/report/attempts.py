"""Attempts at one test: the last one counts, and has the earlier ones with it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_memreturn._record import Attempt

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


@dataclass(slots=True)
class _Test:
    """What is known of a test that has not ended: of this attempt, and of those before it."""

    records: list[Record] = field(default_factory=list)
    earlier: dict[str | None, tuple[Attempt, ...]] = field(default_factory=dict)


class Attempts:
    """Holds records back until their test has ended, and it is known that they count."""

    def __init__(self) -> None:
        self._tests: dict[Hashable, _Test] = {}

    def add(self, test: Hashable, records: Iterable[Record]) -> None:
        """Take records of the attempt that runs."""
        found = list(records)
        if found:
            self._tests.setdefault(test, _Test()).records += found

    def begin_another(self, test: Hashable) -> None:
        """The attempt that ran does not count."""
        held = self._tests.setdefault(test, _Test())
        for one in held.records:
            attempt = Attempt(one.verdict, one.retained_bytes, one.cause, one.reason)
            held.earlier[one.label] = (*held.earlier.get(one.label, ()), attempt)
        held.records = []

    def end(self, test: Hashable) -> Iterator[Record]:
        """The records that count."""
        held = self._tests.pop(test, _Test())
        for one in held.records:
            earlier = held.earlier.get(one.label, ())
            yield replace(one, earlier_attempts=earlier) if earlier else one

    def end_all(self) -> Iterator[Record]:
        """The records of tests that will not come to their end any more."""
        for test in list(self._tests):
            yield from self.end(test)
