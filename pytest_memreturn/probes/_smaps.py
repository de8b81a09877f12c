"""The text of ``/proc/PID/smaps``, made sense of; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import KindUsage, MappedRange, Snapshot

if TYPE_CHECKING:
    import mmap

    from pytest_memreturn._snapshot import MappingKind

_KB = 1024
_HEADER = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ([rwxps-]{4}) [0-9a-f]+ \S+ \d+ *(.*)$", re.MULTILINE
)
_FIELD = re.compile(
    rb"^(Size|Rss|Anonymous|LazyFree|AnonHugePages|Private_Hugetlb|Shared_Hugetlb|Swap): +(\d+)",
    re.MULTILINE,
)
_VM_FLAGS = re.compile(rb"\nVmFlags:.*")
# Non-zero lines only: there are few, and finding them is cheaper than parsing the text.
_FOOTPRINT_LINE = re.compile(
    rb"\n(Anonymous|LazyFree|Private_Hugetlb|Shared_Hugetlb|Swap): +([1-9][0-9]*)"
)
_SOME_LAZY_FREE = re.compile(rb"\nLazyFree: +([1-9][0-9]*)")

# glibc reserves each thread heap as a 64 MiB piece aligned to 64 MiB (HEAP_MAX_SIZE on 64 bit:
# twice the largest mmap threshold, 32 MiB), without swap reservation.
_ARENA_ALIGNMENT = 64 * 1024 * 1024
_HEAP_SIZES = re.compile(
    rb"\n([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ 00:00 0 *(\[heap\])?\n"
    rb"Size: +(\d+) kB\nKernelPageSize:.*\nMMUPageSize:.*\nRss: +(\d+) kB\n"
)
# A hole smaller than this hides less than the default allowance by far.
_SMALLEST_HOLE_BYTES = 256 * 1024

# Shared memory as the kernel names it in a layout: tmpfs files and memfds, System V segments,
# shared anonymous mappings. A dead name keeps " (deleted)" behind it.
_SHARED_MEMORY_NAMES = (b"/dev/shm/", b"/memfd:", b"/SYSV", b"/dev/zero (deleted)")


@dataclass(frozen=True, slots=True)
class SmapsText:
    """The first `length` bytes of `buffer`: the layout of a process as the kernel prints it."""

    buffer: bytes | mmap.mmap
    length: int

    def lazy_free_bytes(self) -> int:
        """Pages that are resident only until the kernel wants them."""
        found = _SOME_LAZY_FREE.finditer(self.buffer, 0, self.length)
        return sum(int(line[1]) * _KB for line in found)

    def private_footprint_bytes(self) -> int:
        """The footprint but for ``RssShmem``, by adding up lines: next to no allocation."""
        total = 0
        for line in _FOOTPRINT_LINE.finditer(self.buffer, 0, self.length):
            size = int(line[2]) * _KB
            total += -size if line[1] == b"LazyFree" else size
        return total

    def heaps_with_holes(self) -> list[tuple[int, int]]:
        """Start and end of each heap of malloc of which a part was given back.

        What a test leaves in such a hole lies at an address that was mapped before it; only the
        pages tell that the memory is new.
        """
        return [
            (start, int(heap[2], 16))
            for heap in _HEAP_SIZES.finditer(self.buffer, 0, self.length)
            if (int(heap[4]) - int(heap[5])) * _KB >= _SMALLEST_HOLE_BYTES
            and ((start := int(heap[1], 16)) % _ARENA_ALIGNMENT == 0 or heap[3])
        ]

    def snapshot(self, shared_memory_bytes: int, *, left_out_bytes: int = 0) -> Snapshot:
        """The layout by kind, and what it holds, less `left_out_bytes` of anonymous memory.

        `shared_memory_bytes` is the kernel's own count (``RssShmem``): a layout names the usual
        places of shared memory, but a file on any tmpfs is shared memory too.
        """
        sizes: dict[MappingKind, int] = {}
        counted: dict[MappingKind, int] = {"shared-memory": shared_memory_bytes}
        ranges: list[MappedRange] = []
        totals = dict.fromkeys(("Rss", "Anonymous", "LazyFree", "Swap", "AnonHugePages"), 0)
        guard_end = -1
        for entry in self._entries():
            kind = mapping_kind(entry, follows_guard=entry.start == guard_end)
            guard_end = entry.end if entry.is_guard else -1
            for name in totals:
                totals[name] += entry.fields.get(name, 0)
            counted[kind] = counted.get(kind, 0) + entry.counted_bytes
            counted["shared-memory"] += entry.fields.get("Shared_Hugetlb", 0)
            if not entry.is_inaccessible:
                # The unused part of a thread arena is reserved without permissions.
                sizes[kind] = sizes.get(kind, 0) + entry.fields["Size"]
            if entry.counted_bytes:
                ranges.append(MappedRange(entry.start, entry.end, kind, entry.counted_bytes))
        if left_out_bytes:
            counted["anonymous"] = counted.get("anonymous", 0) - left_out_bytes
            sizes["anonymous"] = sizes.get("anonymous", 0) - left_out_bytes
        return Snapshot(
            footprint_bytes=sum(counted.values()) + totals["Swap"],
            rss_bytes=totals["Rss"] - left_out_bytes,
            swap_bytes=totals["Swap"],
            lazy_free_bytes=totals["LazyFree"],
            file_bytes=totals["Rss"] - totals["Anonymous"] - shared_memory_bytes,
            huge_page_bytes=totals["AnonHugePages"],
            kinds={kind: KindUsage(sizes.get(kind, 0), counted[kind]) for kind in counted},
            ranges=tuple(ranges),
        )

    def _entries(self) -> Iterator[SmapsEntry]:
        headers = _HEADER.finditer(self.buffer, 0, self.length)
        header = next(headers, None)
        while header is not None:
            following = next(headers, None)
            stop = following.start() if following is not None else self.length
            fields = {
                name.decode(): int(kilobytes) * _KB
                for name, kilobytes in _FIELD.findall(self.buffer, header.end(), stop)
            }
            for needed in ("Size", "Rss", "Anonymous"):
                if needed not in fields:
                    msg = f"smaps has no {needed} line on this kernel"
                    raise ReadingUnavailableError(msg)
            flags = _VM_FLAGS.search(self.buffer, header.end(), stop)
            yield SmapsEntry(
                start=int(header[1], 16),
                end=int(header[2], 16),
                permissions=header[3],
                path=header[4],
                flags=flags[0].split()[1:] if flags is not None else None,
                fields=fields,
            )
            header = following


@dataclass(frozen=True, slots=True)
class SmapsEntry:
    """One mapping; `fields` are bytes by the kernel's names, `flags` its VmFlags if it has any."""

    start: int
    end: int
    permissions: bytes
    path: bytes
    flags: list[bytes] | None
    fields: dict[str, int]

    @property
    def counted_bytes(self) -> int:
        """What of the mapping is footprint, but for swap and shared memory."""
        return (
            self.fields["Anonymous"]
            - self.fields.get("LazyFree", 0)
            + self.fields.get("Private_Hugetlb", 0)
        )

    @property
    def is_inaccessible(self) -> bool:
        """Whether the mapping only keeps addresses free."""
        return self.permissions.startswith(b"---")

    @property
    def is_guard(self) -> bool:
        """Whether it may be what stands below a thread's stack; the rest of an arena is none."""
        return self.is_inaccessible and not self.path and not self.may_be_arena

    @property
    def may_be_arena(self) -> bool:
        """Whether no swap is reserved for it, as glibc asks for thread arenas.

        Alignment alone won't do: recent kernels align every large mapping to 2 MiB, and one in
        32 of those by chance to 64 MiB. A kernel that prints no flags leaves it open.
        """
        return self.flags is None or b"nr" in self.flags


def mapping_kind(entry: SmapsEntry, *, follows_guard: bool) -> MappingKind:
    """Which kind a mapping is.

    `follows_guard`: it begins where an anonymous one without any permission ends, as a thread's
    stack does.
    """
    if entry.path == b"[heap]":
        return "heap"
    if entry.path == b"[stack]":
        return "stack"
    if entry.path.startswith(_SHARED_MEMORY_NAMES):
        return "shared-memory"
    if entry.path.startswith(b"[anon:") or not entry.path:
        if entry.may_be_arena and entry.start % _ARENA_ALIGNMENT == 0:
            return "arena"
        is_stack = follows_guard and entry.permissions.startswith(b"rw")
        return "stack" if is_stack else "anonymous"
    return "special" if entry.path.startswith(b"[") else "file"
