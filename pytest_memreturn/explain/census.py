"""The objects of the program, those looked at closer that may be wanted."""

from __future__ import annotations

import contextlib
import gc
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import compress, filterfalse, repeat
from operator import or_, rshift
from typing import TYPE_CHECKING, NamedTuple

from pytest_memreturn.allocators._imported import imported
from pytest_memreturn.explain.kinds import Kinds, every_type, size_of, tells_size, types_of_modules

if TYPE_CHECKING:
    from pytest_memreturn.explain.kinds import Kind

# As many at once as it takes for the loops in C to count for more than those in Python.
_BATCH = 1000
_CONTAINERS = (dict, list, tuple, set, frozenset, array, defaultdict)
# So many are looked at whatever time it takes: of an ordinary process on a busy machine, all.
_MOST_IN_ANY_CASE = 200_000
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

        `blocks`: addresses without their last 20 bits. `wanted_types`: the ids of types. 0.3 us for
        an object that is none of it.
        """
        tracked = gc.get_objects()
        passed = [tracked, blocks, wanted_types, *self._ours]
        self.own = self._what_is_ours(tracked) | set(map(id, passed))
        seen: set[int] = set()
        followed: set[int] = set()
        holds, is_larger = frozenset(blocks).__contains__, larger_than_bytes.__lt__
        is_of_wanted_type = frozenset(wanted_types).__contains__
        for first in range(0, len(tracked), _BATCH):
            if first >= _MOST_IN_ANY_CASE and self._is_over():
                self.is_whole = False
                return
            batch = tracked[first : first + _BATCH]
            level = batch
            while level:
                sizes = self._sizes(level)
                begins_there = map(holds, map(rshift, map(id, level), repeat(BLOCK_BITS)))
                wanted = map(or_, begins_there, map(is_larger, sizes))
                if wanted_types:
                    wanted = map(or_, wanted, map(is_of_wanted_type, map(id, map(type, level))))
                for one, size_bytes in compress(zip(level, sizes, strict=True), wanted):
                    kind = self.kinds.of(one)
                    if id(one) in seen or id(one) in self.own:
                        continue
                    seen.add(id(one))
                    yield Candidate(one, kind, size_bytes)
                level = self._untracked_behind(level, followed, is_tracked=level is batch)

    def _sizes(self, objects: Sequence[object]) -> list[int]:
        if not self._silent or self._silent.isdisjoint(map(id, map(type, objects))):
            with contextlib.suppress(Exception):
                return list(map(sys.getsizeof, objects))
        return [size_of(one, self.kinds.of(one)) for one in objects]

    def _what_is_ours(self, tracked: list[object]) -> set[int]:
        """The ids of this package's objects, and of the containers that they keep."""
        # In C, since no time is watched here: 5 million objects take a third of a second.
        is_ours = map(self._own_types.__contains__, map(id, map(type, tracked)))
        ours = list(compress(tracked, is_ours))
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

    def _untracked_behind(
        self, level: Sequence[object], followed: set[int], *, is_tracked: bool
    ) -> list[object]:
        """What some objects refer to that gc does not track; some of it several times."""
        if is_tracked:
            asked = [
                one
                for one in level
                if id(type(one)) not in self._not_asked and id(one) not in self.own
            ]
            return list(filterfalse(gc.is_tracked, gc.get_referents(*asked)))
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
        return list(filterfalse(gc.is_tracked, [*gc.get_referents(*asked), *bases]))


def _own_types() -> frozenset[int]:
    """The ids of the types of this package."""
    package = __name__.partition(".")[0]
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(package)]
    names = [one for module in modules for one in vars(module).values()]
    return frozenset(
        id(one) for one in names if isinstance(one, type) and one.__module__.startswith(package)
    )
