"""The order of things: level ground, window, ladder, ledger. All readings are scripted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import pytest

from pytest_memreturn import _recorder
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._explanation import (
    AllocatorGrowth,
    Explanation,
    Holding,
    MappingChange,
    Survivors,
    SurvivorType,
)
from pytest_memreturn._instruments import Examiner, Instruments
from pytest_memreturn._ledger import close_ledger
from pytest_memreturn._measurement import Measurement
from pytest_memreturn._opening import LeftGarbage, stand_level
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment
from pytest_memreturn._record import Exclusion, Record, Rung
from pytest_memreturn._recorder import Recorder
from pytest_memreturn._release import Releaser
from pytest_memreturn._settings import (
    DEFAULT_MAX_RETAINED_BYTES,
    Mode,
    Recorded,
    Settings,
    Source,
    Sourced,
    check,
    resolve,
)
from pytest_memreturn._settle import Settled
from pytest_memreturn._snapshot import (
    Activity,
    AllocatorStatistics,
    Counters,
    KindUsage,
    MappedRange,
    Peak,
    Snapshot,
)
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.probes._contract import Capture
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.testing import Script, ScriptedProbe

Call: TypeAlias = Literal[
    "begin",  # what is outside when the window opens
    "since",  # and what has come
    "counters",
    "exact",
    "capture",
    "open_peak",
    "close_peak",
    "young",
    "collect",
    "trim",
    "statistics",
    "newborn",
    "filled_up",
    "motion",
    "survivors",
    "python_in_malloc",
    "held_by_pytest",
    "huge_pages",
]


def opening(*pulse: Call) -> list[Call]:
    """What is asked for a process's first window, where a pulse is read by these calls."""
    level: list[Call] = [*pulse, "young", *pulse, "collect", "trim", *pulse]
    statistics = [one for one in pulse if one == "statistics"]
    return [*level, "begin", "open_peak", "capture", *statistics, "counters"]


OPENING = opening("counters")
LOOK_CLOSER: list[Call] = ["held_by_pytest", "survivors", "trim"]


class Bench(Examiner):
    """Instruments that play scripts and write down what was asked of them."""

    name = "bench"

    def __init__(self, *scripts: Script, motion: Motion | None = None) -> None:
        self.calls: list[Call] = []
        self.played = ScriptedProbe(scripts)
        self.by_script = self.played.instruments()
        self.fails_at: frozenset[Call] = frozenset()
        self.failing_from: tuple[Call, int] | None = None
        self.exact_reads_higher_by = 0
        self.sleeps: list[float] = []
        self.newborn_among: tuple[str, ...] = ()
        self.new = Survivors()
        self.all_python_bytes: int | None = None
        self.full_collections = 0
        self._motion = motion or Motion()

    def instruments(self) -> Instruments:
        """What a recorder measures with on this bench."""
        return Instruments(
            memory=self,
            allocators=tuple(BenchAllocator(one, self.write) for one in self.by_script.allocators),
            outside=self,
            releaser=Releaser(
                collect=self._writing("collect", self.by_script.releaser.collect),
                collect_once=self._writing("collect", self.by_script.releaser.collect_once),
                collect_young=self._writing("young", self.by_script.releaser.collect_young),
                full_collections=lambda: self.full_collections,
                trims={
                    name: self._writing("trim", trim)
                    for name, trim in self.by_script.releaser.trims.items()
                },
            ),
            examiner=self,
            motion=self._sample,
            clock=lambda: 0.0,
            sleep=self.sleeps.append,
        )

    def begin(self) -> object:
        """What is outside now."""
        self.write("begin")
        return self.played.begin()  # type: ignore[func-returns-value]

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """What has come."""
        self.write("since")
        return self.played.since(state, peak_growth_bytes=peak_growth_bytes)

    def counters(self) -> Counters:
        """The cheap reading."""
        self.write("counters")
        return self.played.counters()

    def activity(self) -> Activity | None:
        """Unknown, as of the script."""
        return self.played.activity()

    def exact(self) -> Counters:
        """The exact reading."""
        self.write("exact")
        found = self.played.exact()
        return replace(found, footprint_bytes=found.footprint_bytes + self.exact_reads_higher_by)

    def capture(self, *, baseline: bool = False) -> Capture:
        """The full reading; the first one, and no other, is a window's baseline."""
        assert baseline == ("capture" not in self.calls)
        self.write("capture")
        return self.played.capture(baseline=baseline)

    def open_peak(self) -> int:
        """The peak of a window begins."""
        self.write("open_peak")
        return self.played.open_peak()

    def close_peak(self, token: int) -> Peak:
        """The peak of a window ends."""
        self.write("close_peak")
        return self.played.close_peak(token)

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        """What the script says."""
        self.write("survivors")
        return self.by_script.examiner.survivors(before, after)

    def newborn(self, allocators: Sequence[AllocatorStatistics]) -> Survivors:
        """What is new on this bench."""
        self.newborn_among = tuple(one.name for one in allocators)
        self.write("newborn")
        return self.new

    def python_in_malloc_bytes(self, allocators: Sequence[AllocatorStatistics]) -> int | None:
        """What all objects hold on this bench."""
        del allocators
        self.write("python_in_malloc")
        return self.all_python_bytes

    def held_by_pytest(self) -> tuple[Holding, ...]:
        """What the script says."""
        self.write("held_by_pytest")
        return self.by_script.examiner.held_by_pytest()

    def unwritten_huge_page_bytes(self, before: Snapshot, after: Snapshot) -> int | None:
        """What the script says."""
        self.write("huge_pages")
        return self.by_script.examiner.unwritten_huge_page_bytes(before, after)

    def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
        """What the script says."""
        self.write("filled_up")
        return self.by_script.examiner.filled_up_bytes(before, after)

    def write(self, call: Call) -> None:
        """Note a call, and fail where it shall."""
        self.calls.append(call)
        if self.failing_from == (call, self.calls.count(call)) or call in self.fails_at:
            raise ReadingUnavailableError(call)

    def _sample(self) -> Motion:
        self.write("motion")
        return self._motion

    def _writing(self, call: Call, do: Callable[[], None]) -> Callable[[], None]:
        def wrapped() -> None:
            self.write(call)
            do()

        return wrapped


class BenchAllocator(Allocator):
    """An allocator of a script that writes down what was asked of it."""

    def __init__(self, played: Allocator, write: Callable[[Call], None]) -> None:
        self.name = played.name
        self._played = played
        self._write = write

    def statistics(self) -> AllocatorStatistics | None:
        """What the script says of it."""
        self._write("statistics")
        return self._played.statistics()


def settings(**keywords: object) -> Settings:
    """Settings as a marker would give them; 100 bytes may stay unless it says otherwise."""
    return resolve([check(Source("test", {"max_retained": 100, **keywords}, at_the_test=True))])


def measured(bench: Bench, *, detailed: bool = False, **keywords: object) -> Measurement:
    """One window, opened and closed."""
    recorder = Recorder(bench.instruments(), settings(**keywords), detailed=detailed)
    recorder.open()
    return recorder.close()


def test_a_window_opens_on_level_ground() -> None:
    """Garbage and free memory of earlier tests go first; the baseline is the last thing read."""
    bench = Bench(Script(1000))
    Recorder(bench.instruments(), settings()).open()
    assert bench.calls == OPENING


@pytest.mark.parametrize(
    ("left", "collections", "end", "calls"),
    [
        pytest.param(LeftGarbage(10, 40), 0, 1090, 3, id="what is young may have been taken"),
        pytest.param(LeftGarbage(10, 40), 0, 1091, 4, id="no more than that is believed"),
        pytest.param(LeftGarbage(10, 40), 1, 1060, 3, id="a full collection takes the old, too"),
        pytest.param(LeftGarbage(10, 40), 1, 1061, 4, id="no more than that is believed then"),
    ],
)
def test_what_may_have_been_garbage_counts_against_the_window(
    left: LeftGarbage, collections: int, end: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that gave back what was garbage before it has kept as much unseen."""
    bench = Bench(Script(1000, end=end))
    monkeypatch.setattr(_recorder, "stand_level", lambda *which: (stand_level(*which)[0], left))
    recorder = Recorder(bench.instruments(), settings())
    recorder.open()
    bench.full_collections += collections
    bench.calls.clear()
    assert recorder.close().outcome == "returned"
    # Where the counters are not believed, the page tables are read; here they show no more.
    assert bench.calls[:calls] == [*CHEAP, "exact"][:calls]
    assert ("exact" in bench.calls) == (calls == 4)


CHEAP: list[Call] = ["counters", "close_peak", "since"]
END: list[Call] = [*CHEAP, "exact"]
COLLECT: list[Call] = [*END, "collect", "exact"]
# Where one pass is not enough, and where every figure is wanted.
THOROUGHLY: list[Call] = [*COLLECT, "collect", "exact"]
# What hooks count may be what an allocator of theirs releases.
ASK: list[Call] = ["since", "exact", "trim", "since", "exact"]
TRIM: list[Call] = [*THOROUGHLY, *ASK, "exact"]
SETTLE: list[Call] = ["exact", "motion"]


@pytest.mark.parametrize(
    ("script", "trim", "calls", "readings", "retained_bytes"),
    [
        pytest.param(
            Script(1000, end=1100),
            False,
            CHEAP,
            {"baseline": 1000, "end": 1100},
            100,
            id="kept all",
        ),
        pytest.param(
            Script(1000, end=900), False, CHEAP, {"baseline": 1000, "end": 900}, -100, id="shrank"
        ),
        pytest.param(
            Script(1000, end=1090, error_bytes=10),
            False,
            CHEAP,
            {"baseline": 1000, "end": 1090},
            90,
            id="within the allowance whatever the counters hide",
        ),
        pytest.param(
            Script(1000, end=1091, error_bytes=10),
            False,
            END,
            {"baseline": 1000, "end": 1091},
            91,
            id="too near for the counters: read exactly",
        ),
        pytest.param(
            Script(1000, end=1101, collect=1100),
            False,
            COLLECT,
            {"baseline": 1000, "end": 1101, "collect": 1100},
            100,
            id="garbage",
        ),
        pytest.param(
            Script(1000, end=1101, collect=1100, trim=1000),
            True,
            COLLECT,
            {"baseline": 1000, "end": 1101, "collect": 1100},
            100,
            id="garbage, with a further rung that is not needed",
        ),
        pytest.param(
            Script(1000, end=9000, collect=8000, trim=1050),
            True,
            TRIM,
            {"baseline": 1000, "end": 9000, "collect": 8000, "trim": 1050},
            50,
            id="free inside an allocator",
        ),
    ],
)
def test_a_window_that_returned_is_climbed_no_further_than_needed(
    script: Script,
    *,
    trim: bool,
    calls: list[Call],
    readings: dict[Rung, int],
    retained_bytes: int,
) -> None:
    """The first reading that is within the allowance ends it: nothing else is read or released."""
    bench = Bench(script)
    found = measured(bench, trim=trim)
    first = opening("counters", "exact") if script.error_bytes else OPENING
    assert bench.calls == [*first, *calls]
    assert found.outcome == "returned"
    assert found.readings == readings
    assert found.retained_bytes == retained_bytes
    assert (found.ledger, found.causes, found.before, found.at_gate) == (None, None, None, None)
    assert found.explanation is None


@pytest.mark.parametrize(
    ("script", "trim", "calls", "readings", "retained_bytes"),
    [
        pytest.param(
            Script(1000, end=9000, collect=1101, trim=1000),
            False,
            [*THOROUGHLY, *SETTLE, "capture", "huge_pages", *ASK, "capture", *LOOK_CLOSER],
            {"baseline": 1000, "end": 9000, "collect": 1101, "trim": 1000},
            101,
            id="a trim would have returned it",
        ),
        pytest.param(
            Script(1000, end=9000, collect=8000, trim=1101),
            True,
            [*TRIM, *SETTLE, "capture", "huge_pages", *LOOK_CLOSER],
            {"baseline": 1000, "end": 9000, "collect": 8000, "trim": 1101},
            101,
            id="a trim did not return it",
        ),
    ],
)
def test_a_window_that_retained_is_examined(
    script: Script,
    *,
    trim: bool,
    calls: list[Call],
    readings: dict[Rung, int],
    retained_bytes: int,
) -> None:
    """Layout and allocators at the gate and after a trim, last the survivors; then it is tidied."""
    bench = Bench(script)
    found = measured(bench, trim=trim)
    assert bench.calls == [*OPENING, *calls]
    assert found.outcome == "retained"
    assert found.readings == readings
    assert found.retained_bytes == retained_bytes
    assert found.ledger is not None
    assert found.ledger.growth_bytes == retained_bytes
    assert found.causes is not None
    assert found.before is not None
    assert found.at_gate is not None


@pytest.mark.parametrize(
    ("trim", "calls", "retained_bytes"),
    [(False, [*COLLECT, "capture"], 20), (True, [*COLLECT, *ASK, "exact", "capture"], 10)],
)
def test_a_detailed_window_has_its_ledger_whatever_became_of_it(
    *, trim: bool, calls: list[Call], retained_bytes: int
) -> None:
    """It climbs to the gate, and no further; nobody is accused."""
    bench = Bench(Script(1000, end=1030, collect=1020, trim=1010))
    found = measured(bench, detailed=True, trim=trim)
    assert bench.calls == [*OPENING, *calls]
    assert found.outcome == "returned"
    assert found.retained_bytes == retained_bytes
    assert found.ledger is not None
    assert found.ledger.to_dict() == {"unexplained": retained_bytes}
    assert found.causes is None
    assert found.explanation is None


@pytest.mark.parametrize("trim", [False, True])
def test_memory_that_goes_back_between_two_readings_is_returned(*, trim: bool) -> None:
    """The full reading at the gate has the last word: a background thread may have purged."""
    bench = Bench(Script(1000, end=1060, error_bytes=50))
    bench.exact_reads_higher_by = 500
    found = measured(bench, trim=trim)
    assert found.outcome == "returned"
    assert found.retained_bytes == 60
    assert found.ledger is not None
    assert found.causes is None
    assert "survivors" not in bench.calls


@pytest.mark.parametrize(("fails_at", "time"), [("capture", 1), ("counters", 4)])
def test_a_baseline_that_cannot_be_read_ends_the_window(fails_at: Call, time: int) -> None:
    """The error is passed on, and nobody watches the peak any more."""
    bench = Bench(Script(1000))
    bench.failing_from = (fails_at, time)
    with pytest.raises(ReadingUnavailableError):
        Recorder(bench.instruments(), settings()).open()
    assert bench.calls[-2:] == [fails_at, "close_peak"]


@pytest.mark.parametrize(
    ("unreadable", "trim"), [("end", False), ("collect", False), ("trim", True)]
)
def test_a_rung_that_cannot_be_read_is_no_verdict(unreadable: Rung, *, trim: bool) -> None:
    """A reading up to the gate that could not be had is an error, and never passes quietly."""
    bench = Bench(Script(1000, end=9000, unreadable=unreadable))
    recorder = Recorder(bench.instruments(), settings(trim=trim))
    recorder.open()
    with pytest.raises(ReadingUnavailableError, match=f"no reading at {unreadable}"):
        recorder.close()
    assert bench.calls.count("close_peak") == 1


def test_the_end_that_cannot_be_read_is_an_error_of_its_own() -> None:
    """The window is over then, too: nobody watches its peak any more."""
    bench = Bench(Script(1000, unreadable="end"))
    recorder = Recorder(bench.instruments(), settings())
    recorder.open()
    with pytest.raises(ReadingUnavailableError):
        recorder.close()
    assert bench.calls[-2:] == ["counters", "close_peak"]


def test_a_rung_beyond_the_need_may_be_unreadable() -> None:
    """What is not needed is not read."""
    assert measured(Bench(Script(1000, unreadable="collect"))).outcome == "returned"


def test_a_trim_that_cannot_be_read_does_not_undo_the_verdict() -> None:
    """The verdict was taken at the gate; what comes after it only explains."""
    found = measured(Bench(replace(RETAINING, trim=None, unreadable="trim")))
    assert found.outcome == "retained"
    assert found.retained_bytes == 8000
    assert "trim" not in found.readings
    # Nobody knows then that anything is pinned.
    assert found.causes is not None
    assert "pinned-malloc" not in found.causes.bytes_by_cause
    assert found.causes.bytes_by_cause["held-by-malloc"] == 6000


def test_a_census_that_fails_does_not_undo_the_verdict() -> None:
    """A failing test does not pass because its explanation failed."""
    bench = Bench(RETAINING)
    bench.fails_at = frozenset({"survivors"})
    found = measured(bench)
    assert found.outcome == "retained"
    assert found.explanation is not None
    assert found.explanation.survivors == ()
    # Nobody knows then whose the live blocks are.
    assert found.causes is not None
    assert found.causes.bytes_by_cause["unexplained"] == 2000


@pytest.mark.parametrize(
    ("fails_at", "lost"),
    [
        ("survivors", {"survivors": ()}),
        ("held_by_pytest", {"held_by_pytest": ()}),
        ("huge_pages", {"unwritten_huge_page_bytes": None}),
    ],
)
def test_an_explanation_that_fails_takes_nothing_else_with_it(
    fails_at: Call, lost: dict[str, object]
) -> None:
    """What was found is told, and what could not be looked at is left out."""
    whole = measured(Bench(RETAINING)).explanation
    bench = Bench(RETAINING)
    bench.fails_at = frozenset({fails_at})
    found = measured(bench)
    assert whole is not None
    assert found.explanation == replace(whole, **lost)  # type: ignore[arg-type]
    assert (found.outcome, found.retained_bytes) == ("retained", 8000)


@pytest.mark.parametrize("trim", [False, True])
def test_a_trim_that_fails_once_the_verdict_is_known_is_nobody_s_fault(*, trim: bool) -> None:
    """Neither where it was to explain, nor where it only tidies up."""
    bench = Bench(replace(RETAINING, trim=RETAINING.end))
    recorder = Recorder(bench.instruments(), settings(trim=trim))
    recorder.open()
    # The first trim after the window belongs to the verdict, where that is taken after a trim.
    bench.failing_from = ("trim", 3 if trim else 2)
    found = recorder.close()
    assert found.outcome == "retained"
    assert found.explanation is not None
    assert found.explanation.survivors == (SurvivorType("list", 3, 1500),)
    assert found.explanation.released == ({"malloc": 0} if trim else {})


POOL = AllocatorStatistics("pool", 100, 1000, reserve_bytes=300)


@pytest.mark.parametrize(
    ("live", "held", "reserve_bytes", "outcome"),
    [
        pytest.param(100, 1150, 150, "returned", id="free room within the reserve"),
        pytest.param(100, 1300, 300, "returned", id="all of the reserve"),
        pytest.param(100, 1301, 0, "retained", id="a byte more than that"),
        pytest.param(200, 1200, 0, "retained", id="live memory is no reserve"),
        pytest.param(300, 1150, 0, "retained", id="nor is free room that shrank"),
    ],
)
@pytest.mark.parametrize("detailed", [False, True])
def test_an_allocator_s_own_stock_is_let_pass_by_default(
    live: int, held: int, reserve_bytes: int, outcome: str, *, detailed: bool
) -> None:
    """Over the default allowance, where that lets it pass; the figures stay what they are."""
    default = DEFAULT_MAX_RETAINED_BYTES
    script = Script(
        replace(anonymous(1000), allocators=(POOL,)),
        end=replace(
            anonymous(held + default), allocators=(replace(POOL, live_bytes=live, held_bytes=held),)
        ),
    )
    recorder = Recorder(Bench(script).instruments(), resolve([]), detailed=detailed)
    recorder.open()
    found = recorder.close()
    assert found.outcome == outcome
    assert found.allowance.reserve_bytes == reserve_bytes
    assert found.retained_bytes == held - 1000 + default
    record = found.to_record("t", window="call", label=None, location=None)
    assert record.allowed_bytes == default + reserve_bytes
    assert record.reserve_bytes == reserve_bytes


HEAP = AllocatorStatistics("malloc", 100, 5000, live_by_kind={"heap": 100}, from_start=True)


def heap(counted_bytes: int) -> Snapshot:
    """A process with one allocator's heap alone, all of it resident."""
    return Snapshot(
        counted_bytes,
        counted_bytes,
        kinds={"heap": KindUsage(counted_bytes, counted_bytes)},
        allocators=(HEAP,),
    )


@pytest.mark.parametrize(
    ("filled_bytes", "granted", "outcome"),
    [
        pytest.param(100, 100, "returned", id="so much was filled"),
        pytest.param(900, 200, "returned", id="no more than what is free counts"),
        pytest.param(99, 0, "retained", id="a byte too little"),
        pytest.param(None, 0, "retained", id="nobody can look"),
    ],
)
def test_what_only_the_kernel_made_resident_is_let_pass(
    filled_bytes: int | None, granted: int, outcome: str
) -> None:
    """Whatever the allowance is: huge pages fill holes of a heap when the kernel sees fit."""
    bench = Bench(Script(heap(1000), end=heap(1200), filled_up_bytes=filled_bytes or 0))
    if filled_bytes is None:
        bench.fails_at = frozenset({"filled_up"})
    found = measured(bench)
    assert (found.outcome, found.retained_bytes) == (outcome, 200)
    assert (found.allowance.allowed_bytes, found.allowance.reserve_bytes) == (
        100 + granted,
        granted,
    )
    assert ("filled up by huge pages" in found.allowance.origin) == (outcome == "returned")


def held_to(bench: Bench, recorded: Recorded | None, mode: Mode = "fail") -> Measurement:
    """One window of which a ratchet file has something."""
    found = settings()
    limits = replace(found.limits, recorded=recorded)
    recorder = Recorder(
        bench.instruments(), replace(found, limits=limits, mode=Sourced(mode, "test"))
    )
    recorder.open()
    return recorder.close()


@pytest.mark.parametrize(("end", "outcome"), [(1000 + 550, "returned"), (1000 + 551, "retained")])
def test_what_was_recorded_may_stay(end: int, outcome: str) -> None:
    """With its tolerance, and not a byte more; either way that is what it was held against."""
    found = held_to(Bench(Script(1000, end=end)), Recorded(500, 50, "m.json"))
    assert (found.outcome, found.retained_bytes) == (outcome, end - 1000)
    assert (found.allowance.allowed_bytes, found.allowance.recorded_bytes) == (550, 500)
    assert found.to_record("t", window="call", label=None, location=None).recorded_bytes == 500


def test_a_recorded_test_is_measured_at_its_gate() -> None:
    """As when it was recorded, though its end would do: so that it is seen when it keeps less."""
    bench = Bench(Script(1000, end=1500, collect=1300))
    found = held_to(bench, Recorded(500, 50, "m.json"))
    assert (found.outcome, found.retained_bytes) == ("returned", 300)


def test_a_recorded_test_that_fits_needs_no_record() -> None:
    """What it may keep anyway is what it is held against then."""
    found = held_to(Bench(Script(1000, end=1050)), Recorded(500, 50, "m.json"))
    assert (found.outcome, found.allowance.origin) == ("returned", "test")
    assert found.allowance.recorded_bytes is None


def test_huge_pages_come_on_top_of_what_was_recorded() -> None:
    """As on top of any allowance."""
    bench = Bench(Script(heap(1000), end=heap(1600), filled_up_bytes=200))
    found = held_to(bench, Recorded(400, 50, "m.json"))
    assert (found.outcome, found.allowance.allowed_bytes) == ("returned", 650)
    assert found.allowance.recorded_bytes == 400


@pytest.mark.parametrize(
    ("recorded", "mode", "hidden"),
    [
        pytest.param(None, "fail", 0, id="no part of it where it does not matter"),
        pytest.param(None, "record", 50, id="all of it where it is recorded"),
        pytest.param(Recorded(550, 50, "m.json"), "fail", 50, id="and compared"),
    ],
)
def test_what_is_recorded_depends_on_no_allowance(
    recorded: Recorded | None, mode: Mode, hidden: int
) -> None:
    """Hidden growth counts in both runs, or neither: otherwise an unchanged test would fail."""
    before, after = pools(2000, 100), pools(2500, 150)
    assert close_ledger(before, after).hidden_bytes == 50
    found = held_to(Bench(Script(before, end=after)), recorded, mode)
    assert (found.retained_bytes, found.hidden_bytes) == (500 + hidden, hidden)


def test_what_huge_pages_filled_up_is_counted_before_a_trim_gives_it_back() -> None:
    """Afterwards the zeros are gone, and it would be held by malloc."""
    bench = Bench(Script(heap(1000), end=heap(1300), trim=heap(1100), filled_up_bytes=150))
    found = measured(bench)
    assert found.outcome == "retained"
    assert bench.calls.count("filled_up") == 1
    assert "trim" in bench.calls[bench.calls.index("filled_up") :]


def test_what_is_live_was_filled_by_somebody() -> None:
    """Nobody looks for holes then."""
    bench = Bench(Script(anonymous(1000), end=anonymous(1200), filled_up_bytes=200))
    assert measured(bench).outcome == "retained"
    assert "filled_up" not in bench.calls


def test_who_names_a_number_gets_that_number() -> None:
    """An allowance that was asked for knows no reserve."""
    script = Script(
        replace(anonymous(1000), allocators=(POOL,)),
        end=replace(anonymous(1101), allocators=(replace(POOL, held_bytes=1101),)),
    )
    found = measured(Bench(script))
    assert found.outcome == "retained"
    assert found.allowance.reserve_bytes == 0


def anonymous(counted_bytes: int) -> Snapshot:
    """A process with anonymous mappings alone."""
    return Snapshot(
        counted_bytes,
        counted_bytes,
        kinds={"anonymous": KindUsage(counted_bytes, counted_bytes)},
    )


def test_an_abandoned_window_reads_nothing() -> None:
    """It only stops to watch the peak."""
    bench = Bench(Script(1000))
    recorder = Recorder(bench.instruments(), settings())
    recorder.open()
    recorder.abandon()
    assert bench.calls == [*OPENING, "close_peak"]


def test_windows_may_lie_inside_each_other() -> None:
    """Each is judged by its own readings."""
    bench = Bench(Script(1000, end=1500, collect=1050), Script(7000, end=9000))
    outer = Recorder(bench.by_script, settings())
    outer.open()
    inner = Recorder(bench.by_script, settings())
    inner.open()
    found = inner.close()
    assert (found.outcome, found.retained_bytes) == ("retained", 2000)
    found = outer.close()
    assert (found.outcome, found.retained_bytes) == ("returned", 50)
    assert found.readings == {"baseline": 1000, "end": 1500, "collect": 1050}


def test_windows_follow_each_other_with_a_script_each() -> None:
    """The last script is played for ever after."""
    bench = Bench(Script(1000, end=9000), Script(1000, end=1010))
    recorders = [Recorder(bench.by_script, settings()) for _ in range(3)]
    found = []
    for recorder in recorders:
        recorder.open()
        found.append(recorder.close().retained_bytes)
    assert found == [8000, 10, 10]


@pytest.mark.parametrize(
    ("script", "peak_growth_bytes", "returned_ratio"),
    [
        pytest.param(Script(1000, peak_rss_bytes=1000), 0, None, id="nothing grew"),
        pytest.param(Script(1000, peak_rss_bytes=900), 0, None, id="the peak lay before"),
        pytest.param(Script(1000, end=1050, peak_rss_bytes=1200), 200, 0.75, id="a quarter stayed"),
        pytest.param(Script(1000, end=1050, peak_rss_bytes=1050), 50, 0.0, id="all stayed"),
        pytest.param(Script(1000, end=1050, peak_rss_bytes=1020), 50, 0.0, id="the end is higher"),
        pytest.param(Script(1000, end=700, peak_rss_bytes=1200), 200, 1.0, id="shrank"),
    ],
)
def test_the_share_of_the_peak_growth_that_came_back(
    script: Script, peak_growth_bytes: int, returned_ratio: float | None
) -> None:
    """From 0 to 1, and nothing where nothing grew."""
    found = measured(Bench(script))
    assert found.peak_growth_bytes == peak_growth_bytes
    assert found.returned_ratio == returned_ratio


def test_the_peak_sets_what_a_share_allows() -> None:
    """A share of the peak growth of this very window may stay."""
    mib = 1024 * 1024
    script = Script(10 * mib, end=15 * mib, peak_rss_bytes=110 * mib)
    found = measured(Bench(script), max_retained=None, min_returned="95%")
    assert found.outcome == "returned"
    assert found.allowance.allowed_bytes == 5 * mib
    found = measured(Bench(script), max_retained=None, min_returned="96%")
    assert found.outcome == "retained"


def layout(heap: int, live: int, arenas: int = 0, tops: int = 0) -> Snapshot:
    """A process in which malloc alone has memory; what is live lies in its main heap."""
    malloc = AllocatorStatistics(
        "malloc", live, live_by_kind={"heap": live, "arena": 0}, thread_top_bytes=tops, arenas=2
    )
    return Snapshot(
        heap + arenas,
        heap + arenas,
        lazy_free_bytes=(heap + arenas) // 100,
        file_bytes=None,
        huge_page_bytes=7,
        kinds={"heap": KindUsage(10**6, heap), "arena": KindUsage(10**6, arenas)},
        allocators=(malloc,),
    )


RETAINING = Script(
    layout(1000, 800),
    end=layout(7000, 2800, arenas=2000, tops=1900),
    trim=layout(5000, 2800, arenas=500, tops=500),
    survivors=Survivors((SurvivorType("list", 3, 1500),), in_malloc_bytes=1500),
    held_by_pytest=(Holding("log records", 2, 300),),
    unwritten_huge_page_bytes=5,
    peak_rss_bytes=17_000,
    peak_quality="process",
)


def test_the_causes_come_from_both_readings_and_the_census() -> None:
    """Free memory is held as far as the trim returned it, or as it is a thread arena's top."""
    found = measured(Bench(RETAINING))
    assert found.ledger is not None
    assert found.ledger.accounts["malloc-live"] == 2000
    assert found.ledger.accounts["malloc-free"] == 6000
    assert found.causes is not None
    assert found.causes.bytes_by_cause == {
        "held-by-malloc": 4000,
        "pinned-malloc": 2000,
        "live-python": 1500,
        "live-native": 500,
    }
    assert found.explanation is not None
    assert found.explanation.survivors == (SurvivorType("list", 3, 1500),)


LAYOUT = (
    MappingChange("heap", 1000, 7000, None, None),
    MappingChange("arena", 0, 2000, None, None),
)


def test_a_measurement_is_reported_as_plain_data() -> None:
    """The record of a window that retained holds all that was found."""
    found = measured(Bench(RETAINING)).to_record(
        "t.py::test_x", window="block", label="block 1", location="t.py:3"
    )
    assert found == Record(
        nodeid="t.py::test_x",
        verdict="retained",
        gate="collect",
        window="block",
        label="block 1",
        location="t.py:3",
        cause="held-by-malloc",
        causes={"held-by-malloc": 4000},
        retained_bytes=8000,
        allowed_bytes=100,
        allowed_origin="test",
        peak_growth_bytes=16_000,
        peak_quality="process",
        returned_ratio=0.5,
        readings={"baseline": 1000, "end": 9000, "collect": 9000, "trim": 5500},
        ledger={
            "malloc-free": 6000,
            "malloc-live": 2000,
            "mapped": 0,
            "stacks": 0,
            "shared-memory": 0,
            "swapped": 0,
            "unexplained": 0,
        },
        shown={"lazy-free": 80, "file": None, "huge-pages": 0},
        explanation=Explanation(
            parts={
                "malloc-live": {"main-heap": 2000, "thread-arenas": 0},
                "malloc-free": {
                    "main-heap-trimmable": 2000,
                    "main-heap-pinned": 2000,
                    "thread-arenas-trimmable": 1500,
                    "thread-arenas-pinned": 0,
                    "thread-arenas-tops": 500,
                },
            },
            released={"malloc": 3500},
            survivors=(SurvivorType("list", 3, 1500),),
            held_by_pytest=(Holding("log records", 2, 300),),
            unwritten_huge_page_bytes=5,
            allocators=(AllocatorGrowth("malloc", 2000, None, 0),),
            layout=LAYOUT,
        ),
    )


def test_a_window_that_returned_is_reported_without_what_was_not_read() -> None:
    """Rungs that were not needed are there, as not read."""
    found = measured(Bench(Script(1000, end=1050))).to_record(
        "t", window="call", label=None, location=None
    )
    assert found == Record(
        nodeid="t",
        verdict="returned",
        gate="collect",
        retained_bytes=50,
        allowed_bytes=100,
        allowed_origin="test",
        peak_growth_bytes=50,
        peak_quality="exact",
        returned_ratio=0.0,
        readings={"baseline": 1000, "end": 1050, "collect": None, "trim": None},
    )


def test_by_default_nobody_looks_for_survivors() -> None:
    """A census is somebody else's to bring."""
    played = ScriptedProbe([RETAINING])
    released = played.instruments().releaser
    recorder = Recorder(Instruments(played, releaser=released), settings())
    recorder.open()
    found = recorder.close()
    assert found.explanation == Explanation(released={"malloc": 3500}, layout=LAYOUT)
    assert found.causes is not None
    assert found.causes.bytes_by_cause == {"unexplained": 8000}


def test_the_overhead_is_the_time_outside_the_window() -> None:
    """Opening and closing count, and what runs between them does not."""
    ticks = itertools.count()
    instruments = replace(
        ScriptedProbe([Script(1000)]).instruments(), clock=lambda: float(next(ticks))
    )
    recorder = Recorder(instruments, settings())
    recorder.open()
    for _ in range(100):
        instruments.clock()
    assert recorder.close().overhead_seconds == 2.0


def test_the_reserve_is_seen_without_a_collection() -> None:
    """What an allocator says of itself lets a window pass at its end already."""
    default = DEFAULT_MAX_RETAINED_BYTES
    probe = ScriptedProbe([Script(1000, end=1000 + default + 150)])
    # Before and after both collections on level ground, at the baseline, and at the end.
    held = itertools.chain([1000] * 4, itertools.repeat(1150))

    class Pool(Allocator):
        name = "pool"

        def statistics(self) -> AllocatorStatistics:
            return replace(POOL, held_bytes=next(held))

    instruments = replace(probe.instruments(), allocators=(Pool(),))
    recorder = Recorder(instruments, resolve([]))
    recorder.open()
    found = recorder.close()
    assert found.outcome == "returned"
    assert list(found.readings) == ["baseline", "end"]
    assert (found.allowance.allowed_bytes, found.allowance.reserve_bytes) == (default + 150, 150)


# -- memory beyond the process --


def child(size: int, pid: int = 7) -> ChildProcess:
    """A child that holds so many bytes."""
    return ChildProcess(pid, "python", "python -m server", size)


def beside(reading: Snapshot, outside: Outside) -> Snapshot:
    """The same process with something beside it, which counts."""
    return replace(
        reading,
        footprint_bytes=reading.footprint_bytes + outside.footprint_bytes,
        outside=outside,
    )


SEGMENT = Segment("shm", "psm_1", 500, 400, "root")
LEFT_OUTSIDE = Outside((child(3000),), (SEGMENT,), {"device": 50}, {"seen": 9})


def test_what_is_outside_counts() -> None:
    """A process that kept nothing itself retained what its children and segments hold."""
    bench = Bench(Script(anonymous(1000), end=beside(anonymous(1000), LEFT_OUTSIDE)))
    found = measured(bench)
    assert (found.outcome, found.retained_bytes, found.peak_growth_bytes) == (
        "retained",
        3450,
        3450,
    )
    assert found.readings == {"baseline": 1000, "end": 4450, "collect": 4450, "trim": 4450}
    assert found.causes is not None
    assert found.causes.bytes_by_cause == {
        "child-process": 3000,
        "shared-memory": 400,
        "device": 50,
    }
    assert found.explanation is not None
    assert found.explanation.children == (child(3000),)
    assert found.explanation.segments == (SEGMENT,)
    record = found.to_record("t", window="call", label=None, location=None)
    assert record.shown == {"lazy-free": None, "file": None, "huge-pages": None, "seen": 9}


def test_what_is_outside_is_looked_at_again_on_every_rung() -> None:
    """A child may end meanwhile; where there was nothing at the end, nobody looks again."""
    script = Script(
        anonymous(1000),
        end=beside(anonymous(1000), LEFT_OUTSIDE),
        collect=beside(anonymous(1000), Outside((child(60),))),
    )
    bench = Bench(script)
    found = measured(bench)
    assert found.outcome == "returned"
    assert found.readings == {"baseline": 1000, "end": 4450, "collect": 1060}
    assert bench.calls == [
        *OPENING,
        *CHEAP,
        *["since", "exact"],
        "collect",
        *["since", "exact"],
    ]


def test_a_window_is_not_charged_for_what_came_after_it() -> None:
    """Neither for a new child, nor for what an older one took since."""
    later = Outside((child(3500), child(999, pid=8)))
    script = Script(
        anonymous(1000),
        end=beside(anonymous(1000), Outside((child(3000),))),
        collect=beside(anonymous(1000), later),
    )
    found = measured(Bench(script))
    assert found.retained_bytes == 3000
    assert found.explanation is not None
    assert found.explanation.children == (child(3000),)


def test_the_peak_of_what_is_outside_is_asked_with_the_own_one() -> None:
    """How far this process rose tells a probe what pages a child may share with it."""
    asked: list[int] = []

    class Asked(Bench):
        def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
            asked.append(peak_growth_bytes)
            return super().since(state, peak_growth_bytes=peak_growth_bytes)

    measured(Asked(Script(1000, end=1200, collect=1000, peak_rss_bytes=1900)))
    assert asked == [900]


@pytest.mark.parametrize(
    ("before", "shown"), [(None, 500), (0, 500), (200, 300)], ids=["came", "empty", "grew"]
)
def test_memory_elsewhere_is_shown_and_does_not_count(before: int | None, shown: int) -> None:
    """A pool on a GPU is none of this process's memory."""
    device = AllocatorStatistics("device", 10, 500, is_elsewhere=True)
    first = () if before is None else (replace(device, held_bytes=before),)
    script = Script(
        replace(anonymous(1000), allocators=first),
        end=replace(anonymous(1200), allocators=(device,)),
    )
    record = measured(Bench(script)).to_record("t", window="call", label=None, location=None)
    assert record.retained_bytes == 200
    assert record.ledger is not None
    assert "device-live" not in record.ledger
    assert record.shown == {"lazy-free": None, "file": None, "huge-pages": None, "device": shown}


def test_elsewhere_an_allocator_may_not_say_what_it_holds() -> None:
    """Then nothing of it is shown."""
    device = AllocatorStatistics("device", 10, is_elsewhere=True)
    with_device = replace(anonymous(1200), allocators=(device,))
    found = measured(Bench(Script(anonymous(1000), end=with_device)))
    record = found.to_record("t", window="call", label=None, location=None)
    assert record.shown is not None
    assert record.shown["device"] == 0


# -- growth that hides in memory that was resident --


def pools(footprint: int, live: int, other_live: int = 0) -> Snapshot:
    """A process with two pools of 1000 bytes each, and room in them."""
    return replace(
        anonymous(footprint),
        allocators=(
            AllocatorStatistics("pool", live, 1000),
            AllocatorStatistics("other", other_live, 1000),
        ),
    )


ASK_BOTH: list[Call] = ["statistics", "statistics"]
OPENING_WITH_POOLS = opening(*ASK_BOTH, "counters")


def test_live_memory_in_old_room_is_retained() -> None:
    """The footprint stays what it was, and nothing was returned."""
    bench = Bench(
        Script(
            pools(2000, 100),
            end=pools(2000, 700),
            survivors=Survivors((SurvivorType("list", 1, 50),), in_malloc_bytes=50),
        )
    )
    bench.new = Survivors((SurvivorType("bytes", 2, 450),), in_malloc_bytes=450)
    # At least 500 of the growth is theirs: only 100 of what is live in all is not.
    bench.all_python_bytes = 600
    found = measured(bench)
    assert (found.outcome, found.retained_bytes, found.hidden_bytes) == ("retained", 600, 600)
    assert found.readings == {"baseline": 2000, "end": 2000, "collect": 2000, "trim": 2000}
    assert found.ledger is not None
    assert found.ledger.growth_bytes == 0
    assert found.ledger.accounts["pool-live"] == 600
    assert bench.calls == [
        *OPENING_WITH_POOLS,
        *[*CHEAP, *ASK_BOTH],
        *["exact", *ASK_BOTH],
        # Before a collection, after which nobody knows any more which objects are new.
        "newborn",
        *["collect", "exact", *ASK_BOTH] * 2,
        # The footprint is as low as it shall be: nothing to wait for.
        *ASK_BOTH,
        *["capture", *ASK_BOTH, "huge_pages"],
        *[*ASK, "capture", *ASK_BOTH],
        *[*LOOK_CLOSER[:2], "python_in_malloc", *LOOK_CLOSER[2:]],
    ]
    assert bench.newborn_among == ("pool", "other")
    assert found.explanation is not None
    assert found.explanation.survivors == (SurvivorType("bytes", 2, 450),)
    assert found.causes is not None
    assert found.causes.bytes_by_cause == {"live-python": 500, "live-native": 100}


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize(
    ("footprint", "retained_bytes"),
    [
        pytest.param(2050, 650, id="a part shows"),
        pytest.param(1200, 600, id="memory given back elsewhere hides no growth"),
    ],
)
def test_what_hides_adds_to_what_shows(footprint: int, retained_bytes: int, *, trim: bool) -> None:
    """And never less than what hides is retained."""
    found = measured(Bench(Script(pools(2000, 100), end=pools(footprint, 700))), trim=trim)
    assert (found.outcome, found.retained_bytes) == ("retained", retained_bytes)
    assert found.hidden_bytes == 600


def test_who_is_named_by_address_is_not_replaced_by_fewer_newborn() -> None:
    """The larger of two lists of survivors is told."""
    script = Script(
        pools(2000, 100),
        end=pools(2000, 700),
        survivors=Survivors((SurvivorType("list", 1, 550),), in_malloc_bytes=550),
    )
    bench = Bench(script)
    bench.new = Survivors((SurvivorType("bytes", 2, 450),), in_malloc_bytes=450)
    found = measured(bench)
    assert found.explanation is not None
    assert found.explanation.survivors == (SurvivorType("list", 1, 550),)


def test_what_all_objects_hold_is_asked_in_vain() -> None:
    """What was named is what is known then."""
    bench = Bench(
        Script(
            pools(2000, 100),
            end=pools(2000, 700),
            survivors=Survivors((SurvivorType("list", 1, 50),), in_malloc_bytes=50),
        )
    )
    bench.fails_at = frozenset({"python_in_malloc"})
    found = measured(bench)
    assert found.causes is not None
    assert found.causes.bytes_by_cause == {"live-native": 550, "live-python": 50}


@pytest.mark.parametrize(
    ("before", "end"),
    [
        pytest.param(pools(2000, 950, 950), pools(2000, 1000, 1000), id="full before"),
        pytest.param(pools(2000, 950, 950), pools(1500, 1000, 1000), id="full, and it shrank"),
    ],
)
def test_where_there_was_no_room_nobody_is_asked(before: Snapshot, end: Snapshot) -> None:
    """No more than may stay could hide there, so that a passing test costs what it did."""
    bench = Bench(Script(before, end=end))
    found = measured(bench)
    assert (found.outcome, found.hidden_bytes) == ("returned", 0)
    assert bench.calls == [*OPENING_WITH_POOLS, *CHEAP]


def test_room_that_nothing_was_put_into_is_asked_for_once() -> None:
    """The cheap figure of each allocator is enough to see it."""
    bench = Bench(Script(pools(2000, 100), end=pools(2000, 150, 50)))
    found = measured(bench)
    assert (found.outcome, found.retained_bytes) == ("returned", 0)
    assert bench.calls == [*OPENING_WITH_POOLS, *CHEAP, *ASK_BOTH]


@pytest.mark.parametrize("trim", [False, True])
def test_garbage_in_old_room_goes_with_the_collection(*, trim: bool) -> None:
    """Then nothing is hidden any more, and the books stay open."""
    script = Script(pools(2000, 100), end=pools(2000, 700), collect=pools(2000, 150))
    bench = Bench(script)
    found = measured(bench, trim=trim)
    assert found.outcome == "returned"
    assert found.ledger is None
    assert bench.calls[-5:] == ["newborn", "collect", "exact", *ASK_BOTH]


@pytest.mark.parametrize("end", [pools(2000, 100), pools(2000, 700)])
def test_without_the_newborn_a_window_is_judged_nevertheless(end: Snapshot) -> None:
    """Some object may raise when it is asked for anything; the verdict needs none of them."""
    bench = Bench(Script(pools(2000, 100), end=end))
    expected = measured(bench).outcome
    bench = Bench(Script(pools(2000, 100), end=end))
    bench.fails_at = frozenset({"newborn"})
    found = measured(bench)
    assert found.outcome == expected
    assert ("newborn" in bench.calls) == (expected == "retained")


def test_what_a_trim_took_out_of_old_room_is_not_retained() -> None:
    """An allocator may hand out less once it was asked: caches of its own are live to it."""
    script = Script(pools(2000, 100), end=pools(2000, 700), trim=pools(2000, 150))
    bench = Bench(script)
    found = measured(bench, trim=True)
    assert found.outcome == "returned"
    assert found.ledger is None
    assert bench.calls[-3:] == ["exact", *ASK_BOTH]


def test_what_moved_from_one_allocator_to_another_is_no_growth() -> None:
    """Only the books show it, and then the window passes."""
    found = measured(Bench(Script(pools(2000, 100, 700), end=pools(2000, 700, 100))))
    assert (found.outcome, found.retained_bytes, found.hidden_bytes) == ("returned", 0, 0)
    assert found.ledger is not None
    assert found.causes is None


def test_the_little_that_hides_beside_visible_growth_is_left_out() -> None:
    """It decides nothing, and the ledger sums to what was retained."""
    before, after = pools(2000, 100), pools(2500, 150)
    found = measured(Bench(Script(before, end=after)))
    assert (found.outcome, found.retained_bytes, found.hidden_bytes) == ("retained", 500, 0)
    assert close_ledger(before, after).hidden_bytes == 50


@pytest.mark.parametrize("keyword", ["is_silent", "is_elsewhere"])
def test_an_allocator_that_can_hide_nothing_is_not_asked(keyword: str) -> None:
    """Its room means nothing, or is none of this process."""
    one = AllocatorStatistics("pool", 100, 10**6, **{keyword: True})  # type: ignore[arg-type]
    bench = Bench(Script(replace(anonymous(1000), allocators=(one,))))
    assert measured(bench).outcome == "returned"
    assert "live_bytes" not in bench.calls


# -- what is on its way back --


class Settling:
    """Stands in for the waiting, and says how it was called."""

    def __init__(self, after_waiting: Settled | None = None) -> None:
        self.keywords: list[dict[str, object]] = []
        self.fits: list[bool] = []
        self._after = after_waiting

    def __call__(
        self,
        read: Callable[[], int],
        sample: Callable[[], Motion],
        fits: Callable[[int], bool],
        **keywords: object,
    ) -> Settled:
        """Read once, and take it as it is or as was said."""
        footprint = read()
        sample()
        self.fits.append(fits(footprint))
        self.keywords.append(keywords)
        return self._after or Settled(footprint)


@pytest.mark.parametrize(
    ("script", "trim"),
    [
        pytest.param(Script(1000, end=1050), False, id="clearly fine"),
        pytest.param(Script(1000, end=9000, collect=1100), False, id="fine after a collection"),
        pytest.param(Script(1000, end=9000, trim=1100), True, id="fine after a trim"),
        pytest.param(Script(pools(2000, 100), end=pools(2000, 700)), False, id="nothing shows"),
    ],
)
def test_nobody_waits_for_a_footprint_that_fits(
    script: Script, monkeypatch: pytest.MonkeyPatch, *, trim: bool
) -> None:
    """At the gate, or before it."""
    settling = Settling()
    monkeypatch.setattr(_recorder, "settle", settling)
    measured(Bench(script), trim=trim)
    assert settling.keywords == []


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize(
    "outside", [NOTHING_OUTSIDE, Outside((child(10),)), Outside((), (SEGMENT,))]
)
def test_a_footprint_over_the_gate_is_waited_for(
    outside: Outside, monkeypatch: pytest.MonkeyPatch, *, trim: bool
) -> None:
    """For as long as the settings say; with children alive it may fall without a thread."""
    settling = Settling()
    monkeypatch.setattr(_recorder, "settle", settling)
    bench = Bench(Script(anonymous(1000), end=beside(anonymous(9000), outside)))
    instruments = bench.instruments()
    recorder = Recorder(instruments, settings(trim=trim, settle=1.5))
    recorder.open()
    assert recorder.close().outcome == "retained"
    assert settling.fits == [False]
    assert settling.keywords == [
        {
            "at_most_seconds": 1.5,
            "others_alive": bool(outside.children),
            "clock": instruments.clock,
            "sleep": instruments.sleep,
        }
    ]


def test_what_arrives_while_waiting_was_returned() -> None:
    """And the record says for how long it went on falling."""
    bench = Bench(Script(1000, end=9000), motion=Motion(threads=2))
    instruments = bench.instruments()

    def sleep(seconds: float) -> None:
        bench.sleeps.append(seconds)
        bench.exact_reads_higher_by = -7950

    recorder = Recorder(replace(instruments, sleep=sleep), settings())
    recorder.open()
    found = recorder.close()
    assert (found.outcome, found.retained_bytes) == ("returned", 50)
    assert found.readings == {"baseline": 1000, "end": 9000, "collect": 1050}
    assert found.ledger is None
    assert found.settled_seconds == sum(bench.sleeps) > 0
    record = found.to_record("t", window="call", label=None, location=None)
    assert record.settled_seconds == found.settled_seconds


def test_garbage_that_came_while_waiting_is_collected() -> None:
    """A thread that ends may leave a cycle behind, which nobody would find otherwise."""
    bench = Bench(Script(1000, end=9000), motion=Motion(threads=2))
    instruments = bench.instruments()

    def collect() -> None:
        instruments.releaser.collect()
        if bench.sleeps:
            bench.exact_reads_higher_by = -7950

    releaser = replace(instruments.releaser, collect=collect)
    recorder = Recorder(replace(instruments, releaser=releaser), settings())
    recorder.open()
    found = recorder.close()
    assert (found.outcome, found.retained_bytes) == ("returned", 50)


def test_what_came_free_while_waiting_is_asked_for_again() -> None:
    """At the gate `trim` a thread's last blocks are malloc's, until a trim."""
    bench = Bench(Script(1000, end=9000), motion=Motion(threads=2))
    instruments = bench.instruments()

    def trim() -> None:
        if bench.sleeps:
            bench.exact_reads_higher_by = -7950

    releaser = replace(instruments.releaser, trims={"malloc": trim})
    recorder = Recorder(replace(instruments, releaser=releaser), settings(trim=True))
    recorder.open()
    found = recorder.close()
    assert (found.outcome, found.retained_bytes) == ("returned", 50)


def test_a_single_thread_is_not_waited_for() -> None:
    """Nothing else can give memory back."""
    bench = Bench(Script(1000, end=9000))
    assert measured(bench).settled_seconds == 0
    assert bench.sleeps == []


# -- what every allocator gave back --


@pytest.mark.parametrize("trim", [False, True])
def test_what_was_released_is_told_by_allocator(*, trim: bool) -> None:
    """Measured one after the other, before the gate or behind it."""
    bench = Bench(RETAINING)
    instruments = bench.instruments()

    def release_pool() -> None:
        bench.exact_reads_higher_by = -1000

    def release_malloc() -> None:
        bench.by_script.releaser.trim()
        bench.exact_reads_higher_by = 0

    recorder = Recorder(
        replace(
            instruments,
            releaser=replace(
                instruments.releaser, trims={"pool": release_pool, "malloc": release_malloc}
            ),
        ),
        settings(trim=trim),
    )
    recorder.open()
    bench.exact_reads_higher_by = 0
    found = recorder.close()
    assert found.explanation is not None
    assert found.explanation.released == {"pool": 1000, "malloc": 2500}


def test_what_an_untold_allocator_gave_back_was_held_by_it() -> None:
    """It says nothing of its room, but the footprint fell when it was asked."""
    malloc = AllocatorStatistics("malloc", 10)
    script = Script(
        replace(anonymous(1000), allocators=(malloc,)),
        end=replace(anonymous(9000), allocators=(replace(malloc, live_bytes=510),)),
        trim=replace(anonymous(3000), allocators=(replace(malloc, live_bytes=510),)),
    )
    found = measured(Bench(script))
    assert found.causes is not None
    assert found.causes.bytes_by_cause == {
        "held-by-malloc": 6000,
        "mapped": 1500,
        "unexplained": 500,
    }


# -- spans that do not count --


@dataclass
class Now:
    """A process that reads as it is set to, in the place of all instruments."""

    reading: Snapshot
    name: str = "now"
    seen: list[Snapshot] = field(default_factory=list)
    ticks: int = 0

    def instruments(self) -> Instruments:
        """What a recorder measures with in this process."""
        return Instruments(
            memory=self,
            allocators=tuple(PlayedAllocator(one.name, self) for one in self.reading.allocators),
            releaser=Releaser(collect=lambda: None),
            examiner=Looks(self),
            clock=self.clock,
        )

    def clock(self) -> float:
        """Passes by a second each time it is asked."""
        self.ticks += 1
        return float(self.ticks)

    def counters(self) -> Counters:
        """The reading now."""
        return Counters(self.reading.footprint_bytes, self.reading.rss_bytes)

    exact = counters

    def activity(self) -> Activity | None:
        """Unknown, so that each window has a layout of its own."""
        return None

    def capture(self, *, baseline: bool = False) -> Capture:
        """The reading now."""
        del baseline
        return ScriptedProbe([Script(replace(self.reading, allocators=()))]).capture()

    def open_peak(self) -> int:
        """No peak is watched."""
        return 0

    def close_peak(self, token: int) -> Peak:
        """The reading now is the highest."""
        del token
        return Peak(self.reading.rss_bytes, "exact")


class PlayedAllocator(Allocator):
    """Says what the reading says of it."""

    def __init__(self, name: str, process: Now) -> None:
        self.name = name
        self._process = process

    def statistics(self) -> AllocatorStatistics | None:
        """The statistics now."""
        return self._process.reading.allocator(self.name)


class Looks(Examiner):
    """Notes between which readings it was to look."""

    def __init__(self, process: Now) -> None:
        self._process = process

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        """Nobody is found."""
        self._process.seen += [before, after]
        return Survivors(in_malloc_bytes=0)


def with_ranges(*ends: int) -> Snapshot:
    """Anonymous mappings from every multiple of 100,000 up to so many bytes after it."""
    ranges = tuple(
        MappedRange(number * 100_000, number * 100_000 + size, "anonymous", size)
        for number, size in enumerate(ends, start=1)
    )
    return replace(anonymous(sum(ends)), ranges=ranges)


def windowed(process: Now, fixture: Snapshot, end: Snapshot) -> Measurement:
    """A window in which a fixture first leads to one reading, and the test then to another."""
    recorder = Recorder(process.instruments(), settings())
    recorder.open()
    begun = recorder.begin_exclusion()
    process.reading = fixture
    recorder.end_exclusion(begun, "database", "session")
    process.reading = end
    return recorder.close()


def test_what_a_fixture_keeps_by_right_does_not_count() -> None:
    """It is told beside the rest."""
    found = windowed(Now(with_ranges(1000)), with_ranges(1000, 3000), with_ranges(1050, 3000))
    assert (found.outcome, found.retained_bytes) == ("returned", 50)
    assert found.excluded == (Exclusion("database", "session", 3000),)
    assert found.readings == {"baseline": 1000, "end": 4050}
    record = found.to_record("t", window="call", label=None, location=None)
    assert record.excluded == found.excluded


def test_what_the_test_kept_beside_a_fixture_counts() -> None:
    """The ledger leaves the fixture's part out, and no survivor of the fixture is blamed."""
    process = Now(with_ranges(1000))
    found = windowed(process, with_ranges(1000, 3000), with_ranges(1000, 3000, 700))
    assert (found.outcome, found.retained_bytes) == ("retained", 700)
    assert found.ledger is not None
    assert found.ledger.growth_bytes == 700
    assert found.ledger.accounts["mapped"] == 700
    before, after = process.seen
    assert [(one.start, one.end) for one in before.ranges] == [
        (100_000, 101_000),
        (200_000, 203_000),
    ]
    assert len(after.ranges) == 3
    # Baseline and end as they were read: what is shown is shown whole.
    assert found.before == with_ranges(1000)


class Leaves(Looks):
    """Looks, and leaves more in the process than was there."""

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        """Nobody is found; 5,000 bytes more are mapped."""
        process = self._process
        process.reading = with_ranges(1000, 700, 5000)
        return super().survivors(before, after)


@pytest.mark.parametrize("trim", [False, True])
def test_what_it_takes_to_examine_a_window_is_not_charged_to_those_around(*, trim: bool) -> None:
    """That the one inside retained is, as it should be; at either gate."""
    process = Now(with_ranges(1000))
    instruments = replace(process.instruments(), examiner=Leaves(process))
    outer = Recorder(instruments, settings(trim=trim))
    outer.open()
    inner = Recorder(instruments, settings(trim=trim), around=[outer])
    inner.open()
    process.reading = with_ranges(1000, 700)
    assert inner.close().retained_bytes == 700
    found = outer.close()
    assert (found.outcome, found.retained_bytes, found.examined_bytes) == ("retained", 700, 5000)
    assert found.ledger is not None
    assert found.ledger.to_dict()["mapped"] == 700
    record = found.to_record("t", window="call", label=None, location=None)
    assert record.examined_bytes == 5000


def test_what_is_done_aside_is_not_charged() -> None:
    """Neither what it leaves nor its peak; and what it raises is for whoever asked for it."""
    process = Now(with_ranges(1000))
    recorder = Recorder(process.instruments(), settings())
    recorder.open()

    def act() -> None:
        process.reading = with_ranges(1000, 700, 5000)
        raise ValueError("no more")

    process.reading = with_ranges(1000, 700)
    with pytest.raises(ValueError, match="no more"):
        recorder.aside(act)
    found = recorder.close()
    assert (found.outcome, found.retained_bytes, found.examined_bytes) == ("retained", 700, 5000)


def test_those_around_that_cannot_be_read_are_charged() -> None:
    """The verdict on the window inside stands."""
    process = Now(with_ranges(1000))
    instruments = replace(process.instruments(), examiner=Leaves(process))
    closed = Recorder(instruments, settings())
    inner = Recorder(instruments, settings(), around=[closed])
    inner.open()
    process.reading = with_ranges(1000, 700)
    assert inner.close().outcome == "retained"


def test_a_fixture_may_give_memory_back() -> None:
    """What the test took in its place is the test's."""
    found = windowed(Now(with_ranges(4000)), with_ranges(1000), with_ranges(4000))
    assert (found.outcome, found.retained_bytes) == ("retained", 3000)
    assert found.excluded == (Exclusion("database", "session", -3000),)


def test_what_a_fixture_put_into_old_room_is_not_hidden_by_the_test() -> None:
    """The live growth in it is not taken for the test's, and no books are needed to see that."""
    found = windowed(Now(pools(2000, 100)), pools(2000, 700), pools(2000, 750))
    assert (found.outcome, found.retained_bytes) == ("returned", 0)
    assert found.ledger is None
    found = windowed(Now(pools(2000, 100)), pools(2000, 700), pools(2000, 900))
    assert (found.outcome, found.retained_bytes) == ("retained", 200)


def test_an_allocator_that_came_with_a_fixture_had_nothing_before_it() -> None:
    """Its room was none at the baseline."""
    before = replace(anonymous(2000), allocators=(AllocatorStatistics("pool", 100, 1000),))
    process = Now(pools(2000, 100))
    instruments = process.instruments()
    process.reading = before
    recorder = Recorder(instruments, settings())
    recorder.open()
    begun = recorder.begin_exclusion()
    process.reading = pools(2000, 100)
    recorder.end_exclusion(begun, "database", "session")
    assert recorder.close().outcome == "returned"


def test_spans_are_read_without_a_trim() -> None:
    """What the window freed so far is still to be judged; and the time is the plugin's."""
    bench = Bench(Script(1000))
    ticks = itertools.count()
    instruments = replace(bench.instruments(), clock=lambda: float(next(ticks)))
    recorder = Recorder(instruments, settings())
    recorder.open()
    recorder.end_exclusion(recorder.begin_exclusion(), "database", "session")
    assert bench.calls == [*OPENING, *(["collect", "since", "capture"] * 2)]
    assert recorder.close().overhead_seconds == 4.0


@pytest.mark.parametrize("trim", [False, True])
def test_an_exclusion_is_measured_as_its_gate_would(*, trim: bool) -> None:
    """What a fixture has freed is given back at the gate `trim`, and would hide as much."""
    bench = Bench(Script(1000, end=9000))
    trims: list[str] = []
    releaser = replace(bench.instruments().releaser, trims={"x": lambda: trims.append("x")})
    recorder = Recorder(replace(bench.instruments(), releaser=releaser), settings(trim=trim))
    recorder.open()
    trims.clear()
    recorder.end_exclusion(recorder.begin_exclusion(), "pool", "session")
    assert len(trims) == (2 if trim else 0)
