"""What a message tells to try."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_memreturn._explanation import Explanation, Holding
from pytest_memreturn._outside import ChildProcess
from pytest_memreturn._record import Record, Rounds
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.advice import advice_lines, matters

HELD = Record(
    "t.py::test_x",
    "retained",
    "collect",
    cause="held-by-malloc",
    causes={"held-by-malloc": 98 * MIB},
    retained_bytes=100 * MIB,
    readings={"baseline": 45 * MIB, "end": 146 * MIB, "collect": 145 * MIB, "trim": 47 * MIB},
    ledger={"malloc-free": 98 * MIB, "mapped": 0, "unexplained": 2 * MIB},
)


def advice(record: Record, **found: object) -> list[str]:
    """What is advised for a record that was explained so."""
    return list(advice_lines(record, Explanation(**found)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("retained", "size", "worth"),
    [
        (100, 11, True),
        (100, 10, False),
        (100, 0, False),
        (100, -50, False),
        (0, 1, True),
        (0, 0, False),
        (None, 1, True),
    ],
)
def test_what_is_worth_naming(retained: int | None, size: int, *, worth: bool) -> None:
    """More than a tenth of what was retained."""
    assert matters(replace(HELD, retained_bytes=retained), size) == worth


FIRST = {
    "live-python": "find what keeps the survivors: a global, a cache, a closure, a thread",
    "live-native": "close or drop its owner (a connection, document, parser, handle); "
    "where nothing is left to close, a C extension leaks",
    "pinned-python": "build what stays apart from the many short-lived objects, "
    "or do the work in a child process that ends",
    "pinned-malloc": "build what stays apart from what goes, or do the work in a child process "
    "that ends; MALLOC_MMAP_THRESHOLD_=131072 keeps large blocks off the heap "
    "(--memreturn-explain tries it)",
    "pinned-my-pool": "build what stays apart from what goes, or do the work in a child process "
    "that ends",
    "mapped": "unmap or close it; a library may keep it as a pool of its own",
    "shared-memory": "close and unlink the segment",
    "child-process": "end the process and wait for it: shut its pool or server down",
    "held-by-malloc": None,
    "held-by-pyarrow": None,
    "gpu-pool": None,
}


EXPLAIN = "--memreturn-explain, which runs it again: it names the lines that allocated it"


@pytest.mark.parametrize(("cause", "text"), FIRST.items())
def test_what_is_advised_for_a_cause(cause: str, text: str | None) -> None:
    """Nothing where trying tells more, or where nobody here knows."""
    record = replace(HELD, cause=cause, readings=None)
    more = [EXPLAIN] * cause.startswith("live-")
    assert advice(record) == ([] if text is None else [text]) + more


@pytest.mark.parametrize("cause", ["unexplained", None])
@pytest.mark.parametrize(
    ("ledger", "text"),
    [
        ({"unexplained": 100 * MIB}, "judge where more can be read: the linux probe sees"),
        (None, "judge where more can be read: the linux probe sees"),
        ({"mapped": 0, "unexplained": 100 * MIB}, None),
    ],
)
def test_another_probe_is_advised_only_where_it_would_see_more(
    ledger: dict[str, int] | None, text: str | None, cause: str | None
) -> None:
    """Where there was a layout, none does: then nothing is said, rather than what can't help."""
    record = replace(HELD, cause=cause or "unexplained", ledger=ledger, readings=None)
    found = advice(record)
    assert [one[: len(text or "")] for one in found] == ([] if text is None else [text])


TRIM = "a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call "


def test_a_trim_that_returned_it_is_advised_with_its_bytes() -> None:
    """And with the call that does it in the program, where a test's setting helps nobody."""
    assert advice(HELD, released={"malloc": 98 * MIB}) == [
        TRIM + "malloc_trim(0) when such work is done"
    ]


@pytest.mark.parametrize(("figure", "is_advised"), [("live", False), ("footprint", True)])
def test_no_trim_is_advised_against_what_is_alive(figure: str, *, is_advised: bool) -> None:
    """What grew from round to round may be small beside what a trim returns."""
    rounds = Rounds(200, 152, 0, exceeds=True, growth="steady", figure=figure)
    found = advice(replace(HELD, rounds=rounds), released={"malloc": 98 * MIB})
    assert any(one.startswith("a trim ") for one in found) is is_advised


@pytest.mark.parametrize(
    ("released", "calls"),
    [
        ({"pyarrow": 98 * MIB}, "pyarrow.default_memory_pool().release_unused()"),
        (
            {"jemalloc": 98 * MIB},
            'mallctl("arena.4096.purge"), or set MALLOC_CONF=background_thread:true',
        ),
        ({"tcmalloc": 98 * MIB}, "MallocExtension_ReleaseFreeMemory()"),
        ({"mimalloc": 98 * MIB}, "mi_collect(true)"),
        ({"my-pool": 98 * MIB}, "the release of my-pool"),
        (
            {"pyarrow": 60 * MIB, "my-pool": 9 * MIB, "malloc": 38 * MIB},
            "pyarrow.default_memory_pool().release_unused() and malloc_trim(0)",
        ),
        ({"pyarrow": 9 * MIB, "malloc": 9 * MIB}, "malloc_trim(0)"),
        ({}, "malloc_trim(0)"),
    ],
)
def test_each_allocator_that_gave_back_much_is_named(released: dict[str, int], calls: str) -> None:
    """By what a program calls for it; malloc where no single one stands out."""
    assert advice(HELD, released=released) == [f"{TRIM}{calls} when such work is done"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            replace(HELD, readings={"collect": 145 * MIB, "trim": 135 * MIB}),
            id="next to nothing came back",
        ),
        pytest.param(
            replace(HELD, readings={"collect": 145 * MIB, "trim": 146 * MIB}), id="it took memory"
        ),
        pytest.param(
            replace(HELD, gate="trim", readings={"collect": 145 * MIB, "trim": 47 * MIB}),
            id="judged after it",
        ),
        pytest.param(replace(HELD, readings={"collect": 145 * MIB, "trim": None}), id="not read"),
        pytest.param(replace(HELD, readings={"trim": 47 * MIB}), id="the gate was not read"),
        pytest.param(replace(HELD, readings=None), id="nothing was read"),
    ],
)
def test_a_trim_that_was_no_help_is_not_advised(record: Record) -> None:
    """Bytes are promised only for what was tried."""
    assert advice(record, released={"malloc": 98 * MIB}) == []


@pytest.mark.parametrize(("tops", "is_advised"), [(50 * MIB, True), (10 * MIB, False)])
def test_tops_of_threads_arenas_need_another_way(tops: int, *, is_advised: bool) -> None:
    """No trim reaches them, and what may help was not tried."""
    found = advice(
        replace(HELD, readings=None),
        parts={"malloc-free": {"main-heap-pinned": 1, "thread-arenas-tops": tops}},
    )
    text = (
        "MALLOC_ARENA_MAX=1 or MALLOC_TRIM_THRESHOLD_=131072 (--memreturn-explain tries them): "
        "50.0 MiB is free at the top of threads' arenas, out of a trim's reach"
    )
    assert found == [text] * is_advised


@pytest.mark.parametrize(("size", "is_advised"), [(50 * MIB, True), (10 * MIB, False)])
def test_what_pytest_keeps_is_no_leak_of_the_program(size: int, *, is_advised: bool) -> None:
    """It goes when the run has reported it."""
    kept = (Holding("log records", 3, size), Holding("characters", 3, 1))
    assert advice(replace(HELD, readings=None), held_by_pytest=kept) == is_advised * [
        "log and print less, or -p no:logging (not tried): pytest keeps it for its report"
    ]


def test_what_helps_against_the_first_cause_comes_first() -> None:
    """But for what pytest keeps; then what was tried, and what was not."""
    found = advice(
        replace(HELD, cause="pinned-malloc"),
        released={"malloc": 98 * MIB},
        held_by_pytest=(Holding("log records", 3, 50 * MIB),),
        parts={"malloc-free": {"thread-arenas-tops": 50 * MIB}},
    )
    assert [one.partition(" ")[0] for one in found] == ["log", "build", "a", "MALLOC_ARENA_MAX=1"]


def test_stacks_have_an_advice_of_their_own() -> None:
    """They are mapped, and nobody can unmap them."""
    ledger = {"stacks": 50 * MIB, "mapped": MIB, "unexplained": 0}
    (first, *_) = advice(replace(HELD, cause="mapped", ledger=ledger))
    assert first.startswith("end the threads")


@pytest.mark.parametrize(("live", "named"), [(60, True), (40, False)])
def test_lines_are_named_of_what_nobody_could_tell_the_owner_of(live: int, *, named: bool) -> None:
    """Where it is in use; nobody allocated what no account holds."""
    ledger = {"malloc-live": live * MIB, "mapped": 0, "unexplained": 50 * MIB}
    record = replace(HELD, cause="unexplained", readings=None, ledger=ledger)
    assert (EXPLAIN in advice(record)) == named


def test_a_pool_left_running_is_named() -> None:
    """In place of what helps against any child, what ends this one."""
    children = (ChildProcess(7, "python", "python -c x", 9 * MIB, "multiprocessing.Pool"),)
    record = replace(HELD, cause="child-process", readings=None)
    assert advice(record, children=children) == [
        (
            "1 process of a multiprocessing pool still runs: end it (leave its with block, or call "
            ".close() and .join())"
        )
    ]
    unknown = (replace(children[0], owner=None),)
    assert advice(record, children=unknown) == [
        "end the process and wait for it: shut its pool or server down"
    ]
