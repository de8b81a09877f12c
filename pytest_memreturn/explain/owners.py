"""Which Python objects own some blocks of malloc's, or lie in some pools of pymalloc's."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from pytest_memreturn._ranges import AddressSet
from pytest_memreturn._snapshot import MappedRange
from pytest_memreturn.explain.arenas import POOL_BYTES
from pytest_memreturn.explain.buffers import buffer_in
from pytest_memreturn.explain.census import BLOCK_BITS, Census
from pytest_memreturn.explain.of_one_type import OfOneType

# What is smaller has its items, if any, in a pool or in a block too small to pin anything.
_LARGEST_POOLED_BYTES = 512


@dataclass(slots=True)
class Owned:
    """What was found: by number of a block its owner and that one's type; by type what is in pools.

    Holds objects of the program: let go of it soon. `own`: the ids of what is this package's.
    """

    of_block: dict[int, tuple[object, str]] = field(default_factory=dict)
    in_pools: dict[str, OfOneType] = field(default_factory=lambda: defaultdict(OfOneType))
    is_whole: bool = True
    own: set[int] = field(default_factory=set)


def find_owners(
    blocks: Sequence[tuple[int, int]],
    pools: Collection[int],
    is_over: Callable[[], bool] = lambda: False,
) -> Owned:
    """Look through all objects for those that own `blocks` (start and end, sorted) or lie in pools.

    A pool is given by its address. Stops, not whole, once `is_over`.
    """
    found = Owned()
    starts = [start for start, _ in blocks]
    in_blocks = AddressSet(MappedRange(start, end, "heap", end - start) for start, end in blocks)
    wanted_pools = frozenset(pools)
    looked_at = {*in_blocks.blocks(BLOCK_BITS), *(pool >> BLOCK_BITS for pool in wanted_pools)}
    census = Census(is_over, ours=[blocks, pools, starts, wanted_pools])
    for one, kind, size_bytes in census.candidates(looked_at, _LARGEST_POOLED_BYTES):
        address = id(one)
        if address & -POOL_BYTES in wanted_pools:
            found.in_pools[kind.name].add(one, size_bytes)
        if not starts:
            continue
        at = address if in_blocks.holds(address, 0) else 0
        if not at and not kind.is_in_one_piece and size_bytes > kind.fixed_bytes:
            at = buffer_in(in_blocks, one, kind, size_bytes)
        if at:
            found.of_block.setdefault(bisect_right(starts, at) - 1, (one, kind.name))
    found.is_whole, found.own = census.is_whole, census.own
    return found
