"""What of a process's memory is its share, from its ``smaps_rollup`` and ``smaps``; pure.

A page that several processes have counts in each by an equal part (the kernel's PSS), so that
the shares of a tree count it once as long as nobody outside has it too. In bytes:

- anonymous pages that are not lazily freed: its own, and its part of those shared since a fork
- its part of shared memory that it maps, and of pages in swap
- huge pages of hugetlbfs that nobody else maps; those that several map count nowhere

Pages of files do not count, since the kernel can drop them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import KindUsage, Snapshot
from pytest_memreturn.probes._smaps import SmapsEntry, mapping_kind

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import MappingKind


def share(rollup: Mapping[str, int]) -> Snapshot:
    """The share of one process, without a layout; `rollup`: sizes by the kernel's names."""
    for needed in ("Pss_Anon", "Pss_Shmem", "Rss"):
        if needed not in rollup:
            msg = f"smaps_rollup has no {needed} line on this kernel"
            raise ReadingUnavailableError(msg)
    # Lazily freed pages are told whole, however many share them: never more than the share.
    lazy_free_bytes = min(rollup.get("LazyFree", 0), rollup["Pss_Anon"])
    swap_bytes = rollup.get("SwapPss", 0)
    return Snapshot(
        footprint_bytes=rollup["Pss_Anon"]
        - lazy_free_bytes
        + rollup["Pss_Shmem"]
        + rollup.get("Private_Hugetlb", 0)
        + swap_bytes,
        rss_bytes=rollup["Rss"],
        swap_bytes=swap_bytes,
        lazy_free_bytes=lazy_free_bytes,
        file_bytes=rollup.get("Pss_File"),
        huge_page_bytes=rollup.get("AnonHugePages"),
    )


def kinds_of(
    entries: Iterable[SmapsEntry], shared_memory_bytes: int, arenas: Collection[int]
) -> dict[MappingKind, KindUsage]:
    """The share by kinds of mappings.

    `shared_memory_bytes` is the kernel's sum: a file on any tmpfs is shared memory too. `arenas`:
    where heaps of threads begin. Of a private mapping of a file, no layout tells the share of its
    anonymous pages: they count whole, up to the share of the mapping.
    """
    sizes: dict[MappingKind, int] = {}
    counted: dict[MappingKind, int] = {"shared-memory": shared_memory_bytes}
    before: SmapsEntry | None = None
    for entry in entries:
        kind = mapping_kind(entry, before, arenas)
        before = entry
        if not entry.is_inaccessible:
            sizes[kind] = sizes.get(kind, 0) + entry.fields["Size"]
        if kind == "shared-memory":
            continue
        share_bytes = entry.fields.get("Pss", 0)
        if kind == "file":
            share_bytes = min(share_bytes, entry.fields["Anonymous"])
        share_bytes = max(0, share_bytes - entry.fields.get("LazyFree", 0))
        share_bytes += entry.fields.get("Private_Hugetlb", 0)
        counted[kind] = counted.get(kind, 0) + share_bytes
    return {kind: KindUsage(sizes.get(kind, 0), size) for kind, size in counted.items()}
