"""All objects of the program, and those of them that may be wanted."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from pytest_memreturn.explain import census as census_room
from pytest_memreturn.explain.census import BLOCK_BITS, Candidate, Census
from pytest_memreturn.explain.kinds import Kinds, size_of
from pytest_memreturn.explain.of_one_type import OfOneType
from pytest_memreturn.explain.time_limit import time_limit
from pytest_memreturn.probes._buffers import ReusableBuffers
from pytest_memreturn.testing import Script, ScriptedProbe


def blocks_of(*objects: object) -> set[int]:
    """The blocks in which these begin."""
    return {id(one) >> BLOCK_BITS for one in objects}


def found_among(
    monkeypatch: pytest.MonkeyPatch, census: Census, tracked: list[object], *wanted: object
) -> list[Candidate]:
    """The candidates among these, and what they refer to, by the blocks of what is wanted."""
    monkeypatch.setattr(gc, "get_objects", lambda: tracked)
    return list(census.candidates(blocks_of(*wanted), sys.maxsize))


def test_every_object_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many refer to it, and however deep it lies in what gc does not track."""
    text = "s" * 400
    deep = (1, (2, text))
    tracked: list[object] = [[text, deep], [text], {"k": [text]}]
    gc.collect()
    found = found_among(monkeypatch, Census(), tracked, text)
    [only] = [one for one in found if one.one is text]
    assert (only.kind.name, only.size_bytes) == ("str", sys.getsizeof(text))


def test_many_objects_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is lost between two."""
    many: list[object] = [[number] for number in range(2_500)]
    found = found_among(monkeypatch, Census(), many, *many)
    assert {id(one.one) for one in found} >= {id(one) for one in many}


def test_large_objects_are_candidates_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of a type that is wanted."""
    large, small, other = bytearray(5000), bytearray(5), [1]
    monkeypatch.setattr(gc, "get_objects", lambda: [[large, small], other])
    found = list(Census().candidates((), 4000, {id(list)}))
    assert {id(one.one) for one in found} >= {id(large), id(other)}
    assert id(small) not in {id(one.one) for one in found}


@pytest.mark.usefixtures("few_objects")
def test_what_is_shared_deeply_is_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty tuples of the one before twice would be 2**40 ways to the first."""
    nested: tuple[object, ...] = (1, "x" * 100)
    for _ in range(40):
        nested = (nested, nested)
    for _ in range(45):
        gc.collect()
    found = found_among(monkeypatch, Census(), [[nested]], nested)
    assert sum(one.one is nested for one in found) == 1


def test_an_array_leads_to_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which it tells gc nothing."""
    view = np.arange(1000)[10:20]
    found = found_among(monkeypatch, Census(), [[view]], view.base)
    assert any(one.one is view.base for one in found)


def test_what_is_ours_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """This package's objects, what they keep in lists and the like, and what a caller names."""
    ours = ScriptedProbe([Script(1)])
    inner = ["x" * 300]
    buffer = ReusableBuffers().lend(0).buffer
    ours._scripts = [inner, buffer]  # type: ignore[list-item]
    mine = {"y" * 300}
    theirs = ["z" * 300]
    census = Census(ours=[mine])
    wanted = (ours, inner, *inner, buffer, mine, *mine, theirs)
    tracked = [ours, inner, ours._scripts, buffer, mine, theirs]
    found = found_among(monkeypatch, census, tracked, *wanted)
    seen = {id(one.one) for one in found}
    assert id(theirs) in seen
    assert seen.isdisjoint(map(id, (ours, inner, inner[0], buffer, mine, *mine)))
    assert {id(ours), id(inner), id(mine)} <= census.own


def test_modules_are_not_asked_what_they_refer_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a C module keeps may be dead already."""
    asked: list[object] = []
    monkeypatch.setattr(gc, "get_objects", lambda: [sys, [1]])
    get_referents = gc.get_referents

    def note(*given: object) -> list[object]:
        asked.extend(given)
        return get_referents(*given)

    monkeypatch.setattr(gc, "get_referents", note)
    list(Census().candidates((), sys.maxsize))
    assert not any(one is sys for one in asked)


def test_nobody_s_code_is_asked_for_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an object has that of its own fields; and the others around it theirs."""

    class Lies:
        def __sizeof__(self) -> int:
            raise AssertionError

    class Heir(Lies, list[int]):
        """Of something whose size C code knows."""

    one, other, text = Lies(), Heir([1, 2, 3]), "x" * 1000
    found = found_among(monkeypatch, Census(), [one, other, [text]], one, other, text)
    found = [candidate for candidate in found if candidate.one in (one, other, text)]
    assert [size for _, _, size in found] == [
        object.__sizeof__(one),
        object.__sizeof__(other),
        sys.getsizeof(text),
    ]


def test_a_size_that_cannot_be_had_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every extension knows its own."""

    def refuse(_: object) -> int:
        raise ValueError

    kind = Kinds().of([])
    assert size_of([], kind) == sys.getsizeof([])
    monkeypatch.setattr(sys, "getsizeof", refuse)
    assert size_of([], kind) == 0
    assert Census()._sizes([[], []], {id(list)}) == [0, 0]


def test_a_census_may_run_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is not whole, and says so; but of some it is, however long they take."""
    census = Census(lambda: True)
    assert len(found_among(monkeypatch, census, [[1]], [1])) <= 1
    assert census.is_whole
    monkeypatch.setattr(census_room, "_MOST_IN_ANY_CASE", 0)
    assert found_among(monkeypatch, census, [[1]], [1]) == []
    assert not census.is_whole


def test_an_example_is_the_largest_or_like_most() -> None:
    """The largest stands for all only where it is a good part of them."""
    one_large, many = OfOneType(), OfOneType()
    one_large.add("large", 100)
    for number in range(50):
        one_large.add(number, 10)
        many.add(number, 10)
    many.add("large", 20)
    assert (one_large.example(), one_large.count, one_large.bytes) == ("large", 51, 600)
    assert many.example() == 31
    assert OfOneType().example() is None


def test_a_limit_of_time() -> None:
    """It is over once more than that has gone by."""
    now = [5.0]
    is_over = time_limit(2.0, lambda: now[0])
    answers = []
    for now[0] in (5.0, 7.0, 7.1):
        answers.append(is_over())
    assert answers == [False, False, True]


def test_a_busy_machine_takes_no_time_from_a_search() -> None:
    """Up to a point: nobody waits for ever."""
    passed = [100.0]
    is_over = time_limit(2.0, lambda: 0.0, lambda: passed[0])
    answers = []
    for passed[0] in (101.0, 110.0, 110.1):
        answers.append(is_over())
    assert answers == [False, False, True]
