"""Ranges of addresses: which memory is there now and was not before; pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import KIB
from pytest_memreturn._snapshot import MappedRange

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappingKind

# Kinds that may hold objects.
_KINDS: frozenset[MappingKind] = frozenset({"heap", "arena", "anonymous"})

# A block of this size that is new may well begin, and have its middle, on pages that were free
# and resident before: 9.5 MiB in the arena of a thread did, with 8 MiB of it on new ones.
_LARGE_BYTES = 64 * KIB
_NEW_FROM = 1 / 4


def grown_ranges(
    before: Iterable[MappedRange], after: Iterable[MappedRange]
) -> Iterator[MappedRange]:
    """The parts of private memory in `after` that no range of `before` covers, sorted.

    A part counts as resident whole: a range says how much of it is resident, not where. But in a
    mapping that holds as much as it did, what was not resident still is not: an array that was
    made long before and never filled has not come with the window.
    """
    before = sorted(before, key=lambda found: found.start)
    old_starts = [one.start for one in before]
    old = list(_merged(before))
    old_ends = [end for _, end in old]
    for one in sorted(after, key=lambda found: found.start):
        if one.kind not in _KINDS:
            continue
        inside = before[bisect_left(old_starts, one.start) : bisect_left(old_starts, one.end)]
        held = sum(found.counted_bytes for found in inside)
        if one.kind == "anonymous" and inside and held == one.counted_bytes:
            continue
        start = one.start
        for index in range(bisect_right(old_ends, one.start), len(old)):
            old_start, old_end = old[index]
            if old_start >= one.end:
                break
            if old_start > start:
                yield MappedRange(start, old_start, one.kind, old_start - start)
            start = max(start, old_end)
        if start < one.end:
            yield MappedRange(start, one.end, one.kind, one.end - start)


def _merged(ranges: Iterable[MappedRange]) -> Iterator[tuple[int, int]]:
    """Sorted ranges of which no two overlap, that cover the same addresses."""
    start = end = -1
    for one in sorted(ranges, key=lambda found: found.start):
        if one.start > end:
            if end > start:
                yield start, end
            start, end = one.start, one.end
        end = max(end, one.end)
    if end > start:
        yield start, end


class AddressSet:
    """The addresses of some ranges, to ask which of them are among them."""

    def __init__(self, ranges: Iterable[MappedRange]) -> None:
        """`ranges`: sorted, of which no two overlap."""
        # An array, since a list would bring int objects of ours into what is counted.
        self._edges = array("Q")
        for one in ranges:
            self._edges.extend((one.start, one.end))

    def __bool__(self) -> bool:
        return bool(self._edges)

    def blocks(self, bits: int) -> set[int]:
        """The blocks of so many bits that lie in them in part, by address without these bits."""
        found: set[int] = set()
        for start, end in zip(self._edges[::2], self._edges[1::2], strict=True):
            found.update(range(start >> bits, ((end - 1) >> bits) + 1))
        return found

    def holds(self, address: int, size_bytes: int) -> bool:
        """Whether a block lies in one of them, by its first byte or by its middle.

        The first page of a new block may be an old one, shared with the block below it. Of a large
        block a quarter is enough.
        """
        # Asked for a million objects: written out, it takes half the time. Behind a start and
        # before its end lies an odd number of edges.
        edges = self._edges
        return bool(
            bisect_right(edges, address) & 1
            or bisect_right(edges, address + size_bytes // 2) & 1
            or (
                size_bytes >= _LARGE_BYTES
                and self._shared_bytes(address, address + size_bytes) >= size_bytes * _NEW_FROM
            )
        )

    def _shared_bytes(self, start: int, end: int) -> int:
        """How much of a block lies in them."""
        edges = self._edges
        first = bisect_right(edges, start) & ~1
        return sum(
            max(0, min(end, edges[index + 1]) - max(start, edges[index]))
            for index in range(first, bisect_left(edges, end), 2)
        )
