"""Laws of merging and comparing reports."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.compared import compared
from pytest_memreturn.report.comparison_text import render_comparison
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.merged import (
    DUPLICATES,
    Duplicates,
    MergeRefusedError,
    Named,
    merged,
)
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.same_test import key_of
from pytest_memreturn.report.saved import parse_report
from pytest_memreturn.report.tally import Tally
from pytest_memreturn.report.text_report import render_text

SIZES = st.one_of(st.none(), st.integers(-(2**40), 2**40))
RECORDS = st.builds(
    Record,
    nodeid=st.sampled_from(["test_a.py::a", "test_a.py::b", "test_b.py::a", "z"]),
    verdict=st.sampled_from(["returned", "retained", "unjudged"]),
    gate=st.sampled_from(["collect", "trim"]),
    label=st.sampled_from([None, "block 1", "block 2"]),
    window=st.sampled_from(["call", "block"]),
    cause=st.sampled_from([None, "live-python", "mapped"]),
    retained_bytes=SIZES,
    allowed_bytes=st.one_of(st.none(), st.integers(0, 2**40)),
    reason=st.sampled_from([None, "cannot read"]),
    own_outcome=st.sampled_from([None, "skipped"]),
)
BARE: dict[str, Any] = {"python": "3.13.0", "allocators": [], "unavailable": {}, "others": []}
ENVIRONMENTS = st.builds(
    lambda kernel, allocators, variables: {
        **BARE,
        "kernel": kernel,
        "allocators": allocators,
        "variables": variables,
    },
    st.sampled_from(["Linux 5", "Linux 6"]),
    st.lists(st.sampled_from(["malloc", "python", "pyarrow"]), unique=True),
    st.dictionaries(st.sampled_from(["MALLOC_ARENA_MAX", "LD_PRELOAD"]), st.just("1")),
)
PARTIALS = st.one_of(
    st.none(),
    st.builds(
        Partial,
        st.sampled_from(["interrupted", "a worker died", "interrupted; a worker died"]),
        st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True).map(tuple),
    ),
)


def run_of(records: list[Record], environment: Any = BARE, partial: Any = None) -> Run:  # noqa: ANN401
    """A run with these records."""
    return Run(tuple(records), Tally.of(records), environment, partial)


RUNS = st.builds(run_of, st.lists(RECORDS, max_size=6), ENVIRONMENTS, PARTIALS)


def merge(*runs: Run, duplicates: Duplicates) -> Run | None:
    """The runs as one; ``None`` where that is refused."""
    try:
        return merged(
            [Named(str(number), one) for number, one in enumerate(runs)],
            duplicates=duplicates,
            allow_different_environments=True,
        )
    except MergeRefusedError:
        return None


@given(RUNS, RUNS, RUNS, st.sampled_from(DUPLICATES))
def test_it_makes_no_difference_which_are_merged_first(
    one: Run, two: Run, three: Run, duplicates: Duplicates
) -> None:
    """Merging is associative, with and without duplicates, whatever they came from."""
    first, last = merge(one, two, duplicates=duplicates), merge(two, three, duplicates=duplicates)
    at_once = merge(one, two, three, duplicates=duplicates)
    for nested in (
        first and merge(first, three, duplicates=duplicates),
        last and merge(one, last, duplicates=duplicates),
    ):
        assert nested == at_once


@given(st.lists(RECORDS, max_size=12), st.data())
def test_shards_merge_to_the_whole(records: list[Record], data: st.DataObject) -> None:
    """However the tests are dealt out, and in whatever order the shards are given."""
    shards: list[list[Record]] = [[], [], [], []]
    of_test = {
        nodeid: data.draw(st.integers(0, 3)) for nodeid in sorted({one.nodeid for one in records})
    }
    for one in records:
        shards[of_test[one.nodeid]].append(one)
    whole = merge(run_of(records), duplicates="error")
    dealt = data.draw(st.permutations([run_of(one) for one in shards]))
    assert merge(*dealt, duplicates="error") == whole
    assert whole is not None
    assert sorted(map(repr, whole.records)) == sorted(map(repr, records))
    assert whole.tally == Tally.of(records)


@given(RUNS)
def test_a_merged_report_is_read_as_it_was_written(run: Run) -> None:
    """And merging it again changes nothing."""
    once = merge(run, duplicates="error")
    assert once is not None
    assert parse_report("".join(json_report(once)).encode(), "x") == once
    assert merge(once, duplicates="error") == once


@given(RUNS, RUNS, st.integers(0, 2**40))
def test_a_comparison_has_every_test_once(old: Run, new: Run, tolerance: int) -> None:
    """And nothing is worse than itself."""
    found = compared(old, new)
    keys = [one.key for one in found.changes]
    assert sorted(map(str, keys)) == sorted(
        map(str, {key_of(one) for one in (*old.records, *new.records)})
    )
    growths = [one.growth_bytes for one in found.changes]
    assert growths == sorted(growths, reverse=True)
    assert compared(old, old).worse(0) == []
    # More tolerance never finds more.
    assert len(found.worse(tolerance + MIB)) <= len(found.worse(tolerance))


@given(RUNS, RUNS, st.integers(40, 150), st.booleans())
def test_every_text_is_lines_of_its_width(old: Run, new: Run, width: int, verbose: bool) -> None:
    """But for names and words that are longer; and no line is two."""
    lines = [
        *render_text(new, width=width),
        *render_comparison(compared(old, new), tolerance_bytes=MIB, width=width, verbose=verbose),
    ]
    for line in lines:
        assert len(line.splitlines()) <= 1
        # Columns of figures and words, and the least that is shown of a name.
        assert len(line) <= max(width, 100)
    assert json.dumps(lines)
