"""Which objects a window left behind."""

from __future__ import annotations

import ctypes
import functools
import gc
import struct
import sys
import sysconfig
from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from pytest_memreturn._explanation import Survivors, SurvivorType
from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import AllocatorStatistics, MappedRange, Snapshot
from pytest_memreturn.explain import census, survivors
from pytest_memreturn.explain.survivors import (
    find_newborn,
    find_survivors,
    pooled_up_to_bytes,
    python_in_malloc_bytes,
)
from pytest_memreturn.testing import Script, ScriptedProbe

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def heap(*spans: tuple[int, int]) -> list[MappedRange]:
    """Ranges of the heap."""
    return [MappedRange(start, end, "heap", end - start) for start, end in spans]


class Kept:
    """Something to be found."""

    __slots__ = ("fills",)

    def __init__(self) -> None:
        self.fills = None


class Lies:
    """Something whose size is not to be asked."""

    __slots__ = ()

    def __sizeof__(self) -> int:
        raise AssertionError


OLD = Snapshot(0, 0, ranges=tuple(heap((1, 2))))
PYMALLOC = AllocatorStatistics("python", 0, 0)


def survivors_at(
    spans: Iterable[tuple[int, int]],
    *tracked: object,
    allocators: tuple[AllocatorStatistics, ...] = (PYMALLOC,),
) -> Survivors:
    """What is found among objects and their items when nothing but these addresses is new."""
    after = Snapshot(0, 0, ranges=tuple(heap(*sorted(spans))), allocators=allocators)
    every = list(tracked)
    for one in every:
        if isinstance(one, (list, tuple, dict, set)):
            every += [item for item in gc.get_referents(one) if gc.is_tracked(item)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gc, "get_objects", lambda: every)
        return without_chains(find_survivors(OLD, after))


def without_chains(found: Survivors) -> Survivors:
    """The same, as if nobody had looked for what keeps them alive."""
    types = tuple(replace(one, chain=None) for one in found.types if not one.is_native)
    return replace(found, types=types)


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
    found = without_chains(find_survivors(OLD, Snapshot(0, 0, ranges=ranges))).types
    # Something large of a test before may point at one of them.
    assert SurvivorType(f"{__name__}.Kept", 3, 3 * sys.getsizeof(kept[0])) in found


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


class Wide(list[int]):
    """An object whose own fields take more than a page of pointers."""

    __slots__ = tuple(f"field_{number}" for number in range(200))


def test_an_object_with_very_many_fields_is_not_searched_for_a_buffer() -> None:
    """They are no addresses of buffers, and there are too many of them."""
    wide = Wide(range(200))
    assert Wide.__basicsize__ > 1024
    wide.field_0 = field = bytes(700)  # type: ignore[attr-defined]
    found = survivors_at([(id(field), id(field) + 8)], [wide])
    assert [one.type for one in found.types] == ["bytes"]


def test_only_large_objects_are_malloc_s() -> None:
    """Up to 512 bytes an object is pymalloc's, above that malloc's."""
    kept = ["s" * (512 - sys.getsizeof("")), "s" * (513 - sys.getsizeof(""))]
    assert [sys.getsizeof(one) for one in kept] == [512, 513]
    assert survivors_at(own(*kept), kept).in_malloc_bytes == 513
    assert survivors_at(own(kept[0]), kept).in_malloc_bytes == 0


def test_without_pymalloc_every_object_is_malloc_s() -> None:
    """So it is with PYTHONMALLOC=malloc."""
    kept = ["s" * 40, "s" * 600]
    sizes = sum(sys.getsizeof(one) for one in kept)
    malloc = AllocatorStatistics("malloc", 0)
    assert survivors_at(own(*kept), kept, allocators=(malloc,)).in_malloc_bytes == sizes
    assert pooled_up_to_bytes([malloc]) == 0
    assert pooled_up_to_bytes([malloc, PYMALLOC]) == 512


def test_an_object_whose_class_tells_a_size_has_that_of_its_fields() -> None:
    """It is not asked: that might take long, or raise."""
    lies = Lies()
    [found] = survivors_at(own(lies), [lies]).types
    assert found.bytes == object.__sizeof__(lies)


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


def test_an_old_object_of_a_new_class_is_old() -> None:
    """That its class lies in new memory says nothing of where its buffer is."""

    class Large(list[int]):
        __slots__ = ()

    kept = Large(range(1000))
    found = survivors_at(own(Large), kept)
    assert not [one for one in found.types if one.type.endswith("Large")]


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(bytearray(100_000), id="bytearray"),
        pytest.param([None] * 12_500, id="list"),
        # Numbers up to 256 were made long before; larger ones may lie right behind the set.
        pytest.param({*range(257)}, id="set"),
    ],
)
def test_what_lies_behind_an_object_says_nothing_of_its_buffer(old: object) -> None:
    """With small objects in malloc's heap, old buffers were named for what a native leak took."""
    middle = id(old) + sys.getsizeof(old) // 2
    assert survivors_at([(middle - 64, middle + 64)], [old]).types == ()


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(b"x" * 100_000, id="bytes"),
        pytest.param("x" * 100_000, id="str"),
        pytest.param((None,) * 12_500, id="tuple"),
        pytest.param(1 << 800_000, id="int"),
    ],
)
def test_an_object_in_one_piece_is_new_by_its_middle(kept: object) -> None:
    """Its first page may be an old one."""
    middle = id(kept) + sys.getsizeof(kept) // 2
    [found] = survivors_at([(middle - 64, middle + 64)], [kept]).types
    assert (found.type, found.count) == (type(kept).__name__, 1)


def test_an_object_in_one_piece_points_to_no_buffer() -> None:
    """What it points to is another object; and two short numbers may look like an address."""
    code = compile("\n".join(f"a{number} = b" for number in range(300)), "large", "exec")
    beyond_bytes = sys.getsizeof(code) - type(code).__basicsize__
    assert beyond_bytes > 512
    middle = id(code.co_consts) + beyond_bytes // 2
    assert survivors_at([(middle - 64, middle + 64)], code).types == ()


def test_the_shape_of_an_array_says_nothing_of_where_its_data_are() -> None:
    """An old array is not new for memory that came behind the small block with its shape."""
    old = np.ones(100_000)
    shape = struct.unpack("Q", ctypes.string_at(id(old) + object.__basicsize__ + 2 * 8, 8))[0]
    assert ctypes.c_ssize_t.from_address(shape).value == 100_000
    middle = shape + old.nbytes // 2
    assert survivors_at([(middle - 64, middle + 64)], old).types == ()
    middle = old.ctypes.data + old.nbytes // 2
    [found] = survivors_at([(middle - 64, middle + 64)], old).types
    assert found.type == "numpy.ndarray"


@pytest.mark.parametrize("head_is_new", [False, True])
def test_of_a_large_buffer_counts_what_is_resident(*, head_is_new: bool) -> None:
    """One made long before and never filled was named for what native code took beside it."""
    kept = np.empty(64 * MIB, np.uint8)
    data = kept.ctypes.data
    spans = [(data, data + kept.nbytes), *(own(kept) if head_is_new else ())]
    kept[: 16 * MIB] = 1
    [found] = survivors_at(spans, kept).types
    assert 16 * MIB <= found.bytes < 24 * MIB


def test_of_a_buffer_that_lies_elsewhere_counts_all() -> None:
    """Nobody knows where it is; the head is new, and the object with it."""
    kept = np.empty(64 * MIB, np.uint8)
    [found] = survivors_at(own(kept), kept).types
    assert found.bytes == sys.getsizeof(kept)


def test_what_was_swapped_out_is_no_less_alive() -> None:
    """It is not resident, and counts nevertheless."""
    kept = np.empty(64 * MIB, np.uint8)
    data = kept.ctypes.data
    ranges = tuple(heap((data, data + kept.nbytes)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gc, "get_objects", lambda: [kept])
        [found] = find_survivors(OLD, Snapshot(0, 0, swap_bytes=MIB, ranges=ranges)).types
    assert found.bytes == sys.getsizeof(kept)


def test_a_class_without_a_module_has_a_name() -> None:
    """A C extension may leave it out."""
    nameless = type("Nameless", (), {"__slots__": ("a",)})
    [fields] = gc.get_referents(nameless.__dict__)
    del fields["__module__"]
    kept = nameless()
    [found] = survivors_at(own(kept), kept).types
    assert found.type.endswith("Nameless")


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


def test_a_buffer_of_a_library_counts_in_the_place_of_the_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The object is small, wherever it lies; what it owns is not."""
    owner, other = Kept(), Kept()

    class Libraries:
        def know(self, kind: type) -> bool:
            return kind is Kept

        def new_bytes(self, candidate: object, is_new: Callable[[int, int], bool]) -> int:
            return 5000 if candidate is owner and is_new(id(owner), 1) else 0

    monkeypatch.setattr(survivors, "LibraryBuffers", Libraries)
    found = survivors_at(own(owner, other), owner, other)
    size = sys.getsizeof(other)
    assert found == Survivors((SurvivorType(f"{__name__}.Kept", 2, 5000 + size),), 5000)


def newborn_among(monkeypatch: pytest.MonkeyPatch, *young: object) -> Survivors:
    """What is found when these are the objects that no full collection has seen."""
    generations = {0: list(young[:1]), 1: list(young[1:])}
    monkeypatch.setattr(survivors, "KEEPS_OLD_APART", True)
    monkeypatch.setattr(gc, "get_objects", lambda generation: generations[generation])
    return find_newborn(512)


def test_a_newborn_object_is_found_with_what_hangs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also inside dicts and tuples that gc has stopped to track; in either young generation."""
    text, deep = bytes(700), bytes(2000)
    inner = (deep, 1.5)
    kept = [text, inner]
    gc.collect()
    assert not gc.is_tracked(inner)
    # Held by their names here, and by what they hang on: a half of each is the newborn's.
    found = newborn_among(monkeypatch, Kept(), kept)
    sizes = {one.type: (one.count, one.bytes) for one in found.types}
    assert sizes["list"] == (1, sys.getsizeof(kept))
    assert sizes[f"{__name__}.Kept"] == (1, sys.getsizeof(Kept()))
    assert sizes["tuple"][1] == sys.getsizeof(inner) // 2
    expected = sys.getsizeof(text) / 2 + sys.getsizeof(deep) / 4
    assert sizes["bytes"] == (1, round(expected))
    assert found.in_malloc_bytes == round(expected)


def test_an_object_that_several_newborns_hold_is_shared_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It counts about once in all."""
    holders = [[bytes(10_000)] for _ in range(1)]
    holders += [[holders[0][0]] for _ in range(3)]
    found = newborn_among(monkeypatch, *holders)
    assert found.in_malloc_bytes == sys.getsizeof(bytes(10_000))


def test_an_object_that_everybody_holds_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """``None``, small integers, names: their count of references is far above any share."""
    found = newborn_among(monkeypatch, [None] * 3)
    assert [one.type for one in found.types] == ["list"]


def test_what_a_newborn_module_keeps_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its names refer to hangs on its dict, which is found by itself."""
    module = ModuleType("made_here", doc="x" * 3000)
    found = newborn_among(monkeypatch, module)
    assert [(one.type, one.count) for one in found.types] == [("module", 1)]
    assert found.in_malloc_bytes == 0


def test_the_walk_and_objects_of_this_package_are_no_newborns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What measuring needs is not what the window left; the list of all objects is young itself."""
    ours = ScriptedProbe([Script(1)])
    assert newborn_among(monkeypatch, ours, ours) == Survivors(in_malloc_bytes=0)
    monkeypatch.undo()
    kept = [Kept()]
    found = find_newborn(512)
    assert not any(one.type.startswith("pytest_memreturn") for one in found.types)
    del kept


def test_without_generations_nobody_is_known_to_be_newborn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gc does not tell the young from the old, it gives all objects for each."""
    monkeypatch.setattr(gc, "get_objects", lambda generation=None: [[generation]])
    monkeypatch.setattr(survivors, "KEEPS_OLD_APART", False)
    assert find_newborn(512) == Survivors()


@pytest.mark.skipif(FREE_THREADED, reason="gc has no generations")
def test_newborns_are_those_that_no_collection_has_seen() -> None:
    """After a full collection they are not new any more."""
    gc.collect()
    gc.disable()
    try:
        kept = [[bytes(100_000)] for _ in range(20)]
        before = find_newborn(512).in_malloc_bytes or 0
        gc.collect()
        after = find_newborn(512).in_malloc_bytes or 0
    finally:
        gc.enable()
    assert before - after >= 0.99 * 20 * 100_000
    assert len(kept) == 20


def test_all_that_python_objects_hold_of_malloc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large ones, each once, new or old."""
    large, small = bytes(5000), bytes(50)
    holders = [[large, small], [large]]
    monkeypatch.setattr(gc, "get_objects", lambda: list(holders))
    assert python_in_malloc_bytes(512) == sys.getsizeof(large)
    whole = sum(sys.getsizeof(one) for one in (large, small, *holders))
    assert python_in_malloc_bytes(0) == whole
    monkeypatch.setattr(census, "_MOST_IN_ANY_CASE", 0)
    assert python_in_malloc_bytes(0, lambda: True) is None


# -- what may own native memory, and chains --


KEPT: list[object] = []


def native_survivors(*owners: object) -> list[SurvivorType]:
    """What is found of these when only what the first one points to is new."""
    new = gc.get_referents(owners[0])
    ranges = tuple(heap(*sorted((id(one), id(one) + 8) for one in new)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gc, "get_objects", lambda: [*owners, KEPT])
        found = find_survivors(OLD, Snapshot(0, 0, ranges=ranges, allocators=(PYMALLOC,)))
    return [one for one in found.types if one.is_native]


def test_an_object_of_an_extension_may_own_what_it_points_to() -> None:
    """It counts for nothing, since Python knows no size of it, and is named all the same."""
    found = native_survivors(functools.cmp_to_key(lambda *_: 0)([1.5]))
    assert [(one.type, one.count, one.bytes) for one in found] == [("functools.KeyWrapper", 1, 0)]


def test_what_the_program_holds_comes_before_what_a_library_keeps() -> None:
    """And what is held by less comes first."""
    chains = {
        "a.Parser": "C code (a.Parser 16 B)",
        "b.Pool": "b.POOL (list) → [0] → b.Pool 16 B",
        "c.Node": "app.DOCS (list) → [0] → c.Document → c.Node 16 B",
        "c.Document": "app.DOCS (list) → [0] → c.Document 16 B",
        "d.Lock": None,
    }
    named = [SurvivorType(name, 1, 0, chain) for name, chain in chains.items()]
    ordered = sorted(named, key=survivors._likeliness)
    assert [one.type for one in ordered] == ["c.Document", "c.Node", "a.Parser", "d.Lock", "b.Pool"]


def test_the_largest_types_are_followed_to_what_keeps_them() -> None:
    """Those with a part in the whole; of a type with many, one that is like most of them."""
    KEPT.append([bytes([number]) * 300 for number in range(50)])
    ranges = tuple(heap(*sorted((id(one), id(one) + 8) for one in gc.get_referents(KEPT[0]))))
    after = Snapshot(0, 0, ranges=ranges, allocators=(PYMALLOC,))
    try:
        found = {one.type: one for one in find_survivors(OLD, after).types}
        assert (found["bytes"].chain or "").startswith(f"{__name__}.KEPT (list) → [0] → list[")
    finally:
        KEPT.clear()


def test_a_census_that_ran_out_of_time_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has seen is told, as no more than that."""
    monkeypatch.setattr(census, "_MOST_IN_ANY_CASE", 0)
    found = find_survivors(OLD, Snapshot(0, 0, ranges=tuple(heap((5, 6)))), lambda: True)
    assert (found.types, found.is_whole) == ((), False)
