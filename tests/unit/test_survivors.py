"""Which objects a window left behind."""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
from array import array
from collections.abc import Iterable

import numpy as np
import pytest

from pytest_memreturn._record import Survivors, SurvivorType
from pytest_memreturn._snapshot import MappedRange, MappingKind, Snapshot
from pytest_memreturn.explain.survivors import GrownRanges, find_survivors
from pytest_memreturn.testing import Script, ScriptedProbe


def heap(*spans: tuple[int, int], kind: MappingKind = "heap") -> list[MappedRange]:
    """Ranges of one kind."""
    return [MappedRange(start, end, kind, end - start) for start, end in spans]


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([(10, 20)], [(10, 20)], [], id="the same"),
        pytest.param([(10, 20)], [(10, 15)], [], id="shrank"),
        pytest.param([(10, 20)], [], [], id="went"),
        pytest.param([], [(10, 20)], [(10, 20)], id="came"),
        pytest.param([(10, 20)], [(10, 30)], [(20, 30)], id="grew at its end"),
        pytest.param([(10, 20)], [(5, 20)], [(5, 10)], id="grew at its start"),
        pytest.param([(10, 20)], [(5, 30)], [(5, 10), (20, 30)], id="grew on both sides"),
        pytest.param([(10, 20), (30, 40)], [(10, 40)], [(20, 30)], id="a hole was filled"),
        pytest.param([(10, 20), (30, 40)], [(15, 35)], [(20, 30)], id="ends inside old ones"),
        pytest.param([(10, 40)], [(12, 15), (30, 38)], [], id="holes came"),
        pytest.param(
            [(10, 20), (30, 40)],
            [(50, 60), (5, 45)],
            [(5, 10), (20, 30), (40, 45), (50, 60)],
            id="all",
        ),
    ],
)
def test_what_is_new_in_memory(
    before: list[tuple[int, int]], after: list[tuple[int, int]], grown: list[tuple[int, int]]
) -> None:
    """Each address that is in memory now and was not before, and no other."""
    found = GrownRanges(heap(*before), heap(*after))
    new = {address for start, end in grown for address in range(start, end)}
    assert {address for address in range(100) if address in found} == new
    assert bool(found) == bool(grown)


@pytest.mark.parametrize("kind", ["stack", "file", "shared-memory", "special"])
def test_only_memory_that_holds_objects_counts(kind: MappingKind) -> None:
    """No object lies on a stack or in a file."""
    assert not GrownRanges([], heap((10, 20), kind=kind))


@pytest.mark.parametrize("kind", ["heap", "arena", "anonymous"])
def test_memory_is_new_only_where_nothing_was(kind: MappingKind) -> None:
    """Whatever the kind was before: an address is old or new."""
    found = GrownRanges(heap((10, 20), kind="stack"), heap((10, 30), kind=kind))
    assert 15 not in found
    assert 25 in found


@pytest.mark.parametrize(
    ("address", "size_bytes", "held"),
    [
        (20, 4, True),
        (19, 1, False),
        (15, 9, False),
        (15, 10, True),
        (15, 100, False),
        (29, 100, True),
        (30, 4, False),
        (20, 0, True),
    ],
)
def test_a_block_is_new_by_its_first_byte_or_by_its_middle(
    address: int, size_bytes: int, *, held: bool
) -> None:
    """Its first page may be an old one, shared with the block below it."""
    assert GrownRanges(heap((10, 20)), heap((10, 30))).holds(address, size_bytes) == held


class Kept:
    """Something to be found."""

    __slots__ = ("fills",)

    def __init__(self) -> None:
        self.fills = None


class Lies:
    """Something whose size cannot be had."""

    __slots__ = ()

    def __sizeof__(self) -> int:
        raise ValueError


OLD = Snapshot(0, 0, ranges=tuple(heap((1, 2))))


def survivors_at(spans: Iterable[tuple[int, int]], *tracked: object) -> Survivors:
    """What is found among objects and their items when nothing but these addresses is new."""
    after = Snapshot(0, 0, ranges=tuple(heap(*sorted(spans))))
    every = list(tracked)
    for one in every:
        if isinstance(one, (list, tuple, dict, set)):
            every += [item for item in gc.get_referents(one) if gc.is_tracked(item)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gc, "get_objects", lambda: every)
        return find_survivors(OLD, after)


def own(*objects: object) -> list[tuple[int, int]]:
    """The spans of these objects' first words."""
    return [(id(one), id(one) + 8) for one in objects]


def test_an_object_in_new_memory_is_found() -> None:
    """By its type, with how many there are, and their bytes."""
    kept = [Kept() for _ in range(3)]
    size = sys.getsizeof(kept[0])
    [found] = survivors_at(own(*kept), *kept, Kept()).types
    assert found == SurvivorType(f"{__name__}.Kept", 3, 3 * size)


def test_every_object_that_gc_tracks_is_looked_at() -> None:
    """Whoever holds it, and for whatever reason."""
    kept = [Kept() for _ in range(3)]
    ranges = tuple(heap(*sorted(own(*kept))))
    [found] = find_survivors(OLD, Snapshot(0, 0, ranges=ranges)).types
    assert (found.type, found.count) == (f"{__name__}.Kept", 3)


def test_an_object_in_old_memory_is_not_found() -> None:
    """It was there before the window, or lies where something was."""
    kept = Kept()
    ranges = tuple(heap(*own(kept)))
    assert find_survivors(
        Snapshot(0, 0, ranges=ranges), Snapshot(0, 0, ranges=ranges)
    ) == Survivors(in_malloc_bytes=0)


def test_without_a_layout_nothing_is_found() -> None:
    """Nobody can look then, which is not the same as to find nothing."""
    for before, after in ((Snapshot(0, 0), Snapshot(0, 0)), (OLD, Snapshot(0, 0))):
        assert find_survivors(before, after) == Survivors()
        assert find_survivors(after, before) == Survivors()


def test_objects_that_gc_does_not_track_are_found_by_who_refers_to_them() -> None:
    """Strings and bytes, also inside tuples and dicts that gc has stopped to track."""
    text, deep, deepest = "s" * 40, "d" * 50, b"b" * 60
    inner = (deepest, 1)
    mapping = {"key": deep}
    outer = (inner, mapping)
    holder = [text, outer]
    gc.collect()
    assert not gc.is_tracked(inner)
    found = survivors_at(own(text, deep, deepest), holder)
    assert {(one.type, one.count) for one in found.types} == {("str", 2), ("bytes", 1)}


def test_an_object_is_counted_once() -> None:
    """However many refer to it."""
    text = "s" * 40
    holders = [[text, text], [text], {"key": [text]}]
    found = survivors_at(own(text), *holders, *holders)
    assert found.types == (SurvivorType("str", 1, sys.getsizeof(text)),)


@pytest.mark.parametrize(
    "large",
    [
        pytest.param(bytearray(10_000), id="bytearray"),
        pytest.param([None] * 2000, id="list"),
        pytest.param(array("d", bytes(8000)), id="array"),
        pytest.param({number: None for number in range(2000)}, id="dict"),  # noqa: C420
        pytest.param(set(range(2000)), id="set"),
    ],
)
def test_a_large_object_is_found_by_its_buffer(large: object) -> None:
    """Its small fixed part may lie in an old hole, while the buffer it points to is new."""
    size = sys.getsizeof(large)
    fixed = type(large).__basicsize__
    words = struct.unpack(f"{fixed // 8}Q", ctypes.string_at(id(large), fixed // 8 * 8))
    pointers = sorted({word for word in words[2:] if 2**20 < word < 2**47})
    new = [(word, word + 8) for word in pointers]
    assert not any(start <= id(large) < end for start, end in new)
    found = survivors_at(new, [large])
    name = f"array.{type(large).__name__}" if isinstance(large, array) else type(large).__name__
    assert SurvivorType(name, 1, size) in found.types
    assert (found.in_malloc_bytes or 0) >= size


def test_only_large_objects_are_malloc_s() -> None:
    """Up to 512 bytes an object is pymalloc's, above that malloc's."""
    kept = ["s" * (512 - sys.getsizeof("")), "s" * (513 - sys.getsizeof(""))]
    assert [sys.getsizeof(one) for one in kept] == [512, 513]
    assert survivors_at(own(*kept), kept).in_malloc_bytes == 513
    assert survivors_at(own(kept[0]), kept).in_malloc_bytes == 0


def test_an_object_whose_size_cannot_be_had_is_found() -> None:
    """Somebody else's error is not ours to raise; its bytes are missing, it is not."""
    lies = Lies()
    assert survivors_at(own(lies), [lies]).types == (SurvivorType(f"{__name__}.Lies", 1, 0),)


def test_the_largest_types_are_named() -> None:
    """Ten at most, the largest first, and none of less than a thousandth of the whole."""
    types = [type(f"Type{number}", (), {"__slots__": ("a", "b")}) for number in range(12)]
    kept = [made() for number, made in enumerate(types) for _ in range(20 - number)]
    dwarf = Kept()
    large = "s" * 2_000_000
    named = survivors_at(own(*kept), *kept).types
    assert [one.count for one in named] == list(range(20, 10, -1))
    assert [one.type.rpartition(".")[2] for one in named] == [f"Type{n}" for n in range(10)]
    found = survivors_at(own(dwarf, large), dwarf, [large])
    assert found.types == (SurvivorType("str", 1, sys.getsizeof(large)),)


def test_objects_of_this_package_are_left_out() -> None:
    """What measuring itself needs is not what the window left."""
    ours = ScriptedProbe([Script(1)])
    assert survivors_at(own(ours), ours).types == ()


def test_a_type_may_be_named_strangely() -> None:
    """A class is free to make anything of its module."""
    strange = type("Strange", (), {"__slots__": ("a",), "__module__": None})
    kept = strange()
    [found] = survivors_at(own(kept), kept).types
    assert found.type == "None.Strange"


def test_the_base_of_an_array_is_found() -> None:
    """An array of numpy that only shows memory tells gc nothing of whose it is."""
    view = np.arange(1000)[10:20]
    found = survivors_at(own(view.base), [view])
    assert [(one.type, one.count) for one in found.types] == [("numpy.ndarray", 1)]


def test_the_walk_itself_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of all objects is no survivor, though it lies in new memory and refers to all."""
    tracked: list[object] = []
    tracked.append(tracked)
    monkeypatch.setattr(gc, "get_objects", lambda: tracked)
    after = Snapshot(0, 0, ranges=tuple(heap(*own(tracked))))
    assert find_survivors(OLD, after) == Survivors(in_malloc_bytes=0)
