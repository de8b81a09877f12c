"""The scripted probe that users may test with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from pytest_memreturn import testing
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._session import INSTRUMENTS
from pytest_memreturn._snapshot import Counters, Peak, Snapshot
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
    """As far up its ladder as it came; before the first one, what it would end with."""
    probe = ScriptedProbe([Script(1, end=20, trim=5), Script(30)])
    assert probe.exact() == Counters(5, 5)
    token = probe.open_peak()
    probe.counters()
    probe.close_peak(token)
    assert probe.exact() == Counters(20, 20)
    probe.instruments().releaser.trim()
    assert probe.exact() == Counters(5, 5)


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


def test_what_is_public_is_listed() -> None:
    """Only these names are promised."""
    assert testing.__all__ == [
        "AllocatorStatistics",
        "KindUsage",
        "MappedRange",
        "Script",
        "ScriptedProbe",
        "Snapshot",
        "SurvivorType",
        "Survivors",
        "play",
    ]
