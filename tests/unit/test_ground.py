"""Whether a process still stands on the level ground of an earlier window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_memreturn._ground import Ground, Lifetime, Pulse
from pytest_memreturn._snapshot import Activity, AllocatorStatistics, Counters, Snapshot

CALM = Activity(fault_bytes=1000, lazily_freed_bytes=500)
MALLOC = AllocatorStatistics("malloc", live_bytes=400, held_bytes=600, own_mapping_live_bytes=50)
PYTHON = AllocatorStatistics("python", live_bytes=200, held_bytes=300)
GPU = AllocatorStatistics("torch", live_bytes=900, is_elsewhere=True)


def pulse(
    footprint_bytes: int = 1000,
    *allocators: AllocatorStatistics,
    activity: Activity | None = CALM,
    exact_bytes: int | None = None,
) -> Pulse:
    """A pulse of a process with malloc and pymalloc, unless it says otherwise."""
    exact = None if exact_bytes is None else Counters(exact_bytes, exact_bytes)
    counters = Counters(footprint_bytes, footprint_bytes)
    return Pulse(counters, allocators or (MALLOC, PYTHON), activity, exact)


@dataclass(frozen=True)
class Layout:
    """A layout by its sums."""

    footprint: int = 990
    lazy_free: int = 10

    def lazy_free_bytes(self) -> int:
        """What was freed lazily."""
        return self.lazy_free

    def footprint_bytes(self) -> int:
        """The exact footprint."""
        return self.footprint

    def snapshot(self) -> Snapshot:
        """Nobody asks."""
        raise NotImplementedError


def level() -> Ground:
    """A process that was just collected, trimmed and laid out."""
    ground = Ground()
    ground.enter(1)
    ground.was_collected(pulse())
    ground.was_trimmed(pulse())
    ground.was_laid_out(Layout(), pulse())
    return ground


def test_of_a_new_process_nothing_is_known() -> None:
    """So that everything is done before its first window."""
    ground = Ground()
    assert ground.garbage_bytes(pulse()) is None
    assert ground.young_garbage_bytes(pulse()) is None
    assert not ground.layout_may_serve(pulse(), 100)


def test_a_forked_process_is_a_new_one() -> None:
    """What its parent knew of itself says nothing of it."""
    ground = level()
    ground.enter(1)
    assert ground.garbage_bytes(pulse()) == 0
    assert ground.layout_may_serve(pulse(), 100)
    ground.enter(2)
    assert ground.garbage_bytes(pulse()) is None
    assert not ground.layout_may_serve(pulse(), 100)


@pytest.mark.parametrize(
    ("now", "risen_bytes"),
    [
        pytest.param(pulse(), 0, id="nothing moved"),
        pytest.param(pulse(1070), 70, id="the footprint rose"),
        pytest.param(pulse(900), 0, id="it fell"),
        pytest.param(
            pulse(1000, replace(MALLOC, live_bytes=430), replace(PYTHON, live_bytes=260)),
            90,
            id="live bytes rose in old room",
        ),
        pytest.param(
            pulse(1000, replace(MALLOC, live_bytes=430), replace(PYTHON, live_bytes=100)),
            30,
            id="what fell in one allocator does not hide what rose in another",
        ),
        pytest.param(
            pulse(1000, replace(MALLOC, own_mapping_live_bytes=60), PYTHON), 10, id="own mapping"
        ),
        pytest.param(
            pulse(1040, replace(MALLOC, live_bytes=430), PYTHON), 40, id="both: the larger"
        ),
        pytest.param(pulse(1000, MALLOC, PYTHON, GPU), 0, id="memory elsewhere is no garbage here"),
        pytest.param(
            pulse(1000, MALLOC, PYTHON, AllocatorStatistics("pyarrow", live_bytes=20)),
            20,
            id="an allocator that is new",
        ),
        pytest.param(pulse(5000, exact_bytes=1005), 5, id="the exact footprint where it was read"),
    ],
)
def test_garbage_is_bounded_by_what_rose(now: Pulse, risen_bytes: int) -> None:
    """Since the last collection, by the footprint or by live bytes."""
    ground = level()
    assert ground.garbage_bytes(now) == risen_bytes
    assert ground.young_garbage_bytes(now) == risen_bytes


def test_what_fell_between_lowers_the_mark() -> None:
    """Garbage that took the place of memory given back meanwhile is seen."""
    ground = level()
    ground.sees(pulse(700, replace(MALLOC, live_bytes=100), PYTHON))
    assert ground.garbage_bytes(pulse()) == 300
    ground.sinks_to(600)
    assert ground.garbage_bytes(pulse()) == 400
    assert ground.young_garbage_bytes(pulse()) == 400
    ground.sinks_to(800)
    assert ground.garbage_bytes(pulse()) == 400


def test_what_rose_does_not_raise_the_mark() -> None:
    """Only a collection does, of the young for the young."""
    ground = level()
    ground.sees(pulse(1050))
    ground.sinks_to(1050)
    assert ground.garbage_bytes(pulse(1080)) == 80
    ground.was_collected_young(pulse(1050))
    assert ground.garbage_bytes(pulse(1080)) == 80
    assert ground.young_garbage_bytes(pulse(1080)) == 30
    ground.was_collected(pulse(1060))
    assert ground.garbage_bytes(pulse(1080)) == ground.young_garbage_bytes(pulse(1080)) == 20


def test_before_the_first_collection_there_is_no_mark_to_move() -> None:
    """And nothing goes wrong."""
    ground = Ground()
    ground.sees(pulse())
    ground.sinks_to(7)
    assert ground.garbage_bytes(pulse()) is None


def test_what_lived_long_and_has_ended_may_all_be_garbage() -> None:
    """Though no figure rose, where nobody saw how it began; it is none of the young."""
    ground = level()
    ground.ended(None)
    assert ground.garbage_bytes(pulse()) is None
    ground.ended(Lifetime(pulse(), pulse()))
    assert ground.garbage_bytes(pulse()) is None
    assert ground.young_garbage_bytes(pulse()) == 0
    ground.was_collected(pulse())
    assert ground.garbage_bytes(pulse()) == 0


def test_what_has_ended_leaves_what_came_with_it() -> None:
    """Also where as much has gone since, and all together; until the next collection."""
    ground = level()
    first, second = Lifetime(pulse(1000), pulse(1060)), Lifetime(pulse(1000), pulse(1050))
    ground.ended(first)
    assert ground.garbage_bytes(pulse(1000)) == 60
    ground.ended(second)
    assert ground.garbage_bytes(pulse(1000)) == 110
    ground.was_collected(pulse())
    assert ground.garbage_bytes(pulse()) == 0


def test_what_has_ended_leaves_what_came_later() -> None:
    """All that has risen since it began may have hung on it."""
    ground = level()
    ground.was_collected(pulse(1500))
    ground.ended(Lifetime(pulse(1000), pulse(1000)))
    assert ground.garbage_bytes(pulse(1500)) == 500
    assert ground.young_garbage_bytes(pulse(1500)) == 0
    lives = replace(MALLOC, live_bytes=MALLOC.live_bytes - 90)
    assert Lifetime(pulse(1000, lives, PYTHON), pulse(1000)).came_bytes == 90


def test_what_an_allocator_has_elsewhere_is_neither_room_nor_garbage() -> None:
    """Nor what a silent one does not say."""
    ground = level()
    device = AllocatorStatistics("cupy", 0, 900, is_elsewhere=True)
    ground.was_collected(pulse(1000, MALLOC, PYTHON, device))
    ground.was_trimmed(pulse(1000, MALLOC, PYTHON, device))
    grown = pulse(1000, MALLOC, PYTHON, replace(device, live_bytes=800))
    assert ground.garbage_bytes(grown) == 0
    assert ground.free_bytes(grown) == 0
    assert ground.layout_may_serve(grown, tolerated_bytes=1)


def test_room_is_bounded_by_what_was_freed() -> None:
    """Since the last trim, whatever was taken in between."""
    ground = level()
    assert ground.free_bytes(pulse()) == 0
    freed = pulse(1000, replace(MALLOC, live_bytes=300), replace(PYTHON, live_bytes=250))
    assert ground.free_bytes(freed) == 100
    ground.sees(pulse(2000, replace(MALLOC, live_bytes=900), PYTHON))
    assert ground.free_bytes(freed) == 600
    ground.was_trimmed(freed)
    assert ground.free_bytes(freed) == 0


@pytest.mark.parametrize(
    ("now", "serves"),
    [
        pytest.param(pulse(), True, id="nothing moved"),
        pytest.param(
            pulse(activity=replace(CALM, fault_bytes=1000 + 2 * 2**20 - 1)), True, id="few pages"
        ),
        pytest.param(
            pulse(activity=replace(CALM, fault_bytes=1000 + 2 * 2**20)), False, id="many pages"
        ),
        pytest.param(
            pulse(activity=replace(CALM, fault_bytes=1000 + 4096, huge_fault_bytes=2 * 2**20)),
            False,
            id="a huge page",
        ),
        pytest.param(
            pulse(activity=replace(CALM, fault_bytes=1000 + 4096, huge_fault_bytes=4 * 2**20)),
            True,
            id="more huge pages than faults: others'",
        ),
        pytest.param(pulse(activity=None), False, id="nobody counts pages"),
        pytest.param(
            pulse(1000, replace(MALLOC, held_bytes=699), PYTHON),
            True,
            id="an allocator took a little",
        ),
        pytest.param(
            pulse(1000, replace(MALLOC, held_bytes=700), PYTHON), False, id="an allocator took more"
        ),
        pytest.param(
            pulse(1000, replace(MALLOC, held_bytes=500), PYTHON), False, id="an allocator gave back"
        ),
        pytest.param(
            pulse(1000, replace(MALLOC, held_bytes=550, own_mapping_live_bytes=100), PYTHON),
            True,
            id="from the heap to mappings",
        ),
        pytest.param(pulse(1000, PYTHON), False, id="an allocator is gone"),
        pytest.param(
            pulse(
                1000, AllocatorStatistics("malloc", 400, None, own_mapping_live_bytes=50), PYTHON
            ),
            False,
            id="an allocator does not say any more",
        ),
    ],
)
def test_a_layout_serves_as_long_as_little_moved(now: Pulse, *, serves: bool) -> None:
    """By what can be told without reading it anew."""
    assert level().layout_may_serve(now, 100) == serves


@pytest.mark.parametrize(("touched", "serves"), [(16 * 2**20 - 1, True), (16 * 2**20, False)])
def test_the_larger_a_process_the_more_pages_it_may_touch(touched: int, *, serves: bool) -> None:
    """To read its layout takes longer in proportion."""
    large = pulse(8 * 2**30)
    ground = level()
    ground.was_laid_out(Layout(), large)
    now = replace(large, activity=replace(CALM, fault_bytes=1000 + touched))
    assert ground.layout_may_serve(now, 100) == serves


def test_a_layout_without_activity_never_serves() -> None:
    """Nobody could tell what has moved since."""
    ground = level()
    ground.was_laid_out(Layout(), pulse(activity=None))
    assert not ground.layout_may_serve(pulse(), 100)


def test_nothing_is_tolerated_where_nothing_may_stay() -> None:
    """Whoever wants every figure of this moment gets a new layout."""
    assert not level().layout_may_serve(pulse(), 0)


@pytest.mark.parametrize(
    ("then", "now", "lazy"),
    [
        (500, 500, False),
        (500, 589, False),
        (500, 590, True),
        (None, 500, True),
        (500, None, True),
    ],
)
def test_lazily_freed_pages_are_bounded_by_the_machine_s(
    then: int | None, now: int | None, *, lazy: bool
) -> None:
    """By those of the layout and all that were freed since, whoever did it."""
    ground = level()
    ground.was_laid_out(Layout(), pulse(activity=replace(CALM, lazily_freed_bytes=then)))
    found = pulse(activity=replace(CALM, lazily_freed_bytes=now))
    assert ground.has_lazy_pages(found, 100) == lazy


def test_the_drift_is_told_by_the_same_source_on_both_sides() -> None:
    """Counters by counters, since both count the same; an exact reading by the layout itself."""
    layout = Layout()
    ground = level()
    assert ground.layout_and_drift(pulse(1030)) == (layout, 30)
    assert ground.layout_and_drift(pulse(970)) == (layout, -30)
    assert ground.layout_and_drift(pulse(1030, exact_bytes=1000)) == (layout, 10)
