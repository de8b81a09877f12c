"""The objects of the program, those looked at closer that may be wanted."""

from __future__ import annotations

import contextlib
import gc
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress, filterfalse, repeat
from operator import or_, rshift
from typing import TYPE_CHECKING, NamedTuple

from pytest_memreturn.allocators._imported import imported
from pytest_memreturn.explain.kinds import (
    Kinds,
    every_type,
    kinds_among,
    size_of,
    tells_size,
    types_of_modules,
)

if TYPE_CHECKING:
    from pytest_memreturn.explain.kinds import Kind

# As many at once as it takes for the loops in C to count for more than those in Python.
_BATCH = 1000
_CONTAINERS = (dict, list, tuple, set, frozenset, array, defaultdict)
# So many are looked at whatever time it takes: of an ordinary process on a busy machine, all.
_MOST_IN_ANY_CASE = 200_000
# What lies before an object, and is no part of what its method tells: for the collector, and for
# its attributes.
_MOST_BEFORE_BYTES = 32
# Blocks of a mebibyte: coarse enough for a set of all that are new.
BLOCK_BITS = 20


class Candidate(NamedTuple):
    """An object, what is known of its type, and its size as `size_of` tells it."""

    one: object
    kind: Kind
    size_bytes: int


class Census:
    """Goes through every object that gc tracks, and what these refer to that it does not.

    Takes 8 bytes for each object that gc tracks, and some 100 for each candidate and each
    untracked tuple and dict. Objects of this package are left out, and what they keep in tuples,
    lists and the like: `own` has their ids. Stops once `is_over` where there are many, and is not
    `is_whole` then.
    """

    def __init__(
        self, is_over: Callable[[], bool] = lambda: False, *, ours: Sequence[object] = ()
    ) -> None:
        """`ours`: lists and the like that only whoever asks has made."""
        self._ours = ours
        self.kinds = Kinds()
        self.is_whole = True
        self.own: set[int] = set()
        self._is_over = is_over
        self._own_types = _own_types()
        self._not_asked = self._own_types | types_of_modules()
        self._silent = frozenset(id(one) for one in every_type() if not tells_size(one))
        self._followed = {id(tuple), id(dict), id(imported("numpy", "ndarray"))}

    def candidates(
        self,
        blocks: Collection[int],
        larger_than_bytes: int,
        wanted_types: Collection[int] = (),
    ) -> Iterator[Candidate]:
        """Every object, once, that is larger than that, begins in a block or is of a wanted type.

        `blocks`: addresses without their last 20 bits. `wanted_types`: the ids of types. 0.3 us
        for an object that is none of it.
        """
        tracked = gc.get_objects()
        passed = [tracked, blocks, wanted_types, *self._ours]
        kinds_of_batches = _kinds_of_batches(tracked)
        self.own = self._what_is_ours(tracked, kinds_of_batches) | set(map(id, passed))
        wanted = _Wanted(frozenset(blocks), larger_than_bytes, frozenset(wanted_types))
        seen: set[int] = set()
        followed: set[int] = set()
        for number, kinds in enumerate(kinds_of_batches):
            first = number * _BATCH
            if first >= _MOST_IN_ANY_CASE and self._is_over():
                self.is_whole = False
                return
            level = tracked[first : first + _BATCH]
            among, is_tracked = kinds, True
            while level:
                for one, size_bytes in self._wanted(level, among, wanted):
                    if id(one) in seen or id(one) in self.own:
                        continue
                    seen.add(id(one))
                    yield Candidate(one, self.kinds.of(one), size_bytes)
                behind = self._behind(level, among) if is_tracked else self._on(level, followed)
                level = list(filterfalse(gc.is_tracked, behind))
                among, is_tracked = kinds_among(level), False

    def _wanted(
        self, level: Sequence[object], among: AbstractSet[int], wanted: _Wanted
    ) -> Iterable[tuple[object, int]]:
        """Those of some objects, of the kinds `among` these, that are wanted, with their sizes."""
        is_of_type = not wanted.types.isdisjoint(among)
        # Of a thousand old objects of a large process mostly none is: all of this is in C.
        only_large = not is_of_type and not wanted.begin_there(level)
        if only_large and len(among) == 1:
            # A seventh of what `sys.getsizeof` takes, which looks its method up each time.
            method = self.kinds.of(level[0]).size_method
            with contextlib.suppress(Exception):
                if max(map(method, level)) + _MOST_BEFORE_BYTES <= wanted.larger_than_bytes:
                    return ()
        sizes = self._sizes(level, among)
        if only_large and max(sizes) <= wanted.larger_than_bytes:
            return ()
        is_larger = map(wanted.larger_than_bytes.__lt__, sizes)
        found = map(or_, map(wanted.blocks.__contains__, _blocks_of(level)), is_larger)
        if is_of_type:
            found = map(or_, found, map(wanted.types.__contains__, map(id, map(type, level))))
        return compress(zip(level, sizes, strict=True), found)

    def _sizes(self, objects: Sequence[object], kinds: AbstractSet[int]) -> list[int]:
        if self._silent.isdisjoint(kinds):
            with contextlib.suppress(Exception):
                return list(map(sys.getsizeof, objects))
        return [size_of(one, self.kinds.of(one)) for one in objects]

    def _what_is_ours(self, tracked: list[object], kinds_of_batches: list[set[int]]) -> set[int]:
        """The ids of this package's objects, and of the containers that they keep."""
        ours = [
            one
            for number, kinds in enumerate(kinds_of_batches)
            if not self._own_types.isdisjoint(kinds)
            for one in tracked[number * _BATCH : (number + 1) * _BATCH]
            if id(type(one)) in self._own_types
        ]
        found = set(map(id, ours))
        while ours:
            kept = [
                one
                for one in gc.get_referents(*ours)
                if type(one) in _CONTAINERS and id(one) not in found
            ]
            found.update(map(id, kept))
            ours = kept
        return found

    def _behind(self, level: Sequence[object], kinds: AbstractSet[int]) -> list[object]:
        """What some objects refer to that gc tracks."""
        if self._not_asked.isdisjoint(kinds) and self.own.isdisjoint(map(id, level)):
            return gc.get_referents(*level)
        return gc.get_referents(
            *(
                one
                for one in level
                if id(type(one)) not in self._not_asked and id(one) not in self.own
            )
        )

    def _on(self, level: Sequence[object], followed: set[int]) -> list[object]:
        """What some objects refer to that gc does not track; of each once."""
        asked, bases = [], []
        for one in [one for one in level if id(type(one)) in self._followed]:
            if id(one) in followed:
                continue
            followed.add(id(one))
            kind = self.kinds.of(one)
            if kind.numpy_base is None:
                asked.append(one)
            else:
                # An array says nothing to gc of the object whose memory it shows.
                bases.append(kind.numpy_base(one))
        return [*gc.get_referents(*asked), *bases]


class _Wanted(NamedTuple):
    """What a census is asked for."""

    blocks: frozenset[int]
    larger_than_bytes: int
    types: frozenset[int]

    def begin_there(self, level: Sequence[object]) -> bool:
        """Whether any of some objects begins in a block."""
        return not self.blocks.isdisjoint(_blocks_of(level))


def _kinds_of_batches(tracked: Sequence[object]) -> list[set[int]]:
    # By itself: where a comprehension is a function, the list of all objects would list the cell
    # that it is passed in, and stay until the next collection.
    return [
        kinds_among(tracked[first : first + _BATCH]) for first in range(0, len(tracked), _BATCH)
    ]


def _blocks_of(objects: Sequence[object]) -> Iterator[int]:
    return map(rshift, map(id, objects), repeat(BLOCK_BITS))


def _own_types() -> frozenset[int]:
    """The ids of the types of this package."""
    package = __name__.partition(".")[0]
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(package)]
    names = [one for module in modules for one in vars(module).values()]
    return frozenset(
        id(one) for one in names if isinstance(one, type) and one.__module__.startswith(package)
    )
