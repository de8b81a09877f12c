"""Who keeps memory, and what re-runs told, in lines of the message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memreturn._explanation import (
    Explanation,
    HeapPicture,
    Holding,
    Line,
    Pin,
    PooledArenas,
    Region,
    Remedy,
    SurvivorType,
)
from pytest_memreturn._outside import ChildProcess
from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.message import render_message

MAIN, THREAD, OTHER = "main heap", "thread heap 1", "thread heap 2"
REGIONS = (
    Region(MAIN, "live", 0x1000000, 10 * MIB, 10 * MIB),
    Region(MAIN, "free", 0x1A00000, 49 * MIB, 0),
    Region(MAIN, "live", 0x4B00000, MIB, MIB),
    Region(MAIN, "returned", 0x4C00000, 49 * MIB, 0),
    Region(THREAD, "free", 0x7F0000000000, 30 * MIB, 0),
    Region(OTHER, "free", 0x7F1000000000, 5 * MIB, 0),
)
PICTURE = HeapPicture(proven=True, regions=REGIONS)
ARENAS = PooledArenas(MIB, (MIB // 2, 0, MIB, 10_000))
PIN = Pin("bytes", 12, MIB, MAIN, 0x4B00000, 49 * MIB, "app.CACHE (list) → [3] → bytes 1.0 MiB")


def record(*causes: str, **found: object) -> Record:
    """100 MiB that these share, with this in the explanation."""
    return Record(
        nodeid="tests/test_parse.py::test_parse",
        verdict="retained",
        gate="collect",
        cause=causes[0],
        causes={slug: 100 * MIB // len(causes) for slug in causes},
        retained_bytes=100 * MIB,
        allowed_bytes=2 * MIB,
        allowed_origin="default",
        peak_growth_bytes=103 * MIB,
        readings={"baseline": 45 * MIB, "end": 146 * MIB, "collect": 145 * MIB, "trim": 145 * MIB},
        ledger={"malloc-free": 98 * MIB, "malloc-live": 2 * MIB, "unexplained": 0},
        explanation=Explanation(**found),  # type: ignore[arg-type]
    )


def lines_of(found: Record, *labels: str, verbosity: int = 0) -> list[str]:
    """What stands under these labels at 100 columns, with what is put under no label of its own."""
    kept, label = [], ""
    for line in render_message(found, width=100, verbosity=verbosity)[1:]:
        label = line[2:13].rstrip() or label
        if label in labels:
            kept.append(line.strip())
    return kept


def test_the_heap_with_most_that_is_free_is_drawn() -> None:
    """In MiB and in its place; how much is free in the others is said."""
    strip, *others = lines_of(record("held-by-malloc", heap=PICTURE), "heap")
    assert others == ["and 35.0 MiB free in 2 more heaps (-vv draws them)"]
    words = ("10.0 live|", "49.0 free|", "1.0 live|", "49.0 returned|")
    assert [strip.find(word) for word in words] == sorted(strip.find(word) for word in words)
    assert all(word in strip for word in words)
    assert strip.startswith("heap       |█")


def test_heaps_with_little_that_is_free_are_not_mentioned() -> None:
    """They have no part in it."""
    picture = HeapPicture(
        proven=True, regions=(*REGIONS[:4], Region(THREAD, "free", 1 << 40, 9, 0))
    )
    assert len(lines_of(record("held-by-malloc", heap=picture), "heap")) == 1


def test_every_heap_that_matters_is_drawn_who_wants_it() -> None:
    """With the name of each but the main one; one that is nearly full has no part in it."""
    drawn = lines_of(record("pinned-malloc", heap=PICTURE), "heap", verbosity=2)
    assert [line.partition("|")[0].split() for line in drawn] == [
        ["heap"],
        ["heap", "thread", "heap", "1"],
    ]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (HeapPicture(regions=REGIONS[:4], reason="it changed"), ["inconclusive: it changed"]),
        (HeapPicture(regions=REGIONS[:4], partial=True, reason="3 s"), ["partial: 3 s"]),
        (HeapPicture(proven=True, regions=REGIONS[:4]), []),
    ],
)
def test_a_picture_that_is_not_proven_says_so(picture: HeapPicture, said: list[str]) -> None:
    """Right below it."""
    assert lines_of(record("held-by-malloc", heap=picture), "heap")[1:] == said


def test_a_heap_is_not_drawn_where_it_has_no_part_in_it() -> None:
    """Nor where nobody could look, or next to nothing is free."""
    assert lines_of(record("mapped", heap=PICTURE), "heap", "arenas") == []
    assert lines_of(record("held-by-malloc"), "heap", "arenas") == []
    small = HeapPicture(regions=REGIONS[5:], reason="it changed")
    assert lines_of(record("held-by-malloc", heap=small), "heap") == []
    assert lines_of(record("held-by-malloc", heap=small), "footprint", verbosity=2)


def test_arenas_are_drawn_where_live_objects_keep_them() -> None:
    """By address, each as high as it is full."""
    picture = HeapPicture(proven=True, arenas=ARENAS)
    assert lines_of(record("pinned-python", heap=picture), "arenas") == [
        "arenas     4 × 1.0 MiB, 38% live |▅▁█▁|"
    ]
    assert lines_of(record("held-by-malloc", heap=picture), "arenas") == []
    assert len(lines_of(record("held-by-malloc", heap=picture), "arenas", verbosity=2)) == 1


def test_pins_are_named_with_their_place_and_who_keeps_them() -> None:
    """The worst of them; all of them for who wants it."""
    other = replace(PIN, what="native block", heap="pymalloc", address=0x10, chain=None)
    found = record("pinned-malloc", heap=PICTURE, pins=(PIN, other))
    assert lines_of(found, "pinned by") == [
        (
            "pinned by  12 × bytes 1.0 MiB at main heap + 59.0 MiB, beside 49.0 MiB free ← "
            "app.CACHE (list) →"
        ),
        "[3] → bytes 1.0 MiB",
    ]
    assert lines_of(found, "pinned by", verbosity=2)[2:] == [
        "pinned by  12 × native block 1.0 MiB in pymalloc, beside 49.0 MiB free"
    ]
    small = record("held-by-malloc", pins=(replace(PIN, pinned_bytes=MIB),))
    assert lines_of(small, "pinned by") == []
    assert len(lines_of(small, "pinned by", verbosity=2)) == 2
    assert lines_of(record("pinned-malloc", pins=(PIN,)), "pinned by")[0].startswith(
        "pinned by  12 × bytes 1.0 MiB in main heap, beside"
    )


SURVIVORS = (
    SurvivorType("bytes", 4, 90 * MIB, "app.CACHE (list) → [3] → bytes 22.5 MiB"),
    SurvivorType("app.Row", 400, 5 * MIB, "app.ROWS (dict) → ['a'] → app.Row 64 B"),
    SurvivorType("lxml.etree._Element", 2, 0, "app.ROOT → lxml.etree._Element", is_native=True),
    SurvivorType("sqlite3.Connection", 1, 0, None, is_native=True),
)


def test_what_keeps_the_largest_survivors_alive_is_said() -> None:
    """For one type, or for all of them; what holds no memory of its own is no survivor."""
    found = record("live-python", survivors=SURVIVORS)
    assert lines_of(found, "survivors", "kept by", "may own it") == [
        "survivors  4 × bytes 90.0 MiB · 400 × app.Row 5.0 MiB",
        "kept by    app.CACHE (list) → [3] → bytes 22.5 MiB",
    ]
    assert lines_of(found, "kept by", verbosity=2)[1:] == [
        "kept by    app.ROWS (dict) → ['a'] → app.Row 64 B"
    ]


def test_what_may_own_native_memory_is_named() -> None:
    """New objects of types that an extension made, and who keeps them."""
    found = record("live-native", survivors=SURVIVORS)
    assert lines_of(found, "survivors", "kept by", "may own it") == [
        "may own it 2 × lxml.etree._Element ← app.ROOT → lxml.etree._Element"
    ]
    assert lines_of(found, "may own it", verbosity=2)[1:] == ["may own it 1 × sqlite3.Connection"]


CALL_IT = "call it when such work is done"
REMEDIES = (
    Remedy("malloc_trim(0)", CALL_IT, MIB, 99 * MIB),
    Remedy("MALLOC_ARENA_MAX=1", "set it", 80 * MIB, 20 * MIB),
    Remedy("PYTHONMALLOC=malloc", "set it", None, None, "it had not ended within 60 s"),
)
RERUN = {
    "one_time": True,
    "lines": (
        Line("app/cache.py", 17, 60 * MIB, "CACHE.append(data)"),
        Line("app/parse.py", 8, 30 * MIB, "parse(text)", native="xmlNewDoc"),
        Line("app/parse.py", 9, 20 * MIB, None),
    ),
    "remedies": REMEDIES,
    "incomplete": ("timeline: it ended with status 3", "run twice: it failed"),
}
RERUN_LABELS = ("one-time", "line", "incomplete", "remedy", "try")


def test_what_re_runs_told_is_said() -> None:
    """The lines with most bytes, and the remedies that helped, with their bytes."""
    assert lines_of(record("held-by-malloc", **RERUN), *RERUN_LABELS) == [
        "one-time   100.0 MiB on first use: a second call in the same process keeps no more",
        "line       60.0 MiB app/cache.py:17 CACHE.append(data)",
        "line       30.0 MiB app/parse.py:8 parse(text) (native: xmlNewDoc)",
        "incomplete timeline: it ended with status 3",
        "try        malloc_trim(0) (tried: returns 99.0 MiB)",
    ]


def test_all_that_re_runs_told_is_there_for_who_wants_it() -> None:
    """With what did not help, and how to apply what did."""
    assert lines_of(record("held-by-malloc", **RERUN), *RERUN_LABELS, verbosity=2) == [
        "one-time   100.0 MiB on first use: a second call in the same process keeps no more",
        "line       60.0 MiB app/cache.py:17 CACHE.append(data)",
        "line       30.0 MiB app/parse.py:8 parse(text) (native: xmlNewDoc)",
        "line       20.0 MiB app/parse.py:9",
        "incomplete timeline: it ended with status 3",
        "incomplete run twice: it failed",
        f"remedy     malloc_trim(0): keeps 1.0 MiB, returns +99.0 MiB: {CALL_IT}",
        "remedy     MALLOC_ARENA_MAX=1: keeps 80.0 MiB, returns +20.0 MiB",
        "remedy     PYTHONMALLOC=malloc: not known: it had not ended within 60 s",
        "try        malloc_trim(0) (tried: returns 99.0 MiB)",
    ]


def test_a_line_with_a_small_part_is_for_who_wants_it() -> None:
    """It is no answer to who has the memory."""
    found = record("live-python", lines=(Line("a.py", 1, 10 * MIB),))
    assert lines_of(found, "line") == []
    assert len(lines_of(found, "line", verbosity=2)) == 1


def test_that_nothing_helped_is_said() -> None:
    """And of how many."""
    found = record("held-by-malloc", remedies=REMEDIES[1:])
    assert lines_of(found, "try")[0] == (
        "try        none of the 1 remedies that were tried returns half of it (-vv lists them)"
    )


FULL = record(
    *("pinned-malloc", "live-python", "live-native"),
    heap=PICTURE,
    pins=(PIN,),
    survivors=SURVIVORS,
    parts={"malloc-free": {"main-heap-trimmable": 40 * MIB}},
    held_by_pytest=(Holding("log records", 12_345, 60 * MIB),),
    children=tuple(
        ChildProcess(100 + number, "python3", f"python3 -m worker {number}", 9 * MIB)
        for number in range(5)
    ),
    unwritten_huge_page_bytes=40 * MIB,
    **RERUN,
)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_message_fits_a_page(width: int) -> None:
    """What says least goes first, and is counted; who has it and what to try stay."""
    lines = render_message(FULL, width=width)
    if width >= 100:
        assert len(lines) <= 12, lines
    labels = {line[2:13].rstrip() for line in lines[1:]} - {""}
    assert {"footprint", "cause", "where", "kept by", "one-time", "try", "more"} <= labels
    assert "malloc" not in labels
    assert next(line for line in lines if "more  " in line).startswith(
        "  more       15 entries left out (-vv shows them)"
    )


def test_nothing_is_left_out_for_who_wants_it() -> None:
    """However long it becomes."""
    labels = {line[2:13].rstrip() for line in render_message(FULL, width=100, verbosity=2)[1:]}
    assert {"malloc", "child", "heap", "pinned by", "huge pages", "pytest", "remedy"} <= labels
    assert "more" not in labels
