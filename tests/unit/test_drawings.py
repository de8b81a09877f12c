"""Geometry of the drawings in reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memreturn._explanation import PooledArenas, Region
from pytest_memreturn._record import Record
from pytest_memreturn.report.drawings.curve import curve
from pytest_memreturn.report.drawings.scale import Scale
from pytest_memreturn.report.drawings.stacked_bar import Segment, fill, stacked_bar
from pytest_memreturn.report.drawings.stretches import (
    ArenaColumn,
    Stretch,
    arena_columns,
    heap_strips,
)
from pytest_memreturn.report.drawings.waterfall import Bar, waterfall

RECORD = Record(
    "t.py::test_x",
    "retained",
    "collect",
    retained_bytes=60,
    allowed_bytes=20,
    peak_growth_bytes=100,
    readings={"baseline": 100, "end": 180, "collect": 160, "trim": 90},
)


def test_figures_lie_along_a_scale() -> None:
    """From its beginning to its end, either way round; a scale without length has one place."""
    assert Scale(100, 300).span(150, 250) == (25, 50)
    assert Scale(300, 100).at(250) == 25
    assert Scale(5, 5).span(5, 5) == (0, 0)


def test_a_waterfall_shows_what_grew_and_what_came_back() -> None:
    """Each step: what was there before, what is on top of it, what has gone since the last."""
    found = waterfall(RECORD)
    assert found is not None
    assert [(one.words, one.bytes, one.change_bytes, one.is_gate) for one in found.steps] == [
        ("baseline", 100, None, False),
        ("peak", 200, 100, False),
        ("end", 180, -20, False),
        ("gc", 160, -20, True),
        ("trim", 90, -70, False),
    ]
    assert found.first_bytes == 35
    scale = Scale(35, 200)
    assert (found.baseline, found.limit) == (scale.at(100), scale.at(120))
    before = Bar("before", *scale.span(35, 100))
    assert [one.bars for one in found.steps] == [
        (before,),
        (before, Bar("kept", *scale.span(100, 200))),
        (before, Bar("kept", *scale.span(100, 180)), Bar("back", *scale.span(180, 200))),
        (before, Bar("kept", *scale.span(100, 160)), Bar("back", *scale.span(160, 180))),
        (Bar("before", *scale.span(35, 90)), Bar("back", *scale.span(90, 160))),
    ]


def test_a_waterfall_begins_at_nothing_where_there_is_room() -> None:
    """A baseline that is small beside the growth is shown whole."""
    found = waterfall(replace(RECORD, readings={"baseline": 10, "end": 110}))
    assert found is not None
    assert found.first_bytes == 0


def test_a_waterfall_of_a_window_that_returned() -> None:
    """Rungs that were not needed are no steps: judged is the last that was read."""
    found = waterfall(
        Record(
            "t.py::test_x",
            "returned",
            "trim",
            readings={"baseline": 100, "end": 101, "collect": None, "trim": None},
        )
    )
    assert found is not None
    assert [(one.words, one.is_gate) for one in found.steps] == [
        ("baseline", False),
        ("peak", False),
        ("end", True),
    ]


@pytest.mark.parametrize("readings", [None, {}, {"baseline": None, "end": 5}])
def test_no_waterfall_without_readings(readings: dict[str, int | None] | None) -> None:
    """Nothing is drawn where nothing was read."""
    assert waterfall(replace(RECORD, readings=readings)) is None


def test_a_ledger_lies_on_both_sides_of_nothing() -> None:
    """What grew is to the right, what shrank to the left, in the ledger's order."""
    found = stacked_bar(
        {"malloc-free": 60, "mapped": 20, "stacks": 0, "python-live": -15, "unexplained": -5}
    )
    assert found.zero == 20
    assert found.segments == (
        Segment("malloc-free", 60, "malloc-free", 20, 60),
        Segment("mapped", 20, "mapped", 80, 20),
        Segment("python-live", -15, "python-live", 5, 15),
        Segment("unexplained", -5, "unexplained", 0, 5),
    )


def test_an_empty_ledger_has_no_segments() -> None:
    """A bar of nothing is drawn as nothing."""
    assert stacked_bar({"mapped": 0}).segments == ()
    assert stacked_bar({}).zero == 0


@pytest.mark.parametrize(
    ("account", "painted"),
    [
        ("python-live", "python-live"),
        ("malloc-free", "malloc-free"),
        ("jemalloc-live", "other-live"),
        ("slab-pool-free", "other-free"),
        ("shared-memory", "shared-memory"),
        ("unexplained", "unexplained"),
        ("gpu pool", "other"),
    ],
)
def test_accounts_are_painted_by_owner_and_state(account: str, painted: str) -> None:
    """Those of hooks, which may be called anything, are painted as others."""
    assert fill(account) == painted


def test_a_heap_is_a_strip_from_its_beginning_to_its_end() -> None:
    """Each heap has one; what is next to nothing is part of its neighbour."""
    regions = (
        Region("main heap", "live", 4096, 400, 390),
        Region("main heap", "free", 4496, 599, 0),
        Region("main heap", "returned", 5095, 1, 0),
        Region("thread heap 1", "free", 9000, 10, 0),
    )
    main, thread = heap_strips(regions)
    assert (main.name, main.bytes, main.free_bytes) == ("main heap", 1000, 599)
    assert main.stretches == (
        Stretch("live", 0, 400, 390, 0, 40),
        Stretch("free", 400, 599, 0, 40, 59.9),
        Stretch("returned", 999, 1, 0, 99.9, 0.1),
    )
    assert (thread.name, thread.free_bytes) == ("thread heap 1", 10)
    assert list(heap_strips(())) == []


def test_a_strip_has_no_more_stretches_than_can_be_seen() -> None:
    """The smallest are joined, and no byte is lost."""
    regions = [
        Region("main heap", "live" if number % 2 else "free", number * 100, 100, 0)
        for number in range(200)
    ]
    (strip,) = heap_strips(regions)
    assert len(strip.stretches) <= 32
    assert sum(one.bytes for one in strip.stretches) == strip.bytes == 20_000


def test_arenas_are_columns_as_high_as_they_are_full() -> None:
    """By address, from the left; no arenas, no columns."""
    assert list(arena_columns(PooledArenas(100, (100, 25)))) == [
        ArenaColumn(1, 1, 100, 0, 50, 100),
        ArenaColumn(2, 2, 25, 50, 50, 25),
    ]
    assert list(arena_columns(PooledArenas(100, ()))) == []


def test_many_arenas_share_columns() -> None:
    """Each column says which arenas it stands for."""
    columns = list(arena_columns(PooledArenas(100, (50,) * 1000)))
    assert len(columns) == 48
    assert (columns[0].first, columns[-1].last) == (1, 1000)
    assert {one.height for one in columns} == {50}


def test_a_curve_runs_from_the_first_reading_to_the_last() -> None:
    """The highest is at the top, which is where SVG begins to count."""
    found = curve(((0.0, 100), (0.5, 300), (1.0, 200)))
    assert found is not None
    assert found.points == "0.0,100.0 50.0,0.0 100.0,50.0"
    assert (found.seconds, found.lowest_bytes, found.highest_bytes) == (1.0, 100, 300)
    assert (found.first_bytes, found.last_bytes) == (100, 200)


@pytest.mark.parametrize("timeline", [(), ((0.0, 5),)])
def test_no_curve_of_less_than_two_points(timeline: tuple[tuple[float, int], ...]) -> None:
    """One reading has no course."""
    assert curve(timeline) is None


def test_a_long_curve_keeps_its_extremes() -> None:
    """So many points as can be told apart, and among them every peak."""
    sizes = [1000 + number % 7 for number in range(5000)]
    sizes[2500] = 9000
    sizes[2600] = 5
    found = curve([(number / 100, size) for number, size in enumerate(sizes)])
    assert found is not None
    points = found.points.split()
    assert len(points) <= 302
    heights = [float(one.partition(",")[2]) for one in points]
    assert (min(heights), max(heights)) == (0, 100)
    assert [float(one.partition(",")[0]) for one in points] == sorted(
        float(one.partition(",")[0]) for one in points
    )
