"""Blocks of one size, cut from slabs of 4 MiB that are taken from the system."""

from __future__ import annotations

import mmap
import weakref
from dataclasses import dataclass, field

__all__ = ["SLAB_BYTES", "SlabPool", "pools"]

SLAB_BYTES = 4 * 1024 * 1024

# Weak, so that being known here keeps no pool alive.
_POOLS: weakref.WeakSet[SlabPool] = weakref.WeakSet()


def pools() -> list[SlabPool]:
    """Every pool of this process that is still alive."""
    return list(_POOLS)


@dataclass(eq=False, slots=True)
class _Slab:
    """One mapping, and where in it there is room for a block."""

    memory: mmap.mmap
    free_offsets: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block lies; has the block as well, so that no other object gets its id."""

    slab: _Slab
    offset: int
    block: memoryview


class SlabPool:
    """Hands out blocks of `block_bytes` each, and keeps slabs for further blocks until `trim`."""

    def __init__(self, block_bytes: int) -> None:
        if not 0 < block_bytes <= SLAB_BYTES:
            raise ValueError(f"a block has between 1 and {SLAB_BYTES} bytes, not {block_bytes}")
        self.block_bytes = block_bytes
        self._slabs: list[_Slab] = []
        self._taken: dict[int, _Place] = {}
        _POOLS.add(self)

    @property
    def live_bytes(self) -> int:
        """What is handed out."""
        return len(self._taken) * self.block_bytes

    @property
    def held_bytes(self) -> int:
        """All slabs, whether anything in them is handed out or not."""
        return len(self._slabs) * SLAB_BYTES

    def take(self) -> memoryview:
        """A block, until it is given back; what stands in it is whatever was there before."""
        slab = next((one for one in self._slabs if one.free_offsets), None) or self._new_slab()
        offset = slab.free_offsets.pop()
        with memoryview(slab.memory) as whole:
            block = whole[offset : offset + self.block_bytes]
        self._taken[id(block)] = _Place(slab, offset, block)
        return block

    def give_back(self, block: memoryview) -> None:
        """Take a block back; nobody can reach its memory through it any more.

        Raises `ValueError` for what is no block of this pool.
        """
        place = self._taken.get(id(block))
        if place is None:
            raise ValueError("not a block of this pool, or given back already")
        block.release()
        del self._taken[id(block)]
        place.slab.free_offsets.append(place.offset)

    def trim(self) -> None:
        """Return to the system every slab of which nothing is handed out."""
        in_use = {place.slab for place in self._taken.values()}
        # Dropping a mapping unmaps it; to close one fails while a slice of a block is around.
        self._slabs = [slab for slab in self._slabs if slab in in_use]

    def _new_slab(self) -> _Slab:
        # Without these flags a mapping is shared with child processes.
        memory = mmap.mmap(-1, SLAB_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        slab = _Slab(memory)
        # The last one is handed out first: the slab fills from its start.
        offsets = range(0, SLAB_BYTES - self.block_bytes + 1, self.block_bytes)
        slab.free_offsets.extend(reversed(offsets))
        self._slabs.append(slab)
        return slab
