"""Which Python objects a window left behind, without a census before it."""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_memreturn._ranges import AddressSet, grown_ranges
from pytest_memreturn._record import Survivors, SurvivorType
from pytest_memreturn.explain.buffers import LibraryBuffers

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot

# pymalloc serves requests up to 512 bytes (SMALL_REQUEST_THRESHOLD); larger ones go to malloc.
_LARGEST_POOLED_BYTES = 512

# How many types a report names, and from what part of the whole on; the sum counts all of them.
_NAMED_TYPES = 10
_NAMED_FROM = 1 / 1000

_OWN_MODULES = "pytest_memreturn."

# Objects larger than this have their buffer elsewhere; scanning them for it is not worth it.
_LARGEST_SCANNED_BYTES = 1024

# What every object begins with: counts of references and the type. Two words, or four in
# free-threaded builds.
_HEADER_WORDS = object.__basicsize__ // 8

# Free-threaded builds keep no generations: asked for one, 3.13 gives all objects each time.
_HAS_GENERATIONS = not sysconfig.get_config_var("Py_GIL_DISABLED")


def _own_references() -> int:
    """What asking for the count of references adds to it: the name, and maybe the argument.

    CPython 3.14 lends the reference of a local name, where older ones make another.
    """
    other = object()
    return sys.getrefcount(other)


_OWN_REFERENCES = _own_references()


def find_survivors(before: Snapshot, after: Snapshot) -> Survivors:
    """Every object that lies, or has its buffer, in memory that was not resident before.

    Needs the mapping layout of both snapshots; without it, nobody can look.
    """
    if not (before.ranges and after.ranges):
        return Survivors()
    grown = AddressSet(grown_ranges(before.ranges, after.ranges))
    if not grown:
        return Survivors(in_malloc_bytes=0)

    libraries = LibraryBuffers()
    pooled = pooled_up_to_bytes(after.allocators)

    def new_bytes(candidate: object, size_bytes: int) -> int:
        in_library = libraries.new_bytes(candidate, grown.holds) if libraries else 0
        if in_library:
            return in_library
        is_new = grown.holds(id(candidate), size_bytes)
        return size_bytes if is_new or _has_buffer_in(grown, candidate, size_bytes) else 0

    return _count(_reachable_objects(gc.get_objects()), new_bytes, pooled)


def pooled_up_to_bytes(allocators: Iterable[AllocatorStatistics]) -> int:
    """Objects up to this size come from pymalloc; where it is not in use, none do."""
    return _LARGEST_POOLED_BYTES if any(one.name == "python" for one in allocators) else 0


def find_newborn(pooled_bytes: int) -> Survivors:
    """Every object that no full collection has seen yet, garbage included; about that many.

    Tells what is new where addresses don't, as long as no collection comes before it. This runs
    before the reading that is judged, so it keeps no account of what it has seen: an object
    that several hold counts for each of them by its part. Where gc has no generations, nobody
    can look.
    """
    if not _HAS_GENERATIONS:
        return Survivors()
    counts: dict[str, float] = defaultdict(float)
    sizes: dict[str, float] = defaultdict(float)
    in_malloc_bytes = 0.0
    young = [*gc.get_objects(0), *gc.get_objects(1)]
    for one in young:
        if one is young or _is_ours(type(one)):
            continue
        for candidate, share in _with_shares(one):
            size_bytes = _size_of(candidate)
            name = _type_name(type(candidate))
            counts[name] += share
            sizes[name] += size_bytes * share
            if size_bytes > pooled_bytes:
                in_malloc_bytes += size_bytes * share
    return _by_type(
        {name: round(count) for name, count in counts.items()},
        {name: round(size) for name, size in sizes.items()},
        round(in_malloc_bytes),
    )


def _with_shares(one: object) -> Iterator[tuple[object, float]]:
    """An object that gc tracks, and its part in each untracked one that hangs on it."""
    yield one, 1.0
    if _is_module(type(one)):
        return
    pending = [(one, 1.0)]
    while pending:
        holder, part = pending.pop()
        referents = gc.get_referents(holder)
        while referents:
            other = referents.pop()
            if gc.is_tracked(other):
                continue
            share = part / max(1, sys.getrefcount(other) - _OWN_REFERENCES)
            yield other, share
            if type(other) is dict or type(other) is tuple:
                pending.append((other, share))


def python_in_malloc_bytes(pooled_bytes: int) -> int:
    """What all Python objects together hold of malloc, or of what serves in its place."""
    return sum(
        size_bytes
        for candidate in _reachable_objects(gc.get_objects())
        if (size_bytes := _size_of(candidate)) > pooled_bytes
    )


def _count(
    candidates: Iterable[object], new_bytes: Callable[[object, int], int], pooled_bytes: int
) -> Survivors:
    """The candidates of which some bytes are new, by type."""
    counts: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    in_malloc_bytes = 0
    for candidate in candidates:
        size_bytes = new_bytes(candidate, _size_of(candidate))
        if not size_bytes:
            continue
        name = _type_name(type(candidate))
        counts[name] += 1
        sizes[name] += size_bytes
        if size_bytes > pooled_bytes:
            in_malloc_bytes += size_bytes
    return _by_type(counts, sizes, in_malloc_bytes)


def _by_type(
    counts: Mapping[str, int], sizes: Mapping[str, int], in_malloc_bytes: int
) -> Survivors:
    """The largest types, and the sum of all."""
    largest = sorted(sizes, key=lambda name: -sizes[name])[:_NAMED_TYPES]
    least = sum(sizes.values()) * _NAMED_FROM
    types = tuple(
        SurvivorType(name, counts[name], sizes[name]) for name in largest if sizes[name] >= least
    )
    return Survivors(types, in_malloc_bytes)


def _reachable_objects(tracked: list[object]) -> Iterator[object]:
    """The `tracked` objects, and what those refer to that gc does not track.

    Untracked dicts and tuples are followed further. Objects of this package are left out.
    """
    numpy_array = getattr(sys.modules.get("numpy"), "ndarray", None)
    own = {id(tracked)}
    seen: set[int] = set()
    for one in tracked:
        if id(one) in own or _is_ours(type(one)):
            continue
        yield one
        if _is_module(type(one)):
            # What a module's names refer to hangs on its dict, which gc tracks. What a C module
            # keeps besides must not be touched: _asyncio of CPython 3.12 shows dead objects of its
            # free list here, and to take a reference to one and drop it makes that list a ring.
            continue
        pending = _untracked_referents(one)
        while pending:
            other = pending.pop()
            if id(other) in seen or id(other) in own:
                continue
            seen.add(id(other))
            yield other
            if type(other) is dict or type(other) is tuple:
                pending += _untracked_referents(other)
            elif numpy_array is not None and any(
                one is numpy_array for one in _of_type(type(other), "__mro__")
            ):
                # An array says nothing to gc of the object whose memory it shows.
                base = numpy_array.base.__get__(other)
                if base is not None and not gc.is_tracked(base):
                    pending.append(base)


def _is_module(found: type) -> bool:
    return any(base is ModuleType for base in _of_type(found, "__mro__"))


def _is_ours(found: type) -> bool:
    module = _of_type(found, "__module__")
    return isinstance(module, str) and module.startswith(_OWN_MODULES)


def _of_type(found: type, name: str) -> Any:  # noqa: ANN401 - a class may name anything its module
    """An attribute of a class as `type` has it, whatever its metaclass has in its place."""
    return type.__dict__[name].__get__(found)


def _untracked_referents(one: object) -> list[object]:
    return [other for other in gc.get_referents(one) if not gc.is_tracked(other)]


def _size_of(candidate: object) -> int:
    try:
        return sys.getsizeof(candidate)
    except Exception:  # noqa: BLE001 - somebody else's __sizeof__ may do anything
        return 0


def _has_buffer_in(grown: AddressSet, candidate: object, size_bytes: int) -> bool:
    """Whether a large object's own fields hold an address in `grown`.

    Lists, dicts, sets, bytearrays, arrays: their small fixed part may sit in an old hole while
    the buffer it points to is new. The fixed part of a live object can be read safely.
    """
    fixed_bytes: int = _of_type(type(candidate), "__basicsize__")
    if size_bytes - fixed_bytes <= _LARGEST_POOLED_BYTES or fixed_bytes > _LARGEST_SCANNED_BYTES:
        return False
    words = fixed_bytes // 8
    fields = struct.unpack(f"{words}Q", ctypes.string_at(id(candidate), words * 8))
    # Behind what every object begins with, a numpy array has the address of its data; what it
    # keeps of its shape is another block, small and far from them.
    pointers = fields[_HEADER_WORDS:]
    if _is_numpy_array(type(candidate)):
        pointers = pointers[:1]
    return any(grown.holds(word, size_bytes - fixed_bytes) for word in pointers)


def _is_numpy_array(found: type) -> bool:
    numpy_array = getattr(sys.modules.get("numpy"), "ndarray", None)
    return any(one is numpy_array for one in _of_type(found, "__mro__"))


def _type_name(found: type) -> str:
    module, name = _of_type(found, "__module__"), _of_type(found, "__qualname__")
    return name if module == "builtins" else f"{module}.{name}"
