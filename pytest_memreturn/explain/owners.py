"""Which Python objects own some blocks of malloc's, or lie in some pools of pymalloc's."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_memreturn._ranges import AddressSet
from pytest_memreturn._snapshot import MappedRange
from pytest_memreturn.explain.arenas import POOL_BYTES
from pytest_memreturn.explain.survivors import _buffer_in, _Kinds, _reachable_objects, _size_of

_ASKED_EVERY = 4096


@dataclass(slots=True)
class OwnedType:
    """Objects of one type: how many, their bytes, and the largest of them."""

    count: int = 0
    bytes: int = 0
    largest_bytes: int = -1
    largest: Any = None

    def add(self, one: object, size_bytes: int) -> None:
        """Count an object."""
        self.count += 1
        self.bytes += size_bytes
        if size_bytes > self.largest_bytes:
            self.largest_bytes, self.largest = size_bytes, one


@dataclass(slots=True)
class Owned:
    """What was found: by number of a block its owner and that one's type; by type what is in pools.

    Holds objects of the program: let go of it soon.
    """

    of_block: dict[int, tuple[object, str]] = field(default_factory=dict)
    in_pools: dict[str, OwnedType] = field(default_factory=lambda: defaultdict(OwnedType))
    is_whole: bool = True


def find_owners(
    blocks: Sequence[tuple[int, int]],
    pools: Collection[int],
    is_over: Callable[[], bool] = lambda: False,
) -> Owned:
    """Look through all objects for those that own `blocks` (start and end, sorted) or lie in pools.

    A pool is given by its address. Stops, not whole, once `is_over`.
    """
    found = Owned()
    kinds = _Kinds()
    starts = [start for start, _ in blocks]
    in_blocks = AddressSet(MappedRange(start, end, "heap", end - start) for start, end in blocks)
    wanted_pools = frozenset(pools)
    pool_mask = -POOL_BYTES
    for number, (one, kind) in enumerate(_reachable_objects(gc.get_objects(), kinds)):
        if number % _ASKED_EVERY == 0 and is_over():
            found.is_whole = False
            break
        address = id(one)
        if wanted_pools and address & pool_mask in wanted_pools:
            found.in_pools[kind.name].add(one, _size_of(one))
        if not starts:
            continue
        at = address if in_blocks.holds(address, 0) else 0
        if not at:
            size_bytes = _size_of(one)
            if size_bytes > kind.fixed_bytes:
                at = _buffer_in(in_blocks, one, kind, size_bytes)
        if at:
            found.of_block.setdefault(bisect_right(starts, at) - 1, (one, kind.name))
    return found
