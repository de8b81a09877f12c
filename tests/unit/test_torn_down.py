"""What came back with a test's fixtures, on readings made up here."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_memreturn._record import Record, Rounds
from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn._test_report import state_of
from pytest_memreturn._torn_down import TornDown, after_tear_down

MIB = 1024 * 1024
RETAINED = Record("t", "retained", "collect", retained_bytes=30 * MIB)


class Item:
    """A test, as far as it is asked."""

    def __init__(self) -> None:
        self.stash = pytest.Stash()
        self.funcargs = {"data": object()}
        self.is_torn_down = False

    def teardown(self) -> None:
        """Its own part."""
        self.is_torn_down = True


def looking_on(*footprints: int) -> tuple[TornDown, Any]:
    """A test that is judged, and what is read after it, in MiB."""
    readings = iter(footprints)
    instruments = SimpleNamespace(
        releaser=SimpleNamespace(collect=lambda: None, trim=lambda: None),
        memory=SimpleNamespace(exact=lambda: SimpleNamespace(footprint_bytes=next(readings) * MIB)),
        statistics=tuple,
    )
    item = Item()
    return TornDown(lambda: cast("Any", instruments)), item


def end(torn_down: TornDown, item: Any, record: Record = RETAINED) -> Any:  # noqa: ANN401 - a state
    """The test's fixtures come and go around a body that retained."""
    torn_down.watch(item)
    torn_down.expect(item, record)
    item.teardown()
    return state_of(item)


@pytest.mark.parametrize(
    ("after", "came_back", "is_worth_a_sentence"),
    [
        (50, 30, True),
        (70, 10, True),
        (77, 3, False),
        (80, 0, False),
        (90, 0, False),
        (10, 30, True),
    ],
)
def test_what_came_back(after: int, came_back: int, is_worth_a_sentence: bool) -> None:
    """No more than was retained; and hardly anything is not worth a sentence."""
    state = end(*looking_on(80, after))
    assert state.torn_down_bytes == came_back * MIB
    assert bool(state.sentence) == is_worth_a_sentence


def test_the_sentence() -> None:
    """How much, of what, and how to judge without it."""
    assert end(*looking_on(80, 52)).sentence == (
        "28.0 MiB of the 30.0 MiB came back when the test's fixtures were torn down: "
        'window="test" judges after that'
    )


@pytest.mark.parametrize(
    ("room", "came_back"), [((20, 5), 15), ((5, 20), 30), ((20, 20), 30), ((40, 5), 0)]
)
def test_room_of_pythons_allocator_is_nobody_s(room: tuple[int, int], came_back: int) -> None:
    """Where it goes, no fixture has given anything back; where it comes, nothing is back yet."""
    torn_down, item = looking_on(80, 50)
    rooms = iter(room)
    cast("Any", torn_down.instruments()).statistics = lambda: [
        AllocatorStatistics("python", 0, next(rooms) * MIB),
        AllocatorStatistics("malloc", 0, 7 * MIB),
    ]
    assert end(torn_down, item).torn_down_bytes == came_back * MIB


def test_with_rounds_there_is_no_wider_window() -> None:
    """The sentence advises none, and needs more than the little that comes back of any test."""
    few = replace(RETAINED, retained_bytes=9000, rounds=Rounds(asked=20, run=20, warmup=0))
    torn_down, item = looking_on(80, 50)
    assert end(torn_down, item, few).sentence == (
        "8.8 KiB of the 8.8 KiB came back when the test's fixtures were torn down"
    )
    instruments = torn_down.instruments()
    readings = iter([80 * MIB, 80 * MIB - 250 * 1024])
    cast("Any", instruments).memory = SimpleNamespace(
        exact=lambda: SimpleNamespace(footprint_bytes=next(readings))
    )
    state = end(torn_down, cast("Any", Item()), few)
    assert (state.torn_down_bytes, state.sentence) == (9000, "")


def test_pytest_itself_holds_nothing_back() -> None:
    """Its own reference to the fixtures' values would count."""
    torn_down, item = looking_on(80, 50)
    end(torn_down, item)
    assert item.funcargs == {}


def test_a_test_that_returned_its_memory_pays_nothing() -> None:
    """Nor is one looked at that is not judged."""
    torn_down, item = looking_on()
    torn_down.watch(item)
    item.teardown()
    assert state_of(item).torn_down_bytes is None
    assert item.funcargs
    assert item.is_torn_down
    unjudged = cast("Any", Item())
    torn_down.expect(unjudged, RETAINED)
    assert state_of(unjudged).retained is None


def test_several_that_wait_for_a_tear_down() -> None:
    """Each is called once, the first one first, when the node's own part is over."""
    item = cast("Any", Item())
    seen: list[tuple[str, bool]] = []
    after_tear_down(item, lambda: seen.append(("first", item.is_torn_down)))
    after_tear_down(item, lambda: seen.append(("second", item.is_torn_down)))
    take_back = after_tear_down(item, lambda: seen.append(("never", True)))
    take_back()
    item.teardown()
    assert seen == [("first", True), ("second", True)]
    item.teardown()
    assert len(seen) == 2


def test_what_cannot_be_read_is_not_told() -> None:
    """The verdict stands all the same."""
    for readings in ((), (80,)):
        assert end(*looking_on(*readings)).torn_down_bytes is None


def test_an_item_without_fixtures() -> None:
    """Not every test is a function."""
    torn_down, item = looking_on(80, 50)
    item.funcargs = None
    assert end(torn_down, item).torn_down_bytes == 30 * MIB
