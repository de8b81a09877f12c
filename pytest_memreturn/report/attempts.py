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
    failed: list[Record] = field(default_factory=list)
    another_comes: bool = False


class Attempts:
    """Holds records back until their test has ended, and it is known that they count."""

    def __init__(self) -> None:
        self._tests: dict[Hashable, _Test] = {}

    def add(self, test: Hashable, records: Iterable[Record]) -> None:
        """Take records of the attempt that runs."""
        found = list(records)
        if found:
            self._tests.setdefault(test, _Test()).records += found

    def torn_down(self, test: Hashable, torn_down_bytes: int) -> None:
        """So much of what the body of this attempt had retained came back with its fixtures."""
        held = self._tests.get(test, _Test())
        held.records = [
            replace(one, torn_down_bytes=torn_down_bytes)
            if (one.window, one.verdict) == ("call", "retained")
            else one
            for one in held.records
        ]

    def fail(self, test: Hashable) -> None:
        """The attempt that runs will not count: there will be another."""
        held = self._tests.setdefault(test, _Test())
        held.another_comes = True
        for one in held.records:
            attempt = Attempt(one.verdict, one.retained_bytes, one.cause, one.reason)
            held.failed.append(replace(one, earlier_attempts=held.earlier.get(one.label, ())))
            held.earlier[one.label] = (*held.earlier.get(one.label, ()), attempt)
        held.records = []

    def begin(self, test: Hashable) -> None:
        """An attempt begins, the first or another."""
        if test in self._tests:
            held = self._tests[test]
            held.another_comes, held.failed = False, []

    def end(self, test: Hashable) -> Iterator[Record]:
        """The records that count, now that the attempt has ended; none where another comes."""
        held = self._tests.pop(test, _Test())
        if held.another_comes:
            self._tests[test] = held
            self.fail(test)
        for one in held.records:
            earlier = held.earlier.get(one.label, ())
            yield replace(one, earlier_attempts=earlier) if earlier else one

    def end_all(self) -> Iterator[Record]:
        """The records of tests that will not come to their end any more.

        Where another attempt was to come, that before it is the last.
        """
        for test in list(self._tests):
            yield from self.end(test)
        for held in self._tests.values():
            yield from held.failed
        self._tests.clear()
