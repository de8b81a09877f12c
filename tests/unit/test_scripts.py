"""The scripted probe that users may test with."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_memreturn import testing
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._explanation import Holding, Survivors, SurvivorType
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside
from pytest_memreturn._session import INSTRUMENTS
from pytest_memreturn._snapshot import AllocatorStatistics, Counters, Peak, Snapshot
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.testing import Script, ScriptedProbe, play


def test_a_rung_that_is_left_out_reads_as_the_one_before_it() -> None:
    """A footprint alone is a reading whose RSS is the same."""
    trimmed = Snapshot(3, 4)
    assert Script(5, collect=7, trim=trimmed).readings() == {
        "baseline": Snapshot(5, 5),
        "end": Snapshot(5, 5),
        "collect": Snapshot(7, 7),
        "trim": trimmed,
    }


def test_a_window_is_played_rung_by_rung() -> None:
    """The first counters are the baseline's; a release leads up the ladder once it is over."""
    probe = ScriptedProbe([Script(1, end=20, collect=15, trim=12, error_bytes=3)])
    release = probe.instruments().releaser
    release.collect()
    release.trim()
    token = probe.open_peak()
    assert probe.capture(baseline=True).footprint_bytes() == 1
    assert probe.counters() == Counters(1, 1, 3)
    # A program may collect and trim inside its window: that is no rung of the ladder.
    release.collect()
    release.trim()
    assert probe.exact() == Counters(20, 20)
    assert probe.counters() == Counters(20, 20, 3)
    probe.close_peak(token)
    assert probe.exact() == Counters(20, 20)
    release.collect()
    assert probe.exact() == Counters(15, 15)
    release.trim()
    assert probe.capture().snapshot() == Snapshot(12, 12)
    assert probe.capture().lazy_free_bytes() == 0


@pytest.mark.parametrize(
    ("script", "peak"),
    [
        (Script(1, end=20, collect=30), Peak(30, "exact")),
        (Script(1, end=20, peak_rss_bytes=50), Peak(50, "exact")),
        (Script(9, peak_rss_bytes=0), Peak(0, "exact")),
        (Script(Snapshot(1, 70)), Peak(70, "exact")),
        (Script(1, peak_quality="at-least"), Peak(1, "at-least")),
    ],
)
def test_the_peak_of_a_script(script: Script, peak: Peak) -> None:
    """The highest RSS of all readings, unless the script says another."""
    probe = ScriptedProbe([script])
    assert probe.close_peak(probe.open_peak()) == peak


def test_between_windows_the_last_one_is_read() -> None:
    """As far up its ladder as it came; once the next one is about to open, its baseline."""
    probe = ScriptedProbe([Script(1, end=20, trim=5), Script(30)])
    assert probe.exact() == Counters(5, 5)
    token = probe.open_peak()
    probe.counters()
    probe.close_peak(token)
    assert probe.exact() == Counters(20, 20)
    probe.instruments().releaser.trim()
    assert probe.exact() == Counters(5, 5)
    assert probe.activity() is None
    assert (probe.counters(), probe.counters()) == (Counters(30, 30), Counters(30, 30))
    probe.open_peak()
    assert probe.counters() == Counters(30, 30)


def test_every_reading_fails_at_a_rung_that_is_unreadable() -> None:
    """And says at which."""
    probe = ScriptedProbe([Script(1, unreadable="baseline")])
    probe.open_peak()
    for reading in (probe.counters, probe.exact, probe.capture):
        with pytest.raises(ReadingUnavailableError, match="no reading at baseline"):
            reading()


def test_scripts_are_played_in_a_run() -> None:
    """The run's own instruments give way to one set for all its windows."""
    config = SimpleNamespace(stash=pytest.Stash())
    play(cast("pytest.Config", config), [Script(7)])
    make = config.stash[INSTRUMENTS]
    assert make() is make()
    assert make().memory.name == "scripted"
    assert make().clock() == 0.0


def test_what_is_not_the_process_s_own_is_played_by_other_instruments() -> None:
    """The probe leaves allocators and outside to them, as that of a real process does."""
    outside = Outside((ChildProcess(7, "x", "x -c y", 30),))
    pool = AllocatorStatistics("pool", 5, 9)
    script = Script(
        Snapshot(100, 100),
        end=Snapshot(150, 120, allocators=(pool,), outside=outside),
        trim=Snapshot(100, 100, allocators=(replace(pool, live_bytes=2),)),
    )
    probe = ScriptedProbe([script])
    instruments = probe.instruments()
    assert [one.name for one in instruments.allocators] == ["pool"]
    token = probe.open_peak()
    baseline = instruments.begin_outside()
    assert instruments.statistics() == ()
    probe.counters()
    assert probe.exact() == Counters(120, 120)
    assert probe.capture().snapshot() == Snapshot(120, 120)
    assert instruments.statistics() == (pool,)
    found = instruments.outside_since(baseline, peak_growth_bytes=0)
    assert found == outside
    assert instruments.full_reading(found).snapshot() == script.end
    probe.close_peak(token)
    instruments.releaser.trim()
    assert [one.live_bytes for one in instruments.statistics()] == [2]
    assert instruments.outside_since(baseline, peak_growth_bytes=0) == NOTHING_OUTSIDE


def test_an_examination_finds_what_the_script_says() -> None:
    """Of the window that ended last."""
    holdings = (Holding("records", 1, 2),)
    survivors = Survivors((SurvivorType("list", 1, 5),), in_malloc_bytes=5)
    probe = ScriptedProbe(
        [
            Script(
                1,
                survivors=survivors,
                held_by_pytest=holdings,
                tracers=("coverage",),
                unwritten_huge_page_bytes=3,
            ),
            Script(1),
        ]
    )
    examiner, none = probe.instruments().examiner, Snapshot(0, 0)
    for expected in ((survivors, holdings, ("coverage",), 3), (Survivors(), (), (), None)):
        probe.close_peak(probe.open_peak())
        assert (
            examiner.survivors(none, none),
            examiner.held_by_pytest(),
            examiner.tracers(),
            examiner.unwritten_huge_page_bytes(none, none),
        ) == expected
    assert examiner.newborn(()) == Survivors()
    assert examiner.python_in_malloc_bytes(()) is None


def test_a_window_around_another_reads_its_own_script() -> None:
    """Once it is asked for counters again, after the inner one has climbed its ladder."""
    probe = ScriptedProbe([Script(1, end=20), Script(100, end=300, trim=200)])
    release = probe.instruments().releaser
    outer = probe.open_peak()
    probe.counters()
    inner = probe.open_peak()
    probe.counters()
    probe.close_peak(inner)
    release.trim()
    assert probe.exact() == Counters(200, 200)
    assert probe.counters() == Counters(20, 20)
    assert probe.close_peak(outer) == Peak(20, "exact")


def test_time_stands_still_in_scripts() -> None:
    """Nobody waits for a figure that is played."""
    instruments = ScriptedProbe([Script(1)]).instruments()
    instruments.sleep(10**9)
    assert instruments.clock() == 0.0
    assert instruments.motion() == Motion()


def test_what_is_public_is_listed() -> None:
    """Only these names are promised."""
    assert testing.__all__ == [
        "AllocatorStatistics",
        "ChildProcess",
        "Holding",
        "KindUsage",
        "MappedRange",
        "Outside",
        "Script",
        "ScriptedProbe",
        "Segment",
        "Snapshot",
        "SurvivorType",
        "Survivors",
        "play",
    ]
