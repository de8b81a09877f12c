"""CPython's arenas for small objects, as the headers of their pools tell of them."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.probes.own_memory import OwnMemory

# struct pool_header in Objects/obmalloc.c, the same from 3.10 to 3.14: blocks in use, three
# pointers, the number of the arena, the size class, and where the next new block and the last one
# would begin.
POOL_BYTES = 16 * KIB
_HEADER = struct.Struct("I4x3Q4I")
_HEADER_BYTES = _HEADER.size
_SIZES = 32
_STEP_BYTES = 16
# Where the last block can begin follows from their size: next to nothing else has that. The last
# word of a header, by which most of what is no pool is told in an instant.
_LAST_BLOCKS = {
    (POOL_BYTES - (number + 1) * _STEP_BYTES).to_bytes(4, sys.byteorder) for number in range(_SIZES)
}
_LAST_AT = _HEADER_BYTES - 4
ARENA_BYTES = MIB


@dataclass(slots=True)
class Arena:
    """One arena as far as it was seen: the addresses of its pools, by the bytes live in each."""

    live_bytes: int = 0
    pools: list[int] = field(default_factory=list)

    @property
    def address(self) -> int:
        """Where its first pool begins, of those that were ever used."""
        return min(self.pools)


def find_arenas(
    ranges: Iterable[tuple[int, int]], is_over: Callable[[], bool] = lambda: False
) -> list[Arena] | None:
    """Every arena with a pool in resident `ranges` of addresses, in the order of these.

    Read by the header: 64 for a mebibyte. ``None`` once `is_over`; raises `OSError` where memory
    cannot be read.
    """
    arenas: dict[int, Arena] = {}
    with OwnMemory(_HEADER_BYTES) as memory:
        for start, end in ranges:
            for pool in range(start + -start % POOL_BYTES, end, POOL_BYTES):
                if pool % ARENA_BYTES == 0 and is_over():
                    return None
                try:
                    header = memory.read(pool, _HEADER_BYTES)
                except OSError:  # unmapped meanwhile
                    break
                found = _live(header) if header[_LAST_AT:] in _LAST_BLOCKS else None
                if found is not None:
                    number, live_bytes = found
                    arena = arenas.setdefault(number, Arena())
                    arena.live_bytes += live_bytes
                    arena.pools.append(pool)
    return sorted(arenas.values(), key=lambda arena: arena.address)


def _live(header: bytes) -> tuple[int, int] | None:
    """The arena's number and the pool's live bytes; ``None`` where no pool begins."""
    used, _, _, _, arena, size_class, next_offset, last_offset = _HEADER.unpack(header)
    size_bytes = (size_class + 1) * _STEP_BYTES
    if size_class >= _SIZES or last_offset != POOL_BYTES - size_bytes:
        return None
    if not _HEADER_BYTES <= next_offset <= POOL_BYTES or used * size_bytes > POOL_BYTES:
        return None
    return arena, used * size_bytes
