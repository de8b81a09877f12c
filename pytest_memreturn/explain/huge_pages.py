"""Memory that is resident only because the kernel hands it out in huge pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from pytest_memreturn._ranges import grown_ranges
from pytest_memreturn.probes.zero_pages import BLOCK_BYTES, zero_bytes_by_block

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappingKind, Snapshot

# Where malloc hands out small blocks; what else is mapped grows by someone's wish.
_HEAPS: frozenset[MappingKind] = frozenset({"heap", "arena"})

# Of 8,900 tests 17 were come upon with 0.7 to 5 MiB. More is somebody's doing: buffers of zeros
# that were freed look alike, since each shares its 2 MiB with the header of a block.
_MOST_FILLED_UP_BYTES = 4 * BLOCK_BYTES


def unwritten_huge_page_bytes(before: Snapshot, after: Snapshot) -> int | None:
    """Bytes of new huge pages whose small pages hold nothing but zeros: most likely never written.

    One byte written makes 2 MiB resident. ``None`` where the layout does not tell huge pages.
    """
    if before.huge_page_bytes is None or after.huge_page_bytes is None:
        return None
    growth = after.huge_page_bytes - before.huge_page_bytes
    return min(growth, sum(_zero_bytes(before, after))) if growth > 0 else 0


def filled_up_bytes(before: Snapshot, after: Snapshot) -> int:
    """Bytes of zeros that huge pages brought into malloc's heaps beside what is used there.

    Where huge pages are wanted (numpy wants them for large arrays, wherever malloc puts these) a
    byte written makes 2 MiB resident, and the kernel gathers small pages into huge ones when it
    sees fit. A block that is new and zero from end to end is another matter: somebody wrote that.
    """
    growth = (after.huge_page_bytes or 0) - (before.huge_page_bytes or 0)
    in_heaps = sum(one.huge_page_bytes for one in after.ranges if one.kind in _HEAPS)
    most = min(growth, in_heaps, _MOST_FILLED_UP_BYTES)
    if most <= 0:
        return 0
    beside = (size for size in _zero_bytes(before, after, _HEAPS) if size < BLOCK_BYTES)
    return min(most, sum(beside))


def _zero_bytes(
    before: Snapshot, after: Snapshot, kinds: Collection[MappingKind] | None = None
) -> Iterator[int]:
    """By block of 2 MiB, what is new in it, zero, and may lie in a huge page."""
    huge = [
        one for one in after.ranges if one.huge_page_bytes and (kinds is None or one.kind in kinds)
    ]
    for part in grown_ranges(before.ranges, huge):
        yield from zero_bytes_by_block(part.start, part.end)
