"""Linux procfs: what the kernel says of this process's memory."""

from __future__ import annotations

import dataclasses
import mmap
import os
import re
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import Activity, Counters, MappedRange, Peak, Snapshot
from pytest_memreturn.probes._buffers import ReusableBuffers
from pytest_memreturn.probes._files import read_small, unreadable, write_small
from pytest_memreturn.probes._peaks import NestedPeaks
from pytest_memreturn.probes._smaps import SmapsText
from pytest_memreturn.probes._thread_heaps import thread_heaps
from pytest_memreturn.probes.residency import page_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_memreturn.probes._buffers import Loan
    from pytest_memreturn.probes.residency import PageMaps

_STATUS = "/proc/self/status"
_ROLLUP = "/proc/self/smaps_rollup"
_SMAPS = "/proc/self/smaps"
_CLEAR_REFS = "/proc/self/clear_refs"
_VMSTAT = "/proc/vmstat"

_PRIVATE_MEMORY = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

# proc_pid_clear_refs(5): 5 sets the peak resident set size to the current one.
_RESET_PEAK = b"5"

# Bound before a test that replaces it for its own ends can reach the readings.
_RESOURCE_USAGE, _OF_THIS_PROCESS = resource.getrusage, resource.RUSAGE_SELF

_KB = 1024
_LAZILY_FREED = re.compile(rb"\npglazyfree (\d{1,20})\n")
_HUGE_FAULTS = re.compile(rb"\nthp_fault_alloc (\d{1,20})\n")
# What one page of a page table has addresses of, at 8 bytes each.
_HUGE_PAGE_BYTES = mmap.PAGESIZE // 8 * mmap.PAGESIZE
# By name, behind a line's end: found in a quarter of the time that every line would take.
_STATUS_FIELD = re.compile(
    rb"\n(VmHWM|VmRSS|VmSwap|RssAnon|RssShmem|HugetlbPages|Threads):[ \t]+(\d{1,20})\b"
)
_ROLLUP_FIELD = re.compile(
    rb"\n(Rss|Anonymous|LazyFree|Swap|Private_Hugetlb|Shared_Hugetlb):[ \t]+(\d{1,20})\b"
)


class LinuxProbe:
    """Footprint, layout and peak of this process, from procfs."""

    name = "linux"

    def __init__(self) -> None:
        self._processors = os.cpu_count() or 1
        self._buffers = ReusableBuffers()
        self._peaks = NestedPeaks(self._read_peak, _reset_peak_mark)
        self._counters_are_exact = _counters_are_exact()

    def counters(self) -> Counters:
        """The per-process counters of ``status``: they cost the same at any size."""
        status = _read_status()
        parts = (
            _required(status, "RssAnon", _STATUS),
            status.get("RssShmem", 0),
            status.get("VmSwap", 0),
            status.get("HugetlbPages", 0),
        )
        off_pages = 0
        if not self._counters_are_exact:
            threads = status.get("Threads", _KB) // _KB
            off_pages = _counter_error_pages(self._processors, threads=threads)
        return Counters(
            footprint_bytes=sum(parts) - self._buffers.held_bytes,
            rss_bytes=self._without_buffers(status, "VmRSS"),
            error_bytes=off_pages * mmap.PAGESIZE * sum(part > 0 for part in parts),
        )

    def activity(self) -> Activity | None:
        """Faults of this process, and pages the whole machine freed lazily or took as huge ones.

        A process has no count of its own of the latter two: where others free lazily all the time
        the bound is wide, and never wrong.
        """
        try:
            counts = read_small(_VMSTAT)
        except OSError:
            counts = b""
        lazily_freed_pages = _count(_LAZILY_FREED, counts)
        return Activity(
            fault_bytes=_RESOURCE_USAGE(_OF_THIS_PROCESS).ru_minflt * mmap.PAGESIZE,
            lazily_freed_bytes=(
                None if lazily_freed_pages is None else lazily_freed_pages * mmap.PAGESIZE
            ),
            huge_fault_bytes=(_count(_HUGE_FAULTS, counts) or 0) * _HUGE_PAGE_BYTES,
        )

    def exact(self) -> Counters:
        """The page tables themselves, walked by the kernel: exact, and dearer with size."""
        rollup = _fields(_ROLLUP_FIELD, _read(_ROLLUP))
        status = _read_status()
        return Counters(
            footprint_bytes=_required(rollup, "Anonymous", _ROLLUP)
            - rollup.get("LazyFree", 0)
            + rollup.get("Swap", 0)
            + rollup.get("Private_Hugetlb", 0)
            + rollup.get("Shared_Hugetlb", 0)
            # The rollup has shared memory only by share (Pss_Shmem); the counter has it whole.
            + status.get("RssShmem", 0)
            - self._buffers.held_bytes,
            rss_bytes=_required(rollup, "Rss", _ROLLUP) - self._buffers.held_bytes,
        )

    def capture(self, *, baseline: bool = False) -> SmapsCapture:
        """The full mapping layout, as text; `SmapsCapture.snapshot` makes sense of it."""
        try:
            text = self._buffers.read(_SMAPS)
        except OSError as error:
            raise unreadable(_SMAPS, error) from error
        own_bytes = self._buffers.held_bytes
        shared_memory_bytes = _read_status().get("RssShmem", 0)
        smaps = SmapsText(text.buffer, text.length)
        mappings = list(smaps.private_mappings())
        arenas = thread_heaps(one.start for one in mappings if one.may_be_thread_heap)
        pages = page_maps(
            self._buffers,
            [
                (one.start, one.end)
                for one in (mappings if baseline else ())
                if one.has_holes(is_heap=one.is_main_heap or one.start in arenas)
            ],
        )
        return SmapsCapture(text, shared_memory_bytes, own_bytes, arenas, pages)

    def _read_peak(self) -> tuple[int, int]:
        status = _read_status()
        return self._without_buffers(status, "VmHWM"), self._without_buffers(status, "VmRSS")

    def _without_buffers(self, status: dict[str, int], name: str) -> int:
        """A figure of ``status`` less what this probe itself keeps resident for its readings."""
        return _required(status, name, _STATUS) - self._buffers.held_bytes

    def open_peak(self) -> int:
        """Begin to watch the peak, by resetting the kernel's high-water mark."""
        return self._peaks.open()

    def close_peak(self, token: int) -> Peak:
        """The peak since `open_peak` gave `token`."""
        return self._peaks.close(token)


def _reset_peak_mark() -> bool:
    try:
        write_small(_CLEAR_REFS, _RESET_PEAK)
    except OSError:
        # Hardened containers mount procfs read-only.
        return False
    return True


@dataclass(slots=True, eq=False)
class SmapsCapture:
    """The text of ``smaps``, kept raw until somebody needs it.

    The probe's own buffers are left out: readings must not grow by being made.
    """

    _text: Loan
    _shared_memory_bytes: int
    _own_bytes: int
    _arenas: frozenset[int]
    _pages: PageMaps
    _lazy_free_bytes: int | None = None
    _footprint_bytes: int | None = None
    _snapshot: Snapshot | None = None

    def lazy_free_bytes(self) -> int:
        """Lazily freed pages when this was captured: resident, and not in the footprint."""
        if self._lazy_free_bytes is None:
            self._lazy_free_bytes = self._smaps.lazy_free_bytes()
        return self._lazy_free_bytes

    def footprint_bytes(self) -> int:
        """The footprint as `snapshot` gives it, without making sense of the layout."""
        if self._footprint_bytes is None:
            private_bytes = self._smaps.private_footprint_bytes() - self._own_bytes
            self._footprint_bytes = private_bytes + self._shared_memory_bytes
        return self._footprint_bytes

    def snapshot(self) -> Snapshot:
        """The layout by kind, and what it holds."""
        if self._snapshot is None:
            found = self._smaps.snapshot(
                self._shared_memory_bytes, arenas=self._arenas, left_out_bytes=self._own_bytes
            )
            ranges = tuple(part for one in found.ranges for part in self._resident_parts(one))
            self._snapshot = dataclasses.replace(found, ranges=ranges)
        return self._snapshot

    @property
    def _smaps(self) -> SmapsText:
        return SmapsText(self._text.buffer, self._text.length)

    def _resident_parts(self, whole: MappedRange) -> Iterator[MappedRange]:
        runs = self._pages.resident_runs(whole.start)
        if runs is None:
            yield whole
            return
        for start, end in runs:
            yield MappedRange(start, end, whole.kind, end - start)


def _count(wanted: re.Pattern[bytes], counts: bytes) -> int | None:
    found = wanted.search(counts)
    return None if found is None else int(found[1])


# Counters that gather pages before they show them gather 32 at the least.
_PAGES_TO_TRY = 8


def _counters_are_exact() -> bool:
    """Whether the counters of ``status`` show each page at once, tried with a few.

    Kernels differ, and what was mended in one is brought to older ones too: Linux 6.18 shows
    each page at once, while reports of kernels from 6.2 on speak of tens of megabytes on
    machines with 250 processors.
    """
    with mmap.mmap(-1, _PAGES_TO_TRY * mmap.PAGESIZE, flags=_PRIVATE_MEMORY) as pages:
        before = _read_status().get("RssAnon", 0)
        for page in range(_PAGES_TO_TRY):
            pages[page * mmap.PAGESIZE] = 1
            # A large folio brings pages that are not written to yet.
            if _read_status().get("RssAnon", 0) - before < (page + 1) * mmap.PAGESIZE:
                return False
    return True


def _counter_error_pages(processors: int, *, threads: int) -> int:
    """How many pages one counter may be off.

    Before Linux 6.2 each thread keeps up to 64 pages to itself (TASK_RSS_EVENTS_THRESH); from
    6.2 on each processor keeps a batch of max(32, 2 x processors) pages (percpu_counter_batch).
    """
    return max(64 * threads, max(32, 2 * processors) * processors)


def _read(path: str) -> bytes:
    try:
        return read_small(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _read_status() -> dict[str, int]:
    return _fields(_STATUS_FIELD, _read(_STATUS))


def _fields(wanted: re.Pattern[bytes], text: bytes) -> dict[str, int]:
    """The `wanted` lines, as if every number were in kB (which all but counts are)."""
    return {key.decode(): int(number) * _KB for key, number in wanted.findall(text)}


def _required(fields: dict[str, int], name: str, path: str) -> int:
    if name not in fields:
        msg = f"{path} has no {name} line on this kernel"
        raise ReadingUnavailableError(msg)
    return fields[name]
