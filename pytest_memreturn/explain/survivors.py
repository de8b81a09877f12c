"""Which Python objects a window left behind, without a census before it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_memreturn._explanation import Survivors, SurvivorType
from pytest_memreturn._ranges import AddressSet, grown_ranges
from pytest_memreturn._release import KEEPS_OLD_APART
from pytest_memreturn._sizes import MIB
from pytest_memreturn.allocators._imported import imported
from pytest_memreturn.explain.buffers import LibraryBuffers
from pytest_memreturn.probes.residency import resident_bytes

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

# A buffer of this size may have been made long before and never been filled, with new memory on
# either side of it in the same mapping: a bytearray of 34 MiB was named for what native code took.
_LARGE_BYTES = MIB

# What every object begins with: counts of references and the type. Two words, or four in
# free-threaded builds.
_HEADER_WORDS = object.__basicsize__ // 8


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
    kinds = _Kinds()
    holds = grown.holds

    def new_bytes(candidate: object, kind: _Kind, size_bytes: int) -> int:
        in_library = libraries.new_bytes(candidate, holds) if libraries else 0
        if in_library:
            return in_library
        is_new = holds(id(candidate), size_bytes if kind.is_in_one_piece else kind.fixed_bytes)
        if not is_new and size_bytes - kind.fixed_bytes <= _LARGEST_POOLED_BYTES:
            return 0  # nearly every object: it has no buffer, or a small one
        if is_new and (kind.is_in_one_piece or size_bytes < _LARGE_BYTES):
            start = id(candidate)
        else:
            start = _buffer_in(grown, candidate, kind, size_bytes)
            if not start:
                return size_bytes if is_new else 0
        if size_bytes < _LARGE_BYTES or after.swap_bytes > before.swap_bytes:
            return size_bytes
        return resident_bytes(start, size_bytes)

    return _count(_reachable_objects(gc.get_objects(), kinds), new_bytes, pooled)


def pooled_up_to_bytes(allocators: Iterable[AllocatorStatistics]) -> int:
    """Objects up to this size come from pymalloc; where it is not in use, none do."""
    return _LARGEST_POOLED_BYTES if any(one.name == "python" for one in allocators) else 0


def find_newborn(pooled_bytes: int) -> Survivors:
    """Every object that no full collection has seen yet, garbage included; about that many.

    Tells what is new where addresses don't, as long as no collection comes before it. This runs
    before the reading that is judged, so it keeps no account of what it has seen: an object
    that several hold counts for each of them by its part. Where gc does not keep old objects apart
    (a free-threaded build gives all of them for any generation), nobody can look.
    """
    if not KEEPS_OLD_APART:
        return Survivors()
    counts: dict[str, float] = defaultdict(float)
    sizes: dict[str, float] = defaultdict(float)
    in_malloc_bytes = 0.0
    kinds = _Kinds()
    young = [*gc.get_objects(0), *gc.get_objects(1)]
    for one in young:
        kind = kinds.of(one)
        if one is young or kind.is_ours:
            continue
        for candidate, share in _with_shares(one, kind):
            size_bytes = _size_of(candidate)
            name = kinds.of(candidate).name
            counts[name] += share
            sizes[name] += size_bytes * share
            if size_bytes > pooled_bytes:
                in_malloc_bytes += size_bytes * share
    return _by_type(
        {name: round(count) for name, count in counts.items()},
        {name: round(size) for name, size in sizes.items()},
        round(in_malloc_bytes),
    )


def _with_shares(one: object, kind: _Kind) -> Iterator[tuple[object, float]]:
    """An object that gc tracks, and its part in each untracked one that hangs on it."""
    yield one, 1.0
    if kind.is_module:
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
        for candidate, _ in _reachable_objects(gc.get_objects(), _Kinds())
        if (size_bytes := _size_of(candidate)) > pooled_bytes
    )


def _count(
    candidates: Iterable[tuple[object, _Kind]],
    new_bytes: Callable[[object, _Kind, int], int],
    pooled_bytes: int,
) -> Survivors:
    """The candidates of which some bytes are new, by type."""
    counts: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    in_malloc_bytes = 0
    for candidate, kind in candidates:
        size_bytes = new_bytes(candidate, kind, _size_of(candidate))
        if not size_bytes:
            continue
        counts[kind.name] += 1
        sizes[kind.name] += size_bytes
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


def _reachable_objects(tracked: list[object], kinds: _Kinds) -> Iterator[tuple[object, _Kind]]:
    """The `tracked` objects, and what those refer to that gc does not track.

    Untracked dicts and tuples are followed further. Objects of this package are left out.
    """
    seen: set[int] = set()
    for one in tracked:
        kind = kinds.of(one)
        if kind.is_ours or one is tracked:
            continue
        yield one, kind
        if kind.is_module:
            # What a module's names refer to hangs on its dict, which gc tracks. What a C module
            # keeps besides must not be touched: _asyncio of CPython 3.12 shows dead objects of its
            # free list here, and to take a reference to one and drop it makes that list a ring.
            continue
        pending = _untracked_referents(one)
        while pending:
            other = pending.pop()
            address = id(other)
            if address in seen:
                continue
            seen.add(address)
            kind = kinds.of(other)
            yield other, kind
            if kind.is_followed:
                pending += _untracked_referents(other)
            elif kind.numpy_base is not None:
                # An array says nothing to gc of the object whose memory it shows.
                base = kind.numpy_base(other)
                if base is not None and not gc.is_tracked(base):
                    pending.append(base)


class _Kind:
    """What a census asks of a type, asked once."""

    __slots__ = (
        "fixed_bytes",
        "is_followed",
        "is_in_one_piece",
        "is_module",
        "is_ours",
        "name",
        "numpy_base",
        "type",
    )

    def __init__(self, found: type, numpy_array: Any | None) -> None:  # noqa: ANN401 - a type
        mro = _of_type(found, "__mro__")
        module, name = None, _of_type(found, "__qualname__")
        with contextlib.suppress(AttributeError):  # a C extension may give none
            module = _of_type(found, "__module__")
        # Keeps the type's address from being given to another one.
        self.type = found
        self.name: str = name if module == "builtins" else f"{module}.{name}"
        self.is_ours = isinstance(module, str) and module.startswith(_OWN_MODULES)
        self.is_module = any(base is ModuleType for base in mro)
        self.is_followed = found is dict or found is tuple
        # The items of bytes, tuples and numbers follow their fixed part, and so does a text; what
        # lies behind a bytearray or a list is anybody's.
        self.is_in_one_piece = _of_type(found, "__itemsize__") > 0 or found is str
        self.fixed_bytes: int = _of_type(found, "__basicsize__")
        self.numpy_base: Callable[[object], object] | None = None
        if numpy_array is not None and any(base is numpy_array for base in mro):
            self.numpy_base = numpy_array.base.__get__


class _Kinds:
    """The kinds of all objects of one census: some hundred, of a million objects."""

    def __init__(self) -> None:
        # By address: a metaclass may compare and hash its classes in any way.
        self._known: dict[int, _Kind] = {}
        self._numpy_array = imported("numpy", "ndarray")

    def of(self, one: object) -> _Kind:
        """The kind of an object."""
        found = type(one)
        kind = self._known.get(id(found))
        if kind is None:
            kind = self._known[id(found)] = _Kind(found, self._numpy_array)
        return kind


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


def _buffer_in(grown: AddressSet, candidate: object, kind: _Kind, size_bytes: int) -> int:
    """The address in `grown` that a large object's own fields hold; 0 if they hold none.

    Lists, dicts, sets, bytearrays, arrays: their small fixed part may sit in an old hole while
    the buffer it points to is new. The fixed part of a live object can be read safely.
    """
    fixed_bytes = kind.fixed_bytes
    if fixed_bytes > _LARGEST_SCANNED_BYTES:
        return 0
    words = fixed_bytes // 8
    fields = struct.unpack(f"{words}Q", ctypes.string_at(id(candidate), words * 8))
    # Behind what every object begins with, a numpy array has the address of its data; what it
    # keeps of its shape is another block, small and far from them.
    pointers = fields[_HEADER_WORDS:]
    if kind.numpy_base is not None:
        pointers = pointers[:1]
    return next((word for word in pointers if grown.holds(word, size_bytes - fixed_bytes)), 0)
