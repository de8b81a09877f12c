"""What allocators and probes answer, and who is named when they can't."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import pytest

from pytest_memreturn import AccountProbe, Allocator, AllocatorStatistics
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._instruments import Examiner, Instruments, VerdictExaminer
from pytest_memreturn.testing import Script, ScriptedProbe, Snapshot

Answer: TypeAlias = Callable[[], object]


class Told(Allocator):
    """An allocator that answers whatever it was told to."""

    def __init__(self, name: str, statistics: Answer) -> None:
        self.name = name
        self._statistics = statistics

    def statistics(self) -> AllocatorStatistics | None:
        """What it was told."""
        return cast("AllocatorStatistics | None", self._statistics())


class Broken(AccountProbe):
    """A device that nobody can read."""

    account = "my-device"

    def read_bytes(self) -> int:
        """Never has a figure."""
        raise OSError


def answers(given: object) -> Answer:
    """A method that gives this."""
    return lambda: given


def raises(error: Exception) -> Answer:
    """A method that raises this."""

    def method() -> object:
        raise error

    return method


def with_allocators(*allocators: Allocator) -> Instruments:
    """Instruments with these allocators."""
    return Instruments(ScriptedProbe([Script(0)]), allocators)


POOL = AllocatorStatistics("my-pool", 1, 2)
MALLOC = Told("malloc", answers(AllocatorStatistics("malloc", 5)))


def test_every_allocator_that_serves_is_heard() -> None:
    """One that is not in use has no figures, and no fault."""
    instruments = with_allocators(Told("my-pool", answers(POOL)), Told("idle", answers(None)))
    assert instruments.statistics() == (POOL,)
    assert instruments.answering() == ["my-pool"]


@pytest.mark.parametrize(
    "given",
    [AllocatorStatistics("malloc", 1, 1), {"live_bytes": 1}, (1, 2), 7],
    ids=["name-of-another", "dictionary", "tuple", "number"],
)
def test_statistics_that_are_none_are_refused(given: object) -> None:
    """The error names the allocator: figures can't pass for those of another one."""
    instruments = with_allocators(Told("my-pool", answers(given)), MALLOC)
    with pytest.raises(ReadingUnavailableError) as caught:
        instruments.statistics()
    assert str(caught.value) == f"allocator my-pool: TypeError: statistics() gave {given!r}"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("boom"), "allocator my-pool: ValueError: boom"),
        (ValueError(), "allocator my-pool: ValueError"),
        (ReadingUnavailableError("the pool is closed"), "the pool is closed"),
    ],
    ids=["text", "no-text", "reading-unavailable"],
)
def test_an_allocator_that_raises_is_named(error: Exception, reason: str) -> None:
    """What says itself that a reading can't be had keeps its words."""
    instruments = with_allocators(Told("my-pool", raises(error)), MALLOC)
    with pytest.raises(ReadingUnavailableError) as caught:
        instruments.statistics()
    assert str(caught.value) == reason


def test_a_probe_that_raises_is_named() -> None:
    """The account says whose reading it was."""
    instruments = Instruments(ScriptedProbe([Script(0)]), account_probes=(Broken(),))
    with pytest.raises(ReadingUnavailableError, match=r"^probe my-device: OSError$"):
        instruments.begin_outside()


def test_one_that_fails_silences_no_other() -> None:
    """A report names the allocators that have figures, whatever became of the rest."""
    instruments = with_allocators(
        Told("my-pool", raises(ValueError("boom"))), Told("other", answers({})), MALLOC
    )
    assert instruments.answering() == ["malloc"]


def test_a_verdict_needs_to_know_what_huge_pages_filled_up() -> None:
    """Also where nobody explains it."""

    class Found(Examiner):
        def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
            assert before is after
            return 5

    snapshot = Script(0).readings()["baseline"]
    assert VerdictExaminer(Found()).filled_up_bytes(snapshot, snapshot) == 5
