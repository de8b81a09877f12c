"""What keeps an object alive: the shortest chain of references to it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import filterfalse
from types import ModuleType

from pytest_memreturn.allocators._imported import imported
from pytest_memreturn.explain.chain_words import in_words
from pytest_memreturn.explain.kinds import Kinds, kinds_among, types_of_modules
from pytest_memreturn.explain.links import isinstance_of
from pytest_memreturn.explain.roots import Roots

# A longer chain explains nothing, and each step is a pass over all objects: 35 ms for 2 million.
_MOST_STEPS = 15
# A pass takes longer the more objects are looked for: 70 ms for 20, 180 ms for 60.
_LOOKED_FOR_AT_ONCE = 20
# At one distance from an object lie a few others, or thousands that lead nowhere else.
_MOST_AT_A_DISTANCE = 100
# How many objects are asked at once what they refer to.
_ASKED_AT_ONCE = 1000

_C_CODE = "C code"


class ChainFinder:
    """Finds what keeps objects alive, by the references there are when it is made and asked.

    Takes some thousand references while it looks and, where it has to look for what gc does not
    track, 8 bytes for every object that gc does. Keeps none of the objects it is asked about.
    """

    def __init__(self, is_over: Callable[[], bool] = lambda: False) -> None:
        self._roots = Roots()
        self._kinds = Kinds()
        self._is_over = is_over
        self._not_asked = types_of_modules()

    def chains_to(
        self, targets: list[object], ignored: Collection[int] = ()
    ) -> Iterator[str | None]:
        """For each object the shortest chain in words.

        ``None`` where there was no time, where the chain is too long, and where something failed.
        `ignored`: ids of what holds the targets only for whoever asks.
        """
        known: dict[int, object] = {}
        ignored = {*ignored, id(targets), id(known)}
        for number in range(len(targets)):
            chain = None
            # Without a chain everything else that is known stays true.
            with contextlib.suppress(Exception):
                if not known and not gc.is_tracked(targets[number]):
                    known.update(self._untracked_holders(targets, ignored))
                chain = self._chain_to(targets[number], known, ignored)
            yield chain
        known.clear()

    def _chain_to(self, target: object, known: dict[int, object], ignored: set[int]) -> str | None:
        search = _Search(target, self._kinds, ignored)
        for step in range(_MOST_STEPS):
            if self._is_over():
                return None
            held_by_root = search.step(self._roots, self._is_over) or self._roots.on_stack(
                search.level
            )
            if held_by_root is not None:
                root, first = held_by_root
                return in_words(root, search.path_from(first), self._kinds)
            if search.is_at_an_end():
                # Without a name for them: CPython 3.14 tracks each dict, and then finds this one
                # among what holds the objects of the next level.
                search.add_holders(
                    known if step == 0 else self._untracked_holders(search.level, ignored)
                )
            if self._is_over():
                return None  # not all that could hold it was looked at
            if search.is_at_an_end():
                return in_words(_C_CODE, search.path_from(search.level[0]), self._kinds)
            search.go_on()
        return None

    def _untracked_holders(self, level: list[object], ignored: set[int]) -> dict[int, object]:
        """For objects, by id, a tuple, dict or array that holds them, though gc can't tell.

        It does not track a tuple or dict of which it thinks that nothing in it can be in a cycle,
        nor any array of numpy's.
        """
        wanted = dict.fromkeys(map(id, level))
        found: dict[int, object] = {}
        seen = {*ignored, id(found)}
        followed = {id(tuple), id(dict), id(imported("numpy", "ndarray"))}
        tracked = gc.get_objects()
        for first in range(0, len(tracked), _ASKED_AT_ONCE):
            if self._is_over():
                break
            asked = tracked[first : first + _ASKED_AT_ONCE]
            if not self._not_asked.isdisjoint(kinds_among(asked)):
                asked = [one for one in asked if id(type(one)) not in self._not_asked]
            referents = gc.get_referents(*asked)
            while referents:
                untracked = [
                    one
                    # Most of what is referred to is tracked: a list of millions, say.
                    for one in filterfalse(gc.is_tracked, referents)
                    if id(type(one)) in followed and id(one) not in seen
                ]
                referents = []
                for holder in untracked:
                    seen.add(id(holder))
                    base = self._kinds.of(holder).numpy_base
                    inner = gc.get_referents(holder) if base is None else [base(holder)]
                    for one in inner:
                        if id(one) in wanted:
                            found.setdefault(id(one), holder)
                    referents += inner
        return found


class _Search:
    """Goes from an object to those that hold it, and from these to those that hold them.

    Every list of its own is known by its id: it holds objects too, and leads nowhere.
    """

    # Without a dict, which would hold those lists in its own name.
    __slots__ = ("_alive", "_found", "_ignored", "_kinds", "_toward", "level")

    def __init__(self, target: object, kinds: Kinds, ignored: set[int]) -> None:
        self.level = [target]
        self._kinds = kinds
        self._found: list[object] = []
        self._alive = [target]
        # By id, for each object that of the next one on the way to the target.
        self._toward = {id(target): 0}
        self._ignored = ignored | {id(self.level), id(self._found), id(self._alive)}

    def step(self, roots: Roots, is_over: Callable[[], bool]) -> tuple[str, object] | None:
        """Find what holds the objects of this level: a root, if there is one among it."""
        self._found.clear()
        for first in range(0, len(self.level), _LOOKED_FOR_AT_ONCE):
            if first and is_over():
                return None
            # A tuple, which 3.13 hands on as it is, and then finds among the holders.
            batch = tuple(self.level[first : first + _LOOKED_FOR_AT_ONCE])
            holders = [one for one in gc.get_referrers(*batch) if one is not batch]
            while holders:
                holder = holders.pop()
                if self._is_known(holder):
                    continue
                held = _held_by(holder, batch)
                self._add(holder, held)
                root = roots.holding(holder, held)
                if root is not None:
                    return root
        return None

    def is_at_an_end(self) -> bool:
        """Whether nothing was found that holds the objects of this level."""
        return not self._found

    def add_holders(self, holders: Mapping[int, object]) -> None:
        """Add those that hold objects of this level, by the id of what they hold."""
        for one in self.level:
            holder = holders.get(id(one))
            if holder is not None and not self._is_known(holder):
                self._add(holder, one)

    def go_on(self) -> None:
        """Make what was found the next level."""
        self.level[:] = self._found[:_MOST_AT_A_DISTANCE]

    def path_from(self, first: object) -> list[object]:
        """The objects from that one to the target."""
        by_id = {id(one): one for one in self._alive}
        path, at = [], id(first)
        while at:
            path.append(by_id[at])
            at = self._toward[at]
        return path

    def _add(self, holder: object, held: object) -> None:
        self._toward[id(holder)] = id(held)
        self._alive.append(holder)
        self._found.append(holder)

    def _is_known(self, holder: object) -> bool:
        address = id(holder)
        return address in self._toward or address in self._ignored or self._kinds.of(holder).is_ours


def _held_by(holder: object, batch: Sequence[object]) -> object:
    """The first of some objects that `holder` refers to, if it still does."""
    if len(batch) > 1 and isinstance_of(holder, ModuleType):
        # It must not be asked (see `types_of_modules`), and seldom holds anything itself.
        for one in batch:
            if any(other is holder for other in gc.get_referrers(one)):
                return one
    elif len(batch) > 1:
        looked_for = set(map(id, batch))
        for one in gc.get_referents(holder):
            if id(one) in looked_for:
                return one
    return batch[0]
