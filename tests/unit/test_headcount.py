"""Objects that came between two times."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import ref

import pytest

from pytest_memreturn._instruments import Headcount
from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.explain.headcount import ObjectHeadcount

pytestmark = pytest.mark.usefixtures("few_objects")

KEPT: list[type[Any]] = []
PYTHON = (AllocatorStatistics("python", 1, 2),)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    KEPT.clear()


class Row:
    """A thing of a program's."""

    def __init__(self) -> None:
        self.text = bytes(2000)


def headcount(*, is_over: bool = False) -> ObjectHeadcount:
    """One that has as much time as it is given."""
    return ObjectHeadcount(lambda: lambda: is_over, lambda: lambda: is_over)


def test_what_came_is_named_with_what_keeps_it() -> None:
    """Wherever it lies, also where something was before."""
    rows = [Row() for _ in range(1000)]
    del rows[::2]
    found = headcount()
    found.begin(PYTHON)
    rows += [Row() for _ in range(400)]

    came = found.end(PYTHON)

    assert came.is_whole
    by_type = {one.type.rpartition(".")[2]: one for one in came.types}
    # One in a hundred has the bit of an object that was there, or the place of one that is gone.
    assert 300 <= by_type["bytes"].count <= 420
    assert by_type["bytes"].chain is not None
    assert by_type["Row"].count <= 400
    assert came.in_malloc_bytes is not None
    assert 700_000 < came.in_malloc_bytes < 1_000_000
    assert len(rows) == 900


def test_what_came_seldom_is_none_of_it() -> None:
    """Nor is what it holds of malloc."""
    rows: list[Row] = []
    found = headcount()
    found.begin(PYTHON)
    rows += [Row() for _ in range(50)]

    assert {one.count >= 20 for one in found.end(PYTHON, 20).types} == {True}
    came = found.end(PYTHON, 1000)
    assert came.types == ()
    assert came.in_malloc_bytes is not None
    assert abs(came.in_malloc_bytes) < 60_000
    assert len(rows) == 50


def test_nothing_came() -> None:
    """But for what looking itself leaves."""
    found = headcount()
    found.begin(PYTHON)

    came = found.end(PYTHON)

    assert sum(one.bytes for one in came.types) < 20_000
    assert came.in_malloc_bytes is not None
    assert abs(came.in_malloc_bytes) < 100_000


def test_without_time_it_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody can say how much of malloc the objects hold."""
    monkeypatch.setattr("pytest_memreturn.explain.census._MOST_IN_ANY_CASE", 0)
    found = headcount(is_over=True)
    found.begin(PYTHON)

    assert not found.end(PYTHON).is_whole


def test_one_that_sees_none() -> None:
    """What instruments have that look at no objects."""
    found = Headcount()
    found.begin(PYTHON)

    assert found.end(PYTHON).in_malloc_bytes is None


def test_what_abstract_base_classes_note_is_nobody_s() -> None:
    """Each class below one that is asked for the first time about a class has a note of it."""
    KEPT.extend(type("Below", (Mapping,), {}) for _ in range(30))
    found = headcount()
    found.begin(PYTHON)
    assert not isinstance(Row(), Mapping)
    named = {one.type for one in found.end(PYTHON, 20).types}
    assert "weakref.ReferenceType" not in named


@pytest.mark.parametrize("callback", [None, print, lambda _: None])
def test_references_of_the_program_are_its_own(callback: Callable[[object], object] | None) -> None:
    """Whatever is to be called when what they refer to goes."""
    KEPT.extend(type("Referred", (), {}) for _ in range(30))
    gc.collect()
    found = headcount()
    found.begin(PYTHON)
    # Without anything to call, one is there already: each base knows the classes below it.
    references = [ref(Row() if callback is None else one, callback) for one in KEPT]
    named = {one.type: one.count for one in found.end(PYTHON, 20).types}
    assert named.get("weakref.ReferenceType", 0) >= 20
    references.clear()  # before what they refer to: nothing is called
