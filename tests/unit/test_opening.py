"""How a process comes to level ground, and what a window then starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_memreturn import _opening
from pytest_memreturn._allowance import Tolerated
from pytest_memreturn._instruments import FullReading, Instruments
from pytest_memreturn._opening import LeftGarbage, stand_level, take_baseline
from pytest_memreturn._release import Releaser
from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import Activity, AllocatorStatistics, Counters, Peak, Snapshot
from pytest_memreturn.allocators._contract import Allocator

TOLERATED = Tolerated(garbage_bytes=100, drift_bytes=50, young_garbage_bytes=10, free_bytes=20)


@dataclass(frozen=True)
class Layout:
    """A layout by its sums."""

    snapshot_now: Snapshot
    lazy_free: int

    def lazy_free_bytes(self) -> int:
        """What was freed lazily."""
        return self.lazy_free

    def footprint_bytes(self) -> int:
        """The exact footprint."""
        return self.snapshot_now.footprint_bytes

    def snapshot(self) -> Snapshot:
        """The same as data."""
        return self.snapshot_now


@dataclass
class Process:
    """A process by what its memory is made of, and what was done to it."""

    live: int = 1000
    young_garbage: int = 0
    old_garbage: int = 0
    free: int = 0
    lazy: int = 0
    lazily_freed_elsewhere: int = 0
    touched: int = 0
    error: int = 0
    frozen: int = 0
    done: list[str] = field(default_factory=list)
    while_laid_out: Callable[[], None] = lambda: None
    name = "process"

    @property
    def footprint(self) -> int:
        """All of it but what the kernel may take."""
        return self.live + self.young_garbage + self.old_garbage + self.free

    def instruments(self) -> Instruments:
        """What measures it."""
        return Instruments(
            self,
            (Malloc(self),),
            releaser=Releaser(
                self.collect_thoroughly,
                self.collect,
                self.collect_young,
                frozen_objects=lambda: self.frozen,
                trims={"malloc": self.trim},
            ),
        )

    def collect_thoroughly(self) -> None:
        """What finalizers make meanwhile, too."""
        self.collect()
        self.done[-1] = "collect thoroughly"

    def collect(self) -> None:
        """All garbage becomes free memory."""
        self.done.append("collect")
        self.free += self.young_garbage + self.old_garbage
        self.young_garbage = self.old_garbage = 0

    def collect_young(self) -> None:
        """The young garbage does."""
        self.done.append("young")
        self.free += self.young_garbage
        self.young_garbage = 0

    def trim(self) -> None:
        """Free memory goes back."""
        self.done.append("trim")
        self.free = 0

    def counters(self) -> Counters:
        """They count what was freed lazily."""
        return Counters(self.footprint + self.lazy, 0, self.error)

    def exact(self) -> Counters:
        """The page tables."""
        self.done.append("exact")
        return Counters(self.footprint, 0)

    def activity(self) -> Activity | None:
        """Pages by the machine's counts."""
        return Activity(self.touched, self.lazy + self.lazily_freed_elsewhere)

    def capture(self, *, baseline: bool = False) -> Layout:
        """A layout of now."""
        assert baseline
        self.done.append("layout")
        found = Layout(Snapshot(self.footprint, 0), self.lazy)
        self.while_laid_out()
        return found

    def open_peak(self) -> int:
        """Nobody asks."""
        raise NotImplementedError

    def close_peak(self, token: int) -> Peak:
        """Nobody asks."""
        raise NotImplementedError


class Malloc(Allocator):
    """The allocator of that process: garbage is live to it."""

    name = "malloc"

    def __init__(self, process: Process) -> None:
        self._process = process

    def statistics(self) -> AllocatorStatistics:
        """What it has handed out, from address space enough."""
        process = self._process
        live = process.live + process.young_garbage + process.old_garbage
        return AllocatorStatistics("malloc", live, 1_000_000)


def levelled(process: Process, tolerated: Tolerated = TOLERATED) -> Instruments:
    """Instruments of a process that has just come through its first window's opening."""
    instruments = process.instruments()
    opened(instruments, tolerated)
    process.done.clear()
    return instruments


def opened(
    instruments: Instruments, tolerated: Tolerated = TOLERATED
) -> tuple[LeftGarbage, FullReading, Counters]:
    """One opening: what may be left of garbage, and the baseline."""
    pulse, left = stand_level(instruments, tolerated)
    return left, *take_baseline(instruments, pulse, tolerated)


def test_before_the_first_window_everything_is_done() -> None:
    """Whatever is left of what went before the first test is nobody's."""
    process = Process(young_garbage=5, old_garbage=70, free=30)
    left, reading, counters = opened(process.instruments())
    assert process.done == ["young", "collect", "trim", "layout"]
    assert left == LeftGarbage(0, 0)
    assert reading.footprint_bytes() == counters.footprint_bytes == 1000


def test_a_window_after_one_that_left_nothing_is_opened_by_a_pulse() -> None:
    """Nothing is done, and the layout is that of the window before."""
    process = Process()
    instruments = levelled(process)
    left, reading, counters = opened(instruments)
    assert process.done == []
    assert left == LeftGarbage(0, 0)
    assert (reading.drift_bytes, counters.footprint_bytes) == (0, 1000)


def changed(**by: int) -> Callable[[Process], None]:
    """What a test left behind."""

    def change(process: Process) -> None:
        for name, size in by.items():
            setattr(process, name, getattr(process, name) + size)

    return change


@pytest.mark.parametrize(
    ("change", "done", "left", "drift_bytes"),
    [
        pytest.param(changed(young_garbage=9), [], LeftGarbage(9, 9), 9, id="little garbage"),
        pytest.param(
            changed(young_garbage=10), ["young"], LeftGarbage(0, 10), 10, id="young garbage"
        ),
        pytest.param(
            changed(old_garbage=49),
            ["young", "trim"],
            LeftGarbage(0, 49),
            49,
            id="not much old garbage",
        ),
        pytest.param(
            changed(old_garbage=50),
            ["young", "trim", "layout"],
            LeftGarbage(0, 50),
            0,
            id="more has moved than a ledger may leave unexplained",
        ),
        pytest.param(
            changed(old_garbage=100),
            ["young", "trim", "collect", "trim"],
            LeftGarbage(0, 0),
            0,
            id="old garbage",
        ),
        pytest.param(
            changed(live=100),
            ["young", "trim", "collect", "trim", "layout"],
            LeftGarbage(0, 0),
            0,
            id="what grew and is no garbage can't be told from it",
        ),
        pytest.param(
            changed(live=-19, free=19), [], LeftGarbage(0, 0), 0, id="a little that was freed"
        ),
        pytest.param(
            changed(live=-20, free=20),
            ["trim"],
            LeftGarbage(0, 0),
            -20,
            id="memory that was freed and not given back",
        ),
        pytest.param(
            changed(free=20),
            ["young", "trim"],
            LeftGarbage(0, 0),
            0,
            id="what came and went in old holes",
        ),
        pytest.param(
            changed(free=100),
            ["young", "trim"],
            LeftGarbage(0, 0),
            0,
            id="much that came and went in old holes is no garbage",
        ),
        pytest.param(
            changed(touched=2 * 2**20),
            ["layout"],
            LeftGarbage(0, 0),
            0,
            id="many pages were touched",
        ),
        pytest.param(
            changed(lazy=49),
            ["young", "trim"],
            LeftGarbage(0, 49),
            49,
            id="a few pages freed lazily",
        ),
        pytest.param(
            changed(lazy=50),
            ["young", "trim", "exact"],
            LeftGarbage(0, 50),
            0,
            id="counters count what was freed lazily: the page tables tell",
        ),
        pytest.param(
            changed(lazily_freed_elsewhere=50),
            ["exact"],
            LeftGarbage(0, 0),
            0,
            id="somebody has freed lazily, perhaps another process",
        ),
    ],
)
def test_what_a_window_left_is_dealt_with_before_the_next(
    change: Callable[[Process], None],
    done: Sequence[str],
    left: LeftGarbage,
    drift_bytes: int,
) -> None:
    """As much as may matter, and no more."""
    process = Process()
    instruments = levelled(process)
    change(process)
    found, reading, _ = opened(instruments)
    assert process.done == list(done)
    assert found == left
    assert reading.drift_bytes == drift_bytes


def test_garbage_adds_up_over_windows() -> None:
    """No matter in how many pieces it comes, and what else is given back meanwhile."""
    process = Process()
    instruments = levelled(process)
    for _ in range(9):
        process.old_garbage += 10
        opened(instruments)
    assert "collect" not in process.done
    process.old_garbage += 10
    opened(instruments)
    assert process.done.count("collect") == 1
    assert process.old_garbage == 0


def test_garbage_in_place_of_what_was_given_back_is_seen() -> None:
    """Where the process was seen without either in between."""
    process = Process()
    instruments = levelled(process)
    process.live -= 90
    opened(instruments)
    process.old_garbage += 90
    left, _, _ = opened(instruments)
    assert left.old_bytes == 90
    process.old_garbage += 10
    opened(instruments)
    assert process.old_garbage == 0


def test_what_was_frozen_at_a_collection_may_be_garbage_once_it_thaws() -> None:
    """No figure rises by it: a leak of 2.5 MiB passed beside 0.7 MiB of such garbage."""
    process = Process(frozen=7)
    instruments = levelled(process)
    for frozen in (7, 9):
        process.frozen = frozen
        opened(instruments)
    assert "collect" not in process.done
    process.frozen = 6
    opened(instruments)
    assert process.done.count("collect") == 1
    # Nothing more comes back than what that collection passed over.
    opened(instruments)
    assert process.done.count("collect") == 1


def test_where_nothing_was_frozen_nobody_counts() -> None:
    """Counting takes as long as there are frozen objects."""

    def count() -> int:
        raise AssertionError

    instruments = levelled(Process())
    opened(replace(instruments, releaser=replace(instruments.releaser, frozen_objects=count)))


def test_where_nothing_may_stay_everything_is_done_each_time() -> None:
    """Also for whoever wants every figure from one moment."""
    process = Process()
    instruments = levelled(process, Tolerated())
    opened(instruments, Tolerated())
    assert process.done == ["young", "collect thoroughly", "trim", "layout"]


def test_counters_that_are_not_exact_decide_nothing() -> None:
    """The page tables are read instead, as often as it takes."""
    process = Process(error=7)
    instruments = levelled(process)
    process.live += 9
    _, reading, counters = opened(instruments)
    assert process.done == ["exact"]
    assert reading.drift_bytes == 9
    assert counters.error_bytes == 7


@pytest.mark.parametrize(("error", "drift_bytes"), [(0, 3), (7, 0)])
def test_what_the_readings_leave_behind_is_not_charged(error: int, drift_bytes: int) -> None:
    """It came before the window; counters that are not exact can't tell so little."""
    process = Process(error=error)
    process.while_laid_out = lambda: changed(live=3)(process)
    _, reading, _ = opened(process.instruments())
    assert reading.drift_bytes == drift_bytes
    assert reading.footprint_bytes() == 1000 + drift_bytes
    assert reading.snapshot().drift_bytes == drift_bytes


def test_what_a_reading_leaves_behind_in_plenty_is_read_again() -> None:
    """A byte that it wrote may have brought huge pages, which hide what grows into them."""
    process = Process()
    left = [4 * MIB, 3]
    process.while_laid_out = lambda: changed(free=left.pop(0))(process)
    instruments = process.instruments()
    _, reading, counters = opened(instruments)
    assert process.done[-2:] == ["layout", "layout"]
    assert reading.drift_bytes == 3
    assert reading.capture.footprint_bytes() == 1000 + 4 * MIB
    assert reading.footprint_bytes() == counters.footprint_bytes
    assert instruments.ground.layout_and_drift(instruments.pulse()) == (reading.capture, 3)


def test_a_forked_process_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its parent has done."""
    process = Process()
    instruments = levelled(process)
    monkeypatch.setattr(_opening, "_GETPID", lambda: 0)
    opened(instruments)
    assert "collect" in process.done
    assert "layout" in process.done


def test_the_ledger_starts_from_the_allocators_of_now() -> None:
    """Only the layout is that of an earlier window."""
    process = Process()
    instruments = levelled(process)
    process.live += 9
    _, reading, _ = opened(instruments)
    assert reading.allocators == (replace(Malloc(process).statistics(), live_bytes=1009),)
    assert reading.footprint_bytes() == 1009
