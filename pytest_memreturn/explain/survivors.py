"""Which Python objects a window left behind, without a census before it."""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_memreturn._record import Survivors, SurvivorType

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappedRange, Snapshot

# pymalloc serves requests up to 512 bytes (SMALL_REQUEST_THRESHOLD); larger ones go to malloc.
_LARGEST_POOLED_BYTES = 512

# How many types a report names, and from what part of the whole on; the sum counts all of them.
_NAMED_TYPES = 10
_NAMED_FROM = 1 / 1000

_OWN_MODULES = "pytest_memreturn."

# Objects larger than this have their buffer elsewhere; scanning them for it is not worth it.
_LARGEST_SCANNED_BYTES = 1024


def find_survivors(before: Snapshot, after: Snapshot) -> Survivors:
    """Every object that lies, or has its buffer, in memory that was not resident before.

    Needs the mapping layout of both snapshots; without it, nobody can look.
    """
    if not (before.ranges and after.ranges):
        return Survivors()
    grown = GrownRanges(before.ranges, after.ranges)
    counts: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    in_malloc_bytes = 0
    if not grown:
        return Survivors(in_malloc_bytes=0)
    for candidate in _reachable_objects():
        size_bytes = _size_of(candidate)
        if not (
            grown.holds(id(candidate), size_bytes) or _has_buffer_in(grown, candidate, size_bytes)
        ):
            continue
        name = _type_name(type(candidate))
        counts[name] += 1
        sizes[name] += size_bytes
        if size_bytes > _LARGEST_POOLED_BYTES:
            in_malloc_bytes += size_bytes
    largest = sorted(sizes, key=lambda name: -sizes[name])[:_NAMED_TYPES]
    least = sum(sizes.values()) * _NAMED_FROM
    types = tuple(
        SurvivorType(name, counts[name], sizes[name]) for name in largest if sizes[name] >= least
    )
    return Survivors(types, in_malloc_bytes)


class GrownRanges:
    """Addresses that belong to memory now and did not before."""

    def __init__(self, before: Iterable[MappedRange], after: Iterable[MappedRange]) -> None:
        old = sorted((one.start, one.end) for one in before)
        old_ends = [end for _, end in old]
        # Arrays, since lists would bring int objects of ours into what is counted.
        self._starts = array("Q")
        self._ends = array("Q")
        for one in sorted(after, key=lambda found: found.start):
            if one.kind not in {"heap", "arena", "anonymous"}:
                continue
            first = bisect_right(old_ends, one.start)
            for start, end in _without(
                one.start, one.end, (old[index] for index in range(first, len(old)))
            ):
                self._starts.append(start)
                self._ends.append(end)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def holds(self, address: int, size_bytes: int) -> bool:
        """Whether a block lies in new memory, by its first byte or by its middle.

        The first page of a new block may be an old one, shared with the block below it.
        """
        return address in self or address + size_bytes // 2 in self

    def __contains__(self, address: int) -> bool:
        index = bisect_right(self._starts, address) - 1
        return index >= 0 and address < self._ends[index]


def _without(start: int, end: int, old: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of ``start`` to ``end`` that no range of `old` (sorted, later ends) covers."""
    for old_start, old_end in old:
        if old_start >= end:
            break
        if old_start > start:
            yield start, old_start
        start = max(start, old_end)
    if start < end:
        yield start, end


def _reachable_objects() -> Iterator[object]:
    """Every object gc tracks, and what those refer to that gc does not track.

    Untracked dicts and tuples are followed further. Objects of this package are left out.
    """
    numpy_array = getattr(sys.modules.get("numpy"), "ndarray", None)
    tracked = gc.get_objects()
    own = {id(tracked)}
    seen: set[int] = set()
    for one in tracked:
        if id(one) in own or _is_ours(type(one)):
            continue
        yield one
        if any(base is ModuleType for base in _of_type(type(one), "__mro__")):
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


def _has_buffer_in(grown: GrownRanges, candidate: object, size_bytes: int) -> bool:
    """Whether a large object's own fields hold an address in `grown`.

    Lists, dicts, sets, bytearrays, arrays: their small fixed part may sit in an old hole while
    the buffer it points to is new. The fixed part of a live object can be read safely.
    """
    fixed_bytes: int = _of_type(type(candidate), "__basicsize__")
    if size_bytes - fixed_bytes <= _LARGEST_POOLED_BYTES or fixed_bytes > _LARGEST_SCANNED_BYTES:
        return False
    words = fixed_bytes // 8
    fields = struct.unpack(f"{words}Q", ctypes.string_at(id(candidate), words * 8))
    # The first two words are the reference count and the type.
    return any(grown.holds(word, size_bytes - fixed_bytes) for word in fields[2:])


def _type_name(found: type) -> str:
    module, name = _of_type(found, "__module__"), _of_type(found, "__qualname__")
    return name if module == "builtins" else f"{module}.{name}"
