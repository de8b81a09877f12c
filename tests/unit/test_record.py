"""Records on their way to another process and into files."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_memreturn._errors import (
    InvalidSettingError,
    MemoryNotReturnedWarning,
    MemreturnWarning,
    ReadingUnavailableError,
    UnjudgedWarning,
)
from pytest_memreturn._explanation import (
    AllocatorGrowth,
    Explanation,
    HeapPicture,
    Holding,
    Line,
    MappingChange,
    Pin,
    PooledArenas,
    Region,
    Remedy,
    SizeClass,
    SurvivorType,
)
from pytest_memreturn._failures import MemoryNotReturned, Unjudged, VerdictFailure
from pytest_memreturn._outside import ChildProcess, Segment
from pytest_memreturn._processes import WatchedProcess
from pytest_memreturn._record import Attempt, Exclusion, Isolation, Record, Rounds

FULL = Record(
    nodeid="tests/test_x.py::test_x",
    verdict="retained",
    gate="collect",
    label="block 1",
    location="tests/test_x.py:7",
    window="call",
    cause="live-python",
    causes={"live-python": 9},
    retained_bytes=10,
    allowed_bytes=5,
    allowed_origin="default",
    reserve_bytes=2,
    recorded_bytes=4,
    hidden_bytes=3,
    drift_bytes=-4,
    excluded=(Exclusion("database", "session", 4), Exclusion("server", "module", -1)),
    examined_bytes=6,
    settled_seconds=0.5,
    peak_growth_bytes=20,
    peak_quality="exact",
    returned_ratio=0.5,
    readings={"baseline": 1, "end": 12, "collect": 11, "trim": None},
    ledger={"python-live": 9, "unexplained": 1},
    shown={"lazy-free": 0, "file": None, "huge-pages": 2},
    overhead_seconds=0.25,
    worker="gw0",
    reason="could not be read",
    own_outcome="failed",
    test_count=2,
    torn_down_bytes=5,
    processes=(
        WatchedProcess(5, "python", "python -m serve", 3, 9, "process 5 sleeps"),
        WatchedProcess(6, "worker", "", None, 2),
    ),
    earlier_attempts=(
        Attempt("retained", 7, "live-python", None),
        Attempt("unjudged", None, None, "the test failed by itself"),
    ),
    isolation=Isolation({"MALLOC_ARENA_MAX": "1", "X": None}, "jemalloc", 0.25),
    rounds=Rounds(
        asked=200,
        run=152,
        warmup=3,
        allowed_per_round_bytes=1,
        allowed_origin="default",
        growth="steady",
        exceeds=True,
        figure="live",
        per_round_bytes=64,
        since_round=40,
        points=((0, 5, 6), (8, 7, 9)),
    ),
    explanation=Explanation(
        parts={"malloc-free": {"main-heap-pinned": 1, "main-heap-trimmable": 2}},
        released={"malloc": 2, "jemalloc": 0},
        survivors=(
            SurvivorType("dict", 3, 9, "list app.CACHE", is_native=True),
            SurvivorType("str", 1, 1),
        ),
        children=(ChildProcess(7, "python", "python -m server", 5, "multiprocessing.Pool"),),
        segments=(Segment("shm", "psm_1", 8, 6, "root"),),
        held_by_pytest=(Holding("log records", 2, 300),),
        tracers=("coverage",),
        unwritten_huge_page_bytes=11,
        allocators=(AllocatorGrowth("malloc", 4, None, 1), AllocatorGrowth("pool", 4, 5, None)),
        layout=(MappingChange("heap", 1, 9, 1, 2), MappingChange("stack", 2, 1, None, None)),
        heap=HeapPicture(
            proven=True,
            partial=True,
            reason="no time",
            regions=(Region("main heap", "live", 4096, 10, 9), Region("heap", "returned", 1, 2, 0)),
            live_bytes=9,
            free_bytes=1,
            returned_bytes=2,
            live_sizes=(SizeClass(32, 1, 32), SizeClass(64, 2, 96)),
            arenas=PooledArenas(1024, (5, 0)),
        ),
        pins=(Pin("dict", 1, 2, "main heap", 3, 4, "app.CACHE"), Pin("x", 1, 2, "a", 3, 4)),
        one_time=True,
        lines=(Line("app.py", 7, 8, "x = 1"), Line("app.c", 7, -8, native="parse")),
        remedies=(Remedy("trim", "call it", 1, 2), Remedy("jemalloc", "load it", None, None, "no")),
        timeline=((0.0, 5), (0.5, 6)),
        incomplete=("not found again",),
    ),
)
BARE = Record("tests/test_x.py::test_y", "unjudged", "trim", reason="cannot read")


@pytest.mark.parametrize("record", [FULL, BARE])
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """To plain data and back is the same record, also by way of JSON."""
    assert Record.from_dict(record.to_dict()) == record
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_plain_data_has_the_keys_of_the_report() -> None:
    """Every key is there, also where nothing was read."""
    assert BARE.to_dict().keys() == FULL.to_dict().keys()
    assert {key: value for key, value in BARE.to_dict().items() if value is not None} == {
        "nodeid": "tests/test_x.py::test_y",
        "verdict": "unjudged",
        "gate": "trim",
        "window": "call",
        "reserve_bytes": 0,
        "hidden_bytes": 0,
        "drift_bytes": 0,
        "excluded": (),
        "examined_bytes": 0,
        "test_count": 1,
        "processes": (),
        "earlier_attempts": (),
        "settled_seconds": 0.0,
        "overhead_seconds": 0.0,
        "reason": "cannot read",
    }
    assert FULL.to_dict()["excluded"] == (
        {"fixture": "database", "scope": "session", "bytes": 4},
        {"fixture": "server", "scope": "module", "bytes": -1},
    )
    assert FULL.to_dict()["earlier_attempts"][0] == {
        "verdict": "retained",
        "retained_bytes": 7,
        "cause": "live-python",
        "reason": None,
    }
    assert FULL.to_dict()["processes"][1] == {
        "pid": 6,
        "name": "worker",
        "command": "",
        "before_bytes": None,
        "after_bytes": 2,
        "not_released": None,
    }
    assert FULL.to_dict()["explanation"] == {
        "parts": {"malloc-free": {"main-heap-pinned": 1, "main-heap-trimmable": 2}},
        "released": {"malloc": 2, "jemalloc": 0},
        "survivors": (
            {
                "type": "dict",
                "count": 3,
                "bytes": 9,
                "chain": "list app.CACHE",
                "is_native": True,
            },
            {"type": "str", "count": 1, "bytes": 1, "chain": None, "is_native": False},
        ),
        "children": (
            {
                "pid": 7,
                "name": "python",
                "command": "python -m server",
                "footprint_bytes": 5,
                "owner": "multiprocessing.Pool",
            },
        ),
        "segments": (
            {
                "kind": "shm",
                "name": "psm_1",
                "size_bytes": 8,
                "counted_bytes": 6,
                "owner": "root",
            },
        ),
        "held_by_pytest": ({"what": "log records", "count": 2, "bytes": 300},),
        "tracers": ("coverage",),
        "unwritten_huge_page_bytes": 11,
        "allocators": (
            {"name": "malloc", "live_bytes": 4, "held_bytes": None, "arenas": 1},
            {"name": "pool", "live_bytes": 4, "held_bytes": 5, "arenas": None},
        ),
        "layout": (
            {
                "kind": "heap",
                "before_bytes": 1,
                "after_bytes": 9,
                "before_ranges": 1,
                "after_ranges": 2,
            },
            {
                "kind": "stack",
                "before_bytes": 2,
                "after_bytes": 1,
                "before_ranges": None,
                "after_ranges": None,
            },
        ),
        "heap": {
            "proven": True,
            "partial": True,
            "reason": "no time",
            "regions": (
                {
                    "heap": "main heap",
                    "kind": "live",
                    "address": 4096,
                    "bytes": 10,
                    "live_bytes": 9,
                },
                {"heap": "heap", "kind": "returned", "address": 1, "bytes": 2, "live_bytes": 0},
            ),
            "live_bytes": 9,
            "free_bytes": 1,
            "returned_bytes": 2,
            "live_sizes": (
                {"up_to_bytes": 32, "count": 1, "bytes": 32},
                {"up_to_bytes": 64, "count": 2, "bytes": 96},
            ),
            "arenas": {"arena_bytes": 1024, "live_bytes": (5, 0)},
        },
        "pins": (
            {
                "what": "dict",
                "count": 1,
                "bytes": 2,
                "heap": "main heap",
                "address": 3,
                "pinned_bytes": 4,
                "chain": "app.CACHE",
            },
            {
                "what": "x",
                "count": 1,
                "bytes": 2,
                "heap": "a",
                "address": 3,
                "pinned_bytes": 4,
                "chain": None,
            },
        ),
        "one_time": True,
        "lines": (
            {"file": "app.py", "line": 7, "bytes": 8, "source": "x = 1", "native": None},
            {"file": "app.c", "line": 7, "bytes": -8, "source": None, "native": "parse"},
        ),
        "remedies": (
            {
                "name": "trim",
                "how": "call it",
                "retained_bytes": 1,
                "returns_bytes": 2,
                "reason": None,
            },
            {
                "name": "jemalloc",
                "how": "load it",
                "retained_bytes": None,
                "returns_bytes": None,
                "reason": "no",
            },
        ),
        "timeline": ((0.0, 5), (0.5, 6)),
        "incomplete": ("not found again",),
    }


def test_the_full_record_is_full() -> None:
    """Every field of it differs from its default, so that none is lost unseen."""
    for filled in (FULL, FULL.explanation):
        assert filled is not None
        for one in dataclasses.fields(filled):
            default = (
                one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
            )
            # A call is the default window, and one of two that there are.
            assert getattr(filled, one.name) != default or one.name == "window", one.name


def test_keys_of_a_newer_report_are_passed_over() -> None:
    """A report may gain keys on every level, and an older reader still reads it."""
    data = json.loads(json.dumps(FULL.to_dict()))
    data["colour"] = "red"
    data["explanation"]["prediction"] = {"regions": []}
    data["explanation"]["heap"]["corrupt"] = []
    data["explanation"]["heap"]["regions"][0]["owner"] = "libx"
    data["explanation"]["heap"]["arenas"]["numbers"] = [1]
    data["explanation"]["pins"][0]["since"] = 5
    data["explanation"]["lines"][0]["function"] = "f"
    data["explanation"]["remedies"][0]["seconds"] = 5
    data["explanation"]["survivors"][0]["address"] = 1
    data["explanation"]["children"][0]["state"] = "zombie"
    data["explanation"]["segments"][0]["created"] = 5
    data["explanation"]["held_by_pytest"][0]["since"] = 5
    data["explanation"]["allocators"][0]["peak"] = 5
    data["excluded"][0]["seconds"] = 5
    assert Record.from_dict(data) == FULL


def test_keys_of_an_older_report_may_be_missing() -> None:
    """What an older writer did not know is as if it had not been read."""
    data = {"nodeid": "x", "verdict": "retained", "gate": "trim", "explanation": {}}
    assert Record.from_dict(data) == Record("x", "retained", "trim", explanation=Explanation())
    del data["explanation"]
    assert Record.from_dict(data) == Record("x", "retained", "trim")


@pytest.mark.parametrize(
    ("failure", "slug"),
    [(MemoryNotReturned, "memory-not-returned"), (Unjudged, "unjudged")],
)
def test_a_verdict_that_fails_carries_its_record(failure: type[VerdictFailure], slug: str) -> None:
    """It is an assertion that failed, with the readings to look at."""
    raised = failure("kept 10 B", FULL)
    assert isinstance(raised, AssertionError)
    assert str(raised) == "kept 10 B"
    assert raised.record is FULL
    assert raised.slug == slug


def test_every_error_and_warning_has_a_slug_of_its_own() -> None:
    """The docs explain messages by slug, so a slug means one thing."""
    slugs = [
        InvalidSettingError.slug,
        ReadingUnavailableError.slug,
        VerdictFailure.slug,
        MemoryNotReturned.slug,
        Unjudged.slug,
        MemreturnWarning.slug,
    ]
    assert len(set(slugs)) == len(slugs)
    # A warning is what the failure of the same name says in another mode.
    assert MemoryNotReturnedWarning.slug == MemoryNotReturned.slug
    assert UnjudgedWarning.slug == Unjudged.slug


def test_one_filter_covers_every_warning() -> None:
    """All warnings have one base."""
    assert issubclass(MemoryNotReturnedWarning, MemreturnWarning)
    assert issubclass(UnjudgedWarning, MemreturnWarning)
    assert issubclass(MemreturnWarning, UserWarning)
