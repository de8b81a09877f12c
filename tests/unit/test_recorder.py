"""The order of things: level ground, window, ladder, ledger. All readings are scripted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._instruments import Instruments
from pytest_memreturn._record import Explanation, Record, Rung, Survivors, SurvivorType
from pytest_memreturn._recorder import Measurement, Recorder
from pytest_memreturn._release import Releaser
from pytest_memreturn._settings import (
    DEFAULT_MAX_RETAINED_BYTES,
    Settings,
    Source,
    check,
    resolve,
)
from pytest_memreturn._snapshot import (
    AllocatorStatistics,
    Counters,
    KindUsage,
    Peak,
    Snapshot,
)
from pytest_memreturn.probes._contract import Capture
from pytest_memreturn.testing import Script, ScriptedProbe

Call: TypeAlias = Literal[
    "counters", "exact", "capture", "open_peak", "close_peak", "collect", "trim", "census"
]

OPENING: list[Call] = ["collect", "trim", "open_peak", "capture", "counters"]


class Bench:
    """Instruments that play scripts and write down what was asked of them."""

    name = "bench"

    def __init__(self, *scripts: Script) -> None:
        self.calls: list[Call] = []
        self.played = ScriptedProbe(scripts)
        self.by_script = self.played.instruments()
        self.fails_at: Call | None = None
        self.exact_reads_higher_by = 0

    def instruments(self) -> Instruments:
        """What a recorder measures with on this bench."""
        return Instruments(
            memory=self,
            releaser=Releaser(
                collect=self._writing("collect", self.by_script.releaser.collect),
                trims=(self._writing("trim", self.by_script.releaser.trim),),
            ),
            census=self._census,
            clock=lambda: 0.0,
        )

    def counters(self) -> Counters:
        """The cheap reading."""
        self._write("counters")
        return self.played.counters()

    def exact(self) -> Counters:
        """The exact reading."""
        self._write("exact")
        found = self.played.exact()
        return replace(found, footprint_bytes=found.footprint_bytes + self.exact_reads_higher_by)

    def capture(self, *, baseline: bool = False) -> Capture:
        """The full reading; the first one, and no other, is a window's baseline."""
        assert baseline == ("capture" not in self.calls)
        self._write("capture")
        return self.played.capture(baseline=baseline)

    def open_peak(self) -> int:
        """The peak of a window begins."""
        self._write("open_peak")
        return self.played.open_peak()

    def close_peak(self, token: int) -> Peak:
        """The peak of a window ends."""
        self._write("close_peak")
        return self.played.close_peak(token)

    def _census(self, before: Snapshot, after: Snapshot) -> Survivors:
        self._write("census")
        return self.by_script.census(before, after)

    def _writing(self, call: Call, do: Callable[[], None]) -> Callable[[], None]:
        def wrapped() -> None:
            self._write(call)
            do()

        return wrapped

    def _write(self, call: Call) -> None:
        self.calls.append(call)
        if call == self.fails_at:
            raise ReadingUnavailableError(call)


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


CHEAP: list[Call] = ["counters", "close_peak"]
END: list[Call] = [*CHEAP, "exact"]
COLLECT: list[Call] = [*END, "collect", "exact"]
TRIM: list[Call] = [*COLLECT, "trim", "exact"]


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
            Script(1000, end=1080, error_bytes=10),
            False,
            CHEAP,
            {"baseline": 1000, "end": 1080},
            80,
            id="within the allowance whatever both counters hide",
        ),
        pytest.param(
            Script(1000, end=1081, error_bytes=10),
            False,
            END,
            {"baseline": 1000, "end": 1081},
            81,
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
    assert bench.calls == [*OPENING, *calls]
    assert found.outcome == "returned"
    assert found.readings == readings
    assert found.retained_bytes == retained_bytes
    assert (found.ledger, found.causes, found.before, found.at_gate) == (None, None, None, None)
    assert found.survivors == ()


@pytest.mark.parametrize(
    ("script", "trim", "calls", "readings", "retained_bytes"),
    [
        pytest.param(
            Script(1000, end=9000, collect=1101, trim=1000),
            False,
            [*COLLECT, "capture", "trim", "capture", "census", "trim"],
            {"baseline": 1000, "end": 9000, "collect": 1101, "trim": 1000},
            101,
            id="a trim would have returned it",
        ),
        pytest.param(
            Script(1000, end=9000, collect=8000, trim=1101),
            True,
            [*TRIM, "capture", "census", "trim"],
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
    [(False, [*COLLECT, "capture"], 20), (True, [*TRIM, "capture"], 10)],
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
    assert found.survivors == ()


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
    assert "census" not in bench.calls


@pytest.mark.parametrize("fails_at", ["capture", "counters"])
def test_a_baseline_that_cannot_be_read_ends_the_window(fails_at: Call) -> None:
    """The error is passed on, and nobody watches the peak any more."""
    bench = Bench(Script(1000))
    bench.fails_at = fails_at
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
    assert bench.calls[-2:] == CHEAP


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
    bench.fails_at = "census"
    found = measured(bench)
    assert found.outcome == "retained"
    assert found.survivors == ()
    # Nobody knows then whose the live blocks are.
    assert found.causes is not None
    assert found.causes.bytes_by_cause["unexplained"] == 2000


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
        pytest.param(Script(1000, end=1050, peak_rss_bytes=1020), 20, 0.0, id="more than the peak"),
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


def layout(malloc_resident: int, malloc_live: int, tops: int = 0) -> Snapshot:
    """A process in which malloc alone has memory."""
    return Snapshot(
        malloc_resident,
        malloc_resident,
        lazy_free_bytes=malloc_resident // 100,
        file_bytes=None,
        huge_page_bytes=7,
        kinds={"heap": KindUsage(10**6, malloc_resident)},
        allocators=(
            AllocatorStatistics(
                "malloc", malloc_live, kinds=("heap", "arena"), thread_top_bytes=tops
            ),
        ),
    )


RETAINING = Script(
    layout(1000, 800),
    end=layout(9000, 2800, tops=5000),
    trim=layout(5500, 2800, tops=500),
    survivors=Survivors((SurvivorType("list", 3, 1500),), in_malloc_bytes=1500),
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
    assert found.survivors == (SurvivorType("list", 3, 1500),)


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
        explanation=Explanation((SurvivorType("list", 3, 1500),)),
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


class Says:
    """An allocator that says one thing."""

    def __init__(self, name: str, live_bytes: int | None) -> None:
        self.name = name
        self._live_bytes = live_bytes

    def statistics(self) -> AllocatorStatistics | None:
        """What it says, if it is in use."""
        if self._live_bytes is None:
            return None
        return AllocatorStatistics(self.name, self._live_bytes, self._live_bytes)


def snapshot_with(allocators: Sequence[Says], played: Snapshot) -> Snapshot:
    """A full reading with these allocators in the process."""
    memory = ScriptedProbe([Script(played)])
    memory.open_peak()
    return Instruments(memory, tuple(allocators)).full_reading().snapshot()


def test_a_full_reading_holds_every_allocator_that_is_in_use() -> None:
    """Those that have nothing to say are left out; those the probe knew itself come first."""
    of_probe = AllocatorStatistics("known", 1, 1)
    found = snapshot_with(
        [Says("one", 5), Says("absent", None), Says("two", 0)],
        Snapshot(10, 10, allocators=(of_probe,)),
    )
    assert [one.name for one in found.allocators] == ["known", "one", "two"]


def test_a_full_reading_without_allocators_is_what_the_probe_read() -> None:
    """Nothing is added to it."""
    assert snapshot_with([Says("absent", None)], Snapshot(10, 11)) == Snapshot(10, 11)


def test_by_default_nobody_looks_for_survivors() -> None:
    """A census is somebody else's to bring."""
    played = ScriptedProbe([RETAINING])
    released = played.instruments().releaser
    recorder = Recorder(Instruments(played, releaser=released), settings())
    recorder.open()
    found = recorder.close()
    assert found.survivors == ()
    assert found.causes is not None
    # Whose the live blocks are, nobody knows then.
    assert found.causes.bytes_by_cause["unexplained"] == 2000


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
    held = iter([1000, 1150])

    class Pool:
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
