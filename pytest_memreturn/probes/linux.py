"""Linux procfs: what the kernel says of this process's memory."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import (
    Counters,
    KindUsage,
    MappedRange,
    Peak,
    Snapshot,
)
from pytest_memreturn.probes._buffers import ReusableBuffers
from pytest_memreturn.probes._peaks import NestedPeaks
from pytest_memreturn.probes._residency import page_maps

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from pytest_memreturn._snapshot import MappingKind
    from pytest_memreturn.probes._buffers import Text
    from pytest_memreturn.probes._residency import PageMaps

_STATUS = "/proc/self/status"
_ROLLUP = "/proc/self/smaps_rollup"
_SMAPS = "/proc/self/smaps"
_CLEAR_REFS = "/proc/self/clear_refs"

# proc_pid_clear_refs(5): 5 sets the peak resident set size to the current one.
_RESET_PEAK = b"5"

# One at the gate, one after the trim, and their page maps, which stay empty: buffers for all of
# them are made before the baseline is read, or they would grow the footprint they measure.
_CAPTURES_AFTER_BASELINE = 4

_KB = 1024
_STATUS_FIELD = re.compile(rb"^(\w+):\s+(\d+)", re.MULTILINE)
_SMAPS_FIELD = re.compile(
    rb"^(Size|Rss|Anonymous|LazyFree|AnonHugePages|Private_Hugetlb|Shared_Hugetlb|Swap): +(\d+)",
    re.MULTILINE,
)
_SMAPS_HEADER = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ([rwxps-]{4}) [0-9a-f]+ \S+ \d+ *(.*)$", re.MULTILINE
)
_VM_FLAGS = re.compile(rb"\nVmFlags:.*")
# Non-zero lines only: there are few, and finding them is cheaper than parsing the text.
_FOOTPRINT_LINE = re.compile(
    rb"\n(Anonymous|LazyFree|Private_Hugetlb|Shared_Hugetlb|Swap): +([1-9][0-9]*)"
)
_SOME_LAZY_FREE = re.compile(rb"LazyFree: +([1-9][0-9]*)")

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


class LinuxProbe:
    """Footprint, layout and peak of this process, from procfs."""

    name = "linux"

    def __init__(self) -> None:
        self._buffers = ReusableBuffers()
        self._peaks = NestedPeaks(
            read_mark=lambda: _required(_read_status(), "VmHWM", _STATUS),
            reset_mark=_reset_peak_mark,
            read_rss=lambda: _required(_read_status(), "VmRSS", _STATUS),
        )

    def counters(self) -> Counters:
        """The per-process counters of ``status``: they cost the same at any size."""
        status = _read_status()
        parts = (
            _required(status, "RssAnon", _STATUS),
            status.get("RssShmem", 0),
            status.get("VmSwap", 0),
            status.get("HugetlbPages", 0),
        )
        off_pages = _counter_error_pages(threads=status.get("Threads", _KB) // _KB)
        return Counters(
            footprint_bytes=sum(parts),
            rss_bytes=_required(status, "VmRSS", _STATUS),
            error_bytes=off_pages * os.sysconf("SC_PAGESIZE") * sum(part > 0 for part in parts),
        )

    def exact(self) -> Counters:
        """The page tables themselves, walked by the kernel: exact, and dearer with size."""
        rollup = _fields(_read(_ROLLUP))
        status = _read_status()
        return Counters(
            footprint_bytes=_required(rollup, "Anonymous", _ROLLUP)
            - rollup.get("LazyFree", 0)
            + rollup.get("Swap", 0)
            + rollup.get("Private_Hugetlb", 0)
            + rollup.get("Shared_Hugetlb", 0)
            # The rollup has shared memory only by share (Pss_Shmem); the counter has it whole.
            + status.get("RssShmem", 0),
            rss_bytes=_required(rollup, "Rss", _ROLLUP),
        )

    def capture(self, *, baseline: bool = False) -> SmapsCapture:
        """The full mapping layout, as text; `SmapsCapture.snapshot` makes sense of it."""
        while True:
            made = self._buffers.made
            try:
                text = self._buffers.read(_SMAPS)
            except OSError as error:
                raise _unavailable(_SMAPS, error) from error
            shared_memory = _read_status().get("RssShmem", 0)
            pages = page_maps(self._buffers, _heaps_with_holes(text) if baseline else ())
            if baseline:
                self._buffers.reserve(_CAPTURES_AFTER_BASELINE)
            if self._buffers.made == made or not baseline:
                return SmapsCapture(text, shared_memory, pages)
            # A buffer made on the way would be missing from the baseline.
            del text, pages

    def open_peak(self) -> int:
        """Begin to watch the peak, by resetting the kernel's high-water mark."""
        return self._peaks.open()

    def close_peak(self, token: int) -> Peak:
        """The peak since `open_peak` gave `token`."""
        return self._peaks.close(token)


def _reset_peak_mark() -> bool:
    try:
        descriptor = os.open(_CLEAR_REFS, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, _RESET_PEAK)
        finally:
            os.close(descriptor)
    except OSError:
        # Hardened containers mount procfs read-only.
        return False
    return True


def _heaps_with_holes(text: Text) -> list[tuple[int, int]]:
    """Start and end of each heap of malloc of which a part was given back.

    What a test leaves in such a hole lies at an address that was mapped before it; only the
    pages tell that the memory is new.
    """
    return [
        (start, int(heap[2], 16))
        for heap in _HEAP_SIZES.finditer(text.buffer, 0, text.length)
        if (int(heap[4]) - int(heap[5])) * _KB >= _SMALLEST_HOLE_BYTES
        and ((start := int(heap[1], 16)) % _ARENA_ALIGNMENT == 0 or heap[3])
    ]


@dataclass(slots=True, eq=False)
class SmapsCapture:
    """The text of ``smaps``, kept raw until somebody needs it."""

    _text: Text
    _shared_memory_bytes: int
    _pages: PageMaps
    _snapshot: Snapshot | None = None

    def lazy_free_bytes(self) -> int:
        """Lazily freed pages when this was captured: resident, and not in the footprint."""
        found = _SOME_LAZY_FREE.finditer(self._text.buffer, 0, self._text.length)
        return sum(int(line[1]) * _KB for line in found)

    def footprint_bytes(self) -> int:
        """The footprint as `snapshot` gives it, by adding up lines: next to no allocation."""
        total = self._shared_memory_bytes
        for line in _FOOTPRINT_LINE.finditer(self._text.buffer, 0, self._text.length):
            size = int(line[2]) * _KB
            total += -size if line[1] == b"LazyFree" else size
        return total

    def snapshot(self) -> Snapshot:
        """The layout by kind, and what it holds."""
        if self._snapshot is None:
            found = parse_smaps(self._text.buffer, self._text.length, self._shared_memory_bytes)
            ranges = tuple(part for one in found.ranges for part in self._resident_parts(one))
            self._snapshot = dataclasses.replace(found, ranges=ranges)
        return self._snapshot

    def _resident_parts(self, whole: MappedRange) -> Iterator[MappedRange]:
        runs = self._pages.resident_runs(whole.start)
        if runs is None:
            yield whole
            return
        for start, end in runs:
            yield MappedRange(start, end, whole.kind, end - start)


def parse_smaps(text: bytes | mmap.mmap, length: int, shared_memory_bytes: int) -> Snapshot:
    """A snapshot from the first `length` bytes of `text`.

    `shared_memory_bytes` is the kernel's own count (``RssShmem``): a layout names the usual
    places of shared memory, but a file on any tmpfs is shared memory too.
    """
    sizes: dict[MappingKind, int] = {}
    counted: dict[MappingKind, int] = {}
    ranges: list[MappedRange] = []
    rss = anonymous = lazy_free = swap = huge_pages = 0
    guard_end = -1
    headers = _SMAPS_HEADER.finditer(text, 0, length)
    header = next(headers, None)
    while header is not None:
        following = next(headers, None)
        stop = following.start() if following is not None else length
        fields = {
            key.decode(): int(kilobytes) * _KB
            for key, kilobytes in _SMAPS_FIELD.findall(text, header.end(), stop)
        }
        for needed in ("Size", "Rss", "Anonymous"):
            _required(fields, needed, _SMAPS)
        start, end = int(header[1], 16), int(header[2], 16)
        permissions, path = header[3], header[4]
        flags = _VM_FLAGS.search(text, header.end(), stop)
        unreserved = flags is None or b" nr" in flags[0]
        kind = mapping_kind(
            start,
            permissions,
            path,
            unreserved=unreserved,
            follows_guard=start == guard_end,
        )
        inaccessible = permissions.startswith(b"---")
        # The unused rest of a thread arena has no permissions either, but is no guard.
        guard_end = end if inaccessible and not path and not unreserved else -1
        kept = fields["Anonymous"] - fields.get("LazyFree", 0) + fields.get("Private_Hugetlb", 0)
        rss += fields["Rss"]
        anonymous += fields["Anonymous"]
        lazy_free += fields.get("LazyFree", 0)
        swap += fields.get("Swap", 0)
        huge_pages += fields.get("AnonHugePages", 0)
        counted[kind] = counted.get(kind, 0) + kept
        if not inaccessible:
            # Thread arenas and guards are reserved without permissions: no use of memory yet.
            sizes[kind] = sizes.get(kind, 0) + fields["Size"]
        if kept:
            ranges.append(MappedRange(start, end, kind, kept))
        header = following
    counted["shared-memory"] = counted.get("shared-memory", 0) + shared_memory_bytes
    return Snapshot(
        footprint_bytes=sum(counted.values()) + swap,
        rss_bytes=rss,
        swap_bytes=swap,
        lazy_free_bytes=lazy_free,
        file_bytes=rss - anonymous - shared_memory_bytes,
        huge_page_bytes=huge_pages,
        kinds={kind: KindUsage(sizes.get(kind, 0), counted[kind]) for kind in counted},
        ranges=tuple(ranges),
    )


def mapping_kind(
    start: int, permissions: bytes, path: bytes, *, unreserved: bool, follows_guard: bool
) -> MappingKind:
    """Which kind a mapping is, from one entry of the layout.

    `unreserved`: no swap is reserved for it, as glibc asks for thread arenas. Alignment alone
    won't do: recent kernels align every large mapping to 2 MiB, and one in 32 of those by
    chance to 64 MiB.

    `follows_guard`: the mapping begins where an anonymous one without any permission ends, as a
    thread's stack does.
    """
    if path == b"[heap]":
        return "heap"
    if path == b"[stack]":
        return "stack"
    if path.startswith(_SHARED_MEMORY_NAMES):
        return "shared-memory"
    if path.startswith(b"[anon:") or not path:
        if unreserved and start % _ARENA_ALIGNMENT == 0:
            return "arena"
        return "stack" if follows_guard and permissions.startswith(b"rw") else "anonymous"
    return "special" if path.startswith(b"[") else "file"


def _counter_error_pages(threads: int) -> int:
    """How many pages one counter may be off.

    Before Linux 6.2 each thread keeps up to 64 pages to itself (TASK_RSS_EVENTS_THRESH); from
    6.2 on each processor keeps a batch of max(32, 2 x processors) pages (percpu_counter_batch).
    """
    processors = os.cpu_count() or 1
    return max(64 * threads, max(32, 2 * processors) * processors)


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 16 * _KB)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unavailable(path, error) from error


def _read_status() -> dict[str, int]:
    return _fields(_read(_STATUS))


def _fields(text: bytes) -> dict[str, int]:
    """Every ``Name: number`` line, as if the number were in kB (which all but counts are)."""
    return {key.decode(): int(number) * _KB for key, number in _STATUS_FIELD.findall(text)}


def _required(fields: dict[str, int], name: str, path: str) -> int:
    if name not in fields:
        msg = f"{path} has no {name} line on this kernel"
        raise ReadingUnavailableError(msg)
    return fields[name]


def _unavailable(path: str, error: OSError) -> ReadingUnavailableError:
    return ReadingUnavailableError(f"cannot read {path}: {error.strerror or error}")
