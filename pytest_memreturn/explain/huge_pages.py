"""Memory that is resident only because the kernel hands it out in huge pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._ranges import grown_ranges
from pytest_memreturn.probes.zero_pages import zero_bytes_in_huge_blocks

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import Snapshot


def unwritten_huge_page_bytes(before: Snapshot, after: Snapshot) -> int | None:
    """Bytes of new huge pages whose small pages hold nothing but zeros: most likely never written.

    One byte written makes 2 MiB resident. ``None`` where the layout does not tell huge pages.
    """
    if before.huge_page_bytes is None or after.huge_page_bytes is None:
        return None
    growth = after.huge_page_bytes - before.huge_page_bytes
    if growth <= 0:
        return 0
    huge = [one for one in after.ranges if one.huge_page_bytes]
    found = sum(
        zero_bytes_in_huge_blocks(part.start, part.end)
        for part in grown_ranges(before.ranges, huge)
    )
    return min(found, growth)
