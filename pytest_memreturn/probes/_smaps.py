"""The text of ``/proc/PID/smaps``, made sense of; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import KindUsage, MappedRange, Snapshot

if TYPE_CHECKING:
    import mmap

    from pytest_memreturn._snapshot import MappingKind

_KB = 1024
HEADER = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ([rwxps-]{4}) [0-9a-f]+ \S+ \d+ *(.*)$", re.MULTILINE
)
_FIELD = re.compile(
    rb"^(Size|Rss|Pss|Anonymous|LazyFree|AnonHugePages|Private_Hugetlb|Shared_Hugetlb|Swap)"
    rb": +(\d{1,20})\b",
    re.MULTILINE,
)
_VM_FLAGS = re.compile(rb"\nVmFlags:.*")
# Non-zero lines only: there are few, and finding them is cheaper than parsing the text.
_FOOTPRINT_LINE = re.compile(
    rb"\n(Anonymous|LazyFree|Private_Hugetlb|Shared_Hugetlb|Swap): +([1-9][0-9]{0,19})\b"
)
_SOME_LAZY_FREE = re.compile(rb"\nLazyFree: +([1-9][0-9]{0,19})\b")
_NEEDED = ("Size", "Rss", "Anonymous")

# glibc reserves each thread heap as a 64 MiB piece aligned to 64 MiB (HEAP_MAX_SIZE on 64 bit:
# twice the largest mmap threshold, 32 MiB).
ARENA_ALIGNMENT = 64 * 1024 * 1024
# Without the addresses before it: a pattern that begins with a literal is found six times as
# fast in a megabyte of text. The fields in any order: older kernels, and gVisor to this day, put
# the sizes of pages behind those of memory. Whoever maps may have named it: glibc does so if asked
# (glibc.mem.decorate_maps).
_PRIVATE = re.compile(
    rb" rw-p 00000000 00:00 0 *(?:(\[heap\])|\[anon:[^\n]*\])?\n"
    rb"(?=(?:\w+:.*\n)*?Size: +(\d{1,20}) kB)(?=(?:\w+:.*\n)*?Rss: +(\d{1,20}) kB)"
)
_ADDRESSES = re.compile(rb"([0-9a-f]{1,16})-([0-9a-f]{1,16})")
# A hole smaller than this hides less than the default allowance by far.
_SMALLEST_HOLE_BYTES = 256 * 1024
# Elsewhere holes are the rule (the stack of each thread has one), and large ones are those of
# pools such as pyarrow's: address space taken at once, and filled little by little.
_SMALLEST_OTHER_HOLE_BYTES = 4 * 1024 * 1024
# A byte a page for more than this would be a mebibyte of ours.
_LARGEST_LOOKED_INTO_BYTES = 4 * 1024 * 1024 * 1024

# Shared memory as the kernel names it in a layout: tmpfs files and memfds, System V segments,
# shared anonymous mappings. A dead name keeps " (deleted)" behind it.
_SHARED_MEMORY_NAMES = (b"/dev/shm/", b"/memfd:", b"/SYSV", b"/dev/zero (deleted)")


def by_header(text: Iterable[bytes], header: re.Pattern[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """What the only group of `header` finds, each with the lines up to the next header.

    `text` comes in parts of whole lines, and only the last mapping of a part is kept for the next.
    """
    begun = b""
    for lines in text:
        begun += lines
        last = max((found.start() for found in header.finditer(begun)), default=0)
        yield from _headers_and_lines(begun[:last], header)
        begun = begun[last:]
    yield from _headers_and_lines(begun, header)


def _headers_and_lines(text: bytes, header: re.Pattern[bytes]) -> Iterator[tuple[bytes, bytes]]:
    # What stands before the first header, then each header and the lines below it.
    _, *pieces = header.split(text)
    return zip(pieces[::2], pieces[1::2], strict=True)


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
        if self.buffer.find(b"\nAnonymous:", 0, self.length) < 0:
            raise _lacking("Anonymous")
        total = 0
        for line in _FOOTPRINT_LINE.finditer(self.buffer, 0, self.length):
            size = int(line[2]) * _KB
            total += -size if line[1] == b"LazyFree" else size
        return total

    def private_mappings(self) -> Iterator[PrivateMapping]:
        """The main heap, and every other mapping that is private, writable and of no file."""
        for found in _PRIVATE.finditer(self.buffer, 0, self.length):
            line = self.buffer.rfind(b"\n", 0, found.start()) + 1
            addresses = _ADDRESSES.fullmatch(self.buffer[line : found.start()])
            if addresses is None:
                continue  # not the beginning of a mapping
            start, end = int(addresses[1], 16), int(addresses[2], 16)
            hole_bytes = (int(found[2]) - int(found[3])) * _KB
            yield PrivateMapping(start, end, found[1] is not None, hole_bytes)

    def snapshot(
        self, shared_memory_bytes: int, *, arenas: Collection[int] = (), left_out_bytes: int = 0
    ) -> Snapshot:
        """The layout by kind, and what it holds, less `left_out_bytes` of anonymous memory.

        `arenas`: where thread heaps of malloc begin, as only their memory tells.

        `shared_memory_bytes` is the kernel's own count (``RssShmem``): a layout names the usual
        places of shared memory, but a file on any tmpfs is shared memory too.
        """
        sizes: dict[MappingKind, int] = {}
        counted: dict[MappingKind, int] = {"shared-memory": shared_memory_bytes}
        ranges: list[MappedRange] = []
        totals = dict.fromkeys(("Rss", "Anonymous", "LazyFree", "Swap", "AnonHugePages"), 0)
        before: SmapsEntry | None = None
        for entry in self.entries():
            kind = mapping_kind(entry, before, arenas)
            before = entry
            for name in totals:
                totals[name] += entry.fields.get(name, 0)
            counted[kind] = counted.get(kind, 0) + entry.counted_bytes
            counted["shared-memory"] += entry.fields.get("Shared_Hugetlb", 0)
            if not entry.is_inaccessible:
                # The unused part of a thread arena is reserved without permissions.
                sizes[kind] = sizes.get(kind, 0) + entry.fields["Size"]
            if entry.counted_bytes:
                huge = entry.fields.get("AnonHugePages", 0)
                ranges.append(MappedRange(entry.start, entry.end, kind, entry.counted_bytes, huge))
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

    def entries(self) -> Iterator[SmapsEntry]:
        """Each mapping by its addresses; `ReadingUnavailableError` where there is none."""
        headers = HEADER.finditer(self.buffer, 0, self.length)
        header = next(headers, None)
        if header is None:
            raise _lacking("header")
        while header is not None:
            following = next(headers, None)
            stop = following.start() if following is not None else self.length
            fields = {
                name.decode(): int(kilobytes) * _KB
                for name, kilobytes in _FIELD.findall(self.buffer, header.end(), stop)
            }
            for needed in _NEEDED:
                if needed not in fields:
                    raise _lacking(needed)
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


def _lacking(line: str) -> ReadingUnavailableError:
    return ReadingUnavailableError(f"/proc/self/smaps has no {line} line on this kernel")


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
    def is_reserved(self) -> bool:
        """Whether it was mapped without swap for it, as allocators map and thread stacks are not.

        Above what an allocator has not opened yet lies the next piece that it has.
        """
        return self.flags is not None and b"nr" in self.flags

    @property
    def is_guarded_inside(self) -> bool:
        """Whether it was mapped as a stack, and has pages of its own for a guard.

        glibc 2.42 guards a stack without a mapping for it (MADV_GUARD_INSTALL, Linux 6.13), and
        the kernel keeps stacks that touch each other as one mapping. ``gu`` tells of such pages
        (6.18.44 shows it), ``nh`` is what MAP_STACK leaves (since 6.7). Each alone may be an
        allocator's.
        """
        return self.flags is not None and b"gu" in self.flags and b"nh" in self.flags

    def is_guard_of(self, above: SmapsEntry) -> bool:
        """Whether it may be what stands below a thread's stack.

        What is reserved is the part of a thread's heap that malloc has not opened yet; whatever
        lies above it there is nobody's stack. Arenas of pymalloc did.
        """
        is_bare = self.is_inaccessible and not self.path and not self.is_reserved
        return is_bare and self.end == above.start


def mapping_kind(
    entry: SmapsEntry, before: SmapsEntry | None, arenas: Collection[int]
) -> MappingKind:
    """Which kind a mapping is, by itself, the one listed before it, and where arenas begin."""
    if entry.path == b"[heap]":
        return "heap"
    if entry.path == b"[stack]":
        return "stack"
    if entry.path.startswith(_SHARED_MEMORY_NAMES):
        return "shared-memory"
    if entry.path.startswith(b"[anon:") or not entry.path:
        if entry.start in arenas:
            return "arena"
        above_guard = before is not None and before.is_guard_of(entry)
        is_guarded = above_guard or entry.is_guarded_inside
        is_stack = is_guarded and entry.permissions.startswith(b"rw") and not entry.is_reserved
        return "stack" if is_stack else "anonymous"
    return "special" if entry.path.startswith(b"[") else "file"


@dataclass(frozen=True, slots=True)
class PrivateMapping:
    """Memory that an allocator may cut blocks from; `hole_bytes` of it are not resident."""

    start: int
    end: int
    is_main_heap: bool
    hole_bytes: int

    @property
    def may_be_thread_heap(self) -> bool:
        """Whether it lies where malloc puts the heaps of threads."""
        return self.start % ARENA_ALIGNMENT == 0 and not self.is_main_heap

    def has_holes(self, *, is_heap: bool) -> bool:
        """Whether it has a part worth looking at that is not resident.

        What a test leaves in such a hole lies at an address that was mapped before it; only the
        pages tell that the memory is new.
        """
        if is_heap:
            return self.hole_bytes >= _SMALLEST_HOLE_BYTES
        small_enough = self.end - self.start <= _LARGEST_LOOKED_INTO_BYTES
        return self.hole_bytes >= _SMALLEST_OTHER_HOLE_BYTES and small_enough
