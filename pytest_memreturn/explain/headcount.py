"""Objects that came between two times, wherever they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from types import BuiltinFunctionType
from typing import TYPE_CHECKING
from weakref import ReferenceType

from pytest_memreturn._explanation import Survivors
from pytest_memreturn._instruments import Headcount
from pytest_memreturn._sizes import KIB
from pytest_memreturn.explain.census import Census
from pytest_memreturn.explain.chains import ChainFinder
from pytest_memreturn.explain.survivors import Tally, pooled_up_to_bytes

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics

# A bit for each address that has an object, among two million: of 300,000 objects that are new one
# in seven is taken for one that was there, and none that was there for a new one.
_ROOM_BYTES = 256 * KIB
_BITS = 8 * _ROOM_BYTES
# Addresses of objects are multiples of 16, and lie close together: multiplied by a large odd number
# (2 to the 64th by the golden ratio, as Knuth has it) they spread over all bits.
_ADDRESS_SHIFT, _SPREAD, _TOP_SHIFT = 4, 0x9E3779B97F4A7C15, 24


class ObjectHeadcount(Headcount):
    """Remembers the objects of one time by a bit each, in room that is taken when it is made.

    A list of addresses would be as large as what it shall find.
    """

    def __init__(
        self,
        limit: Callable[[], Callable[[], bool]],
        limit_with_chains: Callable[[], Callable[[], bool]],
    ) -> None:
        self._limit, self._limit_with_chains = limit, limit_with_chains
        # Written to, so that it is resident before a window opens.
        self._seen = bytearray(b"\xff" * _ROOM_BYTES)
        self._in_malloc_bytes = 0
        self._is_whole = False

    def begin(self, allocators: Sequence[AllocatorStatistics]) -> None:
        """Remember what is there now: 0.5 us for each object."""
        seen = self._seen
        seen[:] = bytes(_ROOM_BYTES)
        pooled_bytes, in_malloc_bytes = pooled_up_to_bytes(allocators), 0
        census = Census(self._limit())
        for one, _, size_bytes in census.candidates((), -1):
            bit = _bit(one)
            seen[bit >> 3] |= 1 << (bit & 7)
            if size_bytes > pooled_bytes:
                in_malloc_bytes += size_bytes
        self._in_malloc_bytes, self._is_whole = in_malloc_bytes, census.is_whole

    def end(self, allocators: Sequence[AllocatorStatistics], least_count: int = 1) -> Survivors:
        """What has come since, and what of malloc all objects hold now that they did not.

        Looking closer leaves some objects itself: of a type fewer than `least_count` are none.
        """
        seen = self._seen
        pooled_bytes, in_malloc_bytes = pooled_up_to_bytes(allocators), 0
        census = Census(self._limit())
        tally = Tally(pooled_bytes)
        new: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for found in census.candidates((), -1):
            bit = _bit(found.one)
            if not seen[bit >> 3] & 1 << (bit & 7) and not _is_note_of_an_abc(found.one):
                tally.add(found, found.size_bytes)
                count_and_bytes = new[found.kind.name]
                count_and_bytes[0] += 1
                count_and_bytes[1] += found.size_bytes if found.size_bytes > pooled_bytes else 0
            if found.size_bytes > pooled_bytes:
                in_malloc_bytes += found.size_bytes
        types = tally.types(ChainFinder(self._limit_with_chains()), census.own)
        is_whole = census.is_whole and self._is_whole
        few_bytes = sum(size_bytes for count, size_bytes in new.values() if count < least_count)
        return Survivors(
            tuple(one for one in types if one.count >= least_count),
            in_malloc_bytes - self._in_malloc_bytes - few_bytes,
            is_whole,
        )


def _is_note_of_an_abc(one: object) -> bool:
    """Whether an abstract base class has noted with it that it was asked about some class.

    Asked for the first time, each class below it makes one as well: 27 of them for a single
    question were taken for what 34 rounds had left. A note is a reference to the class, what
    is called when that goes, and a reference to the set with all notes.
    """
    if type(one) is ReferenceType:
        callback: object = one.__callback__
        return type(one()) is set if callback is None else _is_note_of_an_abc(callback)
    return type(one) is BuiltinFunctionType and one.__name__ == "_destroy"


def _bit(one: object) -> int:
    return ((id(one) >> _ADDRESS_SHIFT) * _SPREAD >> _TOP_SHIFT) % _BITS
