"""Which Python objects a window left behind, without a census before it."""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_memreturn._explanation import Survivors, SurvivorType
from pytest_memreturn._ranges import AddressSet, grown_ranges
from pytest_memreturn._release import KEEPS_OLD_APART
from pytest_memreturn._sizes import MIB
from pytest_memreturn.explain.buffers import LibraryBuffers, buffer_in
from pytest_memreturn.explain.census import BLOCK_BITS, Candidate, Census
from pytest_memreturn.explain.chains import ChainFinder
from pytest_memreturn.explain.kinds import Kinds, every_type, size_of, types_of_modules
from pytest_memreturn.explain.of_one_type import OfOneType
from pytest_memreturn.probes.residency import resident_bytes

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot

# pymalloc serves requests up to 512 bytes (SMALL_REQUEST_THRESHOLD); larger ones go to malloc.
_LARGEST_POOLED_BYTES = 512

# How many types a report names, and from what part of the whole on; the sum counts all of them.
_NAMED_TYPES = 10
_NAMED_FROM = 1 / 1000
_NAMED_NATIVE_TYPES = 3
_FOLLOWED_NATIVE_TYPES = 8
# From what part of the whole on a type is followed to what keeps its largest object alive.
_FOLLOWED_FROM = 1 / 20

# A buffer of this size may have been made long before and never been filled, with new memory on
# either side of it in the same mapping: a bytearray of 34 MiB was named for what native code took.
_LARGE_BYTES = MIB


def _own_references() -> int:
    """What asking for the count of references adds to it: the name, and maybe the argument.

    CPython 3.14 lends the reference of a local name, where older ones make another.
    """
    other = object()
    return sys.getrefcount(other)


_OWN_REFERENCES = _own_references()


def find_survivors(
    before: Snapshot,
    after: Snapshot,
    is_over: Callable[[], bool] = lambda: False,
    is_over_for_chains: Callable[[], bool] = lambda: False,
) -> Survivors:
    """Every object that lies, or has its buffer, in memory that was not resident before.

    Needs the mapping layout of both snapshots; without it, nobody can look. Of the largest types
    the largest object is followed to what keeps it alive. Not all are looked at once `is_over`,
    and none is followed any further once `is_over_for_chains`.
    """
    if not (before.ranges and after.ranges):
        return Survivors()
    grown = AddressSet(grown_ranges(before.ranges, after.ranges))
    if not grown:
        return Survivors(in_malloc_bytes=0)
    census = Census(is_over)
    tally = Tally(pooled_up_to_bytes(after.allocators))
    new = _New(grown, is_anywhere=after.swap_bytes > before.swap_bytes)
    blocks = grown.blocks(BLOCK_BITS)
    owners = new.types_of_owners()
    for found in census.candidates(blocks, _LARGEST_POOLED_BYTES, owners):
        size_bytes = new.bytes_of(found)
        if size_bytes or new.owns_natively(found):
            tally.add(found, size_bytes)
    types = tally.types(ChainFinder(is_over_for_chains), census.own)
    return Survivors(types, tally.in_malloc_bytes, census.is_whole)


class _New:
    """Tells which of the candidates are new, by where they and their buffers lie."""

    def __init__(self, grown: AddressSet, *, is_anywhere: bool) -> None:
        self._grown = grown
        # What was swapped out is no less alive for not being resident.
        self._is_anywhere = is_anywhere
        self._libraries = LibraryBuffers()
        self._kinds = Kinds()

    def types_of_owners(self) -> set[int]:
        """The ids of types whose objects may own memory that their size does not tell of."""
        return {
            id(one)
            for one in every_type()
            if self._libraries.know(one) or self._kinds.of_type(one).is_native
        }

    def bytes_of(self, found: Candidate) -> int:
        """How many bytes of an object and its buffer are new."""
        candidate, kind, size_bytes = found
        holds = self._grown.holds
        in_library = self._libraries.new_bytes(candidate, holds) if self._libraries else 0
        if in_library:
            return in_library
        is_new = holds(id(candidate), size_bytes if kind.is_in_one_piece else kind.fixed_bytes)
        has_small_buffer = size_bytes - kind.fixed_bytes <= _LARGEST_POOLED_BYTES
        # In one piece there is no buffer to be new: two short numbers of a code object, side by
        # side, looked like an address.
        if not is_new and (kind.is_in_one_piece or has_small_buffer):
            return 0
        if is_new and (kind.is_in_one_piece or size_bytes < _LARGE_BYTES):
            start = id(candidate)
        else:
            start = buffer_in(self._grown, candidate, kind, size_bytes)
            if not start:
                return size_bytes if is_new else 0
        if size_bytes < _LARGE_BYTES or self._is_anywhere:
            return size_bytes
        return resident_bytes(start, size_bytes)

    def owns_natively(self, found: Candidate) -> bool:
        """Whether an old object of an extension's type points into new memory."""
        return found.kind.is_native and bool(
            buffer_in(self._grown, found.one, found.kind, found.kind.fixed_bytes)
        )


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
    kinds, not_asked = Kinds(), types_of_modules()
    young = [*gc.get_objects(0), *gc.get_objects(1)]
    for one in young:
        kind = kinds.of(one)
        if one is young or kind.is_ours:
            continue
        for candidate, share in _with_shares(one, not_asked):
            candidates_kind = kinds.of(candidate)
            size_bytes, name = size_of(candidate, candidates_kind), candidates_kind.name
            counts[name] += share
            sizes[name] += size_bytes * share
            if size_bytes > pooled_bytes:
                in_malloc_bytes += size_bytes * share
    return _by_type(
        {name: round(count) for name, count in counts.items()},
        {name: round(size) for name, size in sizes.items()},
        round(in_malloc_bytes),
    )


def _with_shares(one: object, not_asked: Collection[int]) -> Iterator[tuple[object, float]]:
    """An object that gc tracks, and its part in each untracked one that hangs on it."""
    yield one, 1.0
    if id(type(one)) in not_asked:
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


def python_in_malloc_bytes(
    pooled_bytes: int, is_over: Callable[[], bool] = lambda: False
) -> int | None:
    """What all Python objects together hold of malloc, or of what serves in its place.

    ``None`` where there are too many to look at before it `is_over`.
    """
    census = Census(is_over)
    found_bytes = sum(one.size_bytes for one in census.candidates((), pooled_bytes))
    return found_bytes if census.is_whole else None


class Tally:
    """Objects by type. Holds an example of each: let go of it soon."""

    def __init__(self, pooled_bytes: int) -> None:
        self.in_malloc_bytes = 0
        self._pooled_bytes = pooled_bytes
        self._found: dict[str, OfOneType] = defaultdict(OfOneType)
        self._native: set[str] = set()

    def add(self, found: Candidate, size_bytes: int) -> None:
        """Count an object of which so many bytes are new, or none, if it may own others."""
        self._found[found.kind.name].add(found.one, size_bytes)
        if found.kind.is_native:
            self._native.add(found.kind.name)
        if size_bytes > self._pooled_bytes:
            self.in_malloc_bytes += size_bytes

    def types(self, finder: ChainFinder, own: Collection[int]) -> tuple[SurvivorType, ...]:
        """The largest types, and some that may own native memory."""
        counts = {name: one.count for name, one in self._found.items()}
        sizes = {name: one.bytes for name, one in self._found.items()}
        largest = _by_type(counts, sizes, 0).types
        # Libraries of others first: of those of Python itself everybody has some.
        natives = sorted(
            self._native.difference(one.type for one in largest),
            key=lambda name: (name.partition(".")[0] in sys.stdlib_module_names, name),
        )
        natives = natives[:_FOLLOWED_NATIVE_TYPES]
        named = [*largest, *(SurvivorType(one, counts[one], sizes[one]) for one in natives)]
        worth = sum(one.bytes for one in named) * _FOLLOWED_FROM
        followed = [one.type for one in named if one.bytes >= worth or one.type in self._native]
        targets = [self._found[name].example() for name in followed]
        # Whatever else holds them would look like what keeps them alive.
        self._found.clear()
        chains = dict(zip(followed, finder.chains_to(targets, own), strict=True))
        named = [
            replace(one, chain=chains.get(one.type), is_native=one.type in self._native)
            for one in named
        ]
        # What a library keeps for itself it mostly has in any program.
        kept_by_others = sorted(named[len(largest) :], key=_likeliness)
        return (*named[: len(largest)], *kept_by_others[:_NAMED_NATIVE_TYPES])


def _likeliness(found: SurvivorType) -> tuple[bool, int]:
    """Those first that something outside their own library holds, with as little between."""
    library, chain = found.type.partition(".")[0], found.chain or "C code"
    return chain.startswith(("C code", f"{library}.")), chain.count("→")


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
