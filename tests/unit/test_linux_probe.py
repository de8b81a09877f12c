"""Readings from procfs, on files that stand in for the kernel's."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn._snapshot import Counters, MappedRange, Peak
from pytest_memreturn.probes import linux
from pytest_memreturn.probes._smaps import ARENA_ALIGNMENT, SmapsText
from pytest_memreturn.probes.linux import LinuxProbe
from pytest_memreturn.probes.residency import page_maps

SMAPS = b"""\
0a000000-0a800000 rw-p 00000000 00:00 0           [heap]
Size:               8192 kB
Rss:                6000 kB
Anonymous:          6000 kB
LazyFree:            100 kB
7f1100001000-7f1100801000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                 512 kB
Anonymous:           512 kB
"""
STATUS = b"""\
Name:\tpython
Umask:\t0022
State:\tR (running)
VmPeak:\t  900000 kB
VmSize:\t  800000 kB
VmHWM:\t   50000 kB
VmRSS:\t   40000 kB
RssAnon:\t   30000 kB
RssFile:\t    9000 kB
RssShmem:\t    1000 kB
VmSwap:\t     200 kB
HugetlbPages:\t    2048 kB
Threads:\t3
"""
ROLLUP = b"""\
00400000-7ffd00021000 ---p 00000000 00:00 0                              [rollup]
Rss:               41000 kB
Pss:               40000 kB
Anonymous:         30500 kB
LazyFree:            500 kB
AnonHugePages:         0 kB
Shared_Hugetlb:     4096 kB
Private_Hugetlb:    2048 kB
Swap:                100 kB
"""


class Procfs:
    """Files that stand in for the kernel's, until somebody takes them away."""

    def __init__(self, folder: Path) -> None:
        self.status = folder / "status"
        self.rollup = folder / "smaps_rollup"
        self.smaps = folder / "smaps"
        self.clear_refs = folder / "clear_refs"
        self.vmstat = folder / "vmstat"
        self.status.write_bytes(STATUS)
        self.rollup.write_bytes(ROLLUP)
        self.smaps.write_bytes(SMAPS)
        self.clear_refs.write_bytes(b"")
        self.vmstat.write_bytes(
            b"nr_free_pages 9\npglazyfree 7\npglazyfreed 5\nthp_fault_alloc 3\n"
        )


@pytest.fixture
def procfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Procfs:
    """A procfs of our own for the probe to read."""
    found = Procfs(tmp_path)
    monkeypatch.setattr(linux, "_STATUS", str(found.status))
    monkeypatch.setattr(linux, "_ROLLUP", str(found.rollup))
    monkeypatch.setattr(linux, "_SMAPS", str(found.smaps))
    monkeypatch.setattr(linux, "_CLEAR_REFS", str(found.clear_refs))
    monkeypatch.setattr(linux, "_VMSTAT", str(found.vmstat))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return found


def test_counters_come_from_status(procfs: Procfs) -> None:
    """Anonymous, shared, swapped and huge pages; each counter may be off by its own error."""
    del procfs
    # Three threads may keep 64 pages each to themselves, on each of four counters.
    assert LinuxProbe().counters() == Counters(
        (30_000 + 1000 + 200 + 2048) * KIB, 40_000 * KIB, error_bytes=4 * 3 * 64 * mmap.PAGESIZE
    )


@pytest.mark.parametrize(
    ("threads", "processors", "pages"),
    [
        (1, 1, 64),
        (1, 2, 64),
        (1, 4, 128),
        (5, 4, 320),
        (1, 16, 32 * 16),
        (1, 64, 128 * 64),
        (1, None, 64),
    ],
)
def test_how_far_counters_may_be_off(
    threads: int,
    processors: int | None,
    pages: int,
    procfs: Procfs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the kernel's older way of counting or by its newer one, whichever is worse."""
    text = f"Name: x\nVmRSS: 8 kB\nRssAnon: 8 kB\nThreads: {threads}\n"
    procfs.status.write_text(text, encoding="ascii")
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert LinuxProbe().counters() == Counters(8 * KIB, 8 * KIB, error_bytes=pages * mmap.PAGESIZE)


@pytest.mark.parametrize(("step_kb", "exact"), [(4, True), (64, True), (3, False), (0, False)])
def test_counters_that_show_each_page_at_once_are_exact(
    step_kb: int, monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    """Tried with a few pages; a large folio brings more than one with the first touch."""
    readings = itertools.count(1000, step_kb * mmap.PAGESIZE // 4096)
    monkeypatch.setattr(linux, "_read_status", lambda: {"RssAnon": next(readings) * KIB})
    assert linux._counters_are_exact() == exact


def test_activity_is_told_by_faults_and_by_the_machine(procfs: Procfs) -> None:
    """Each fault brings a page at the least; what was freed lazily, nobody counts by process."""
    before = LinuxProbe().activity()
    assert before is not None
    assert before.lazily_freed_bytes == 7 * mmap.PAGESIZE
    assert before.huge_fault_bytes == 3 * mmap.PAGESIZE**2 // 8
    pages = 50
    with mmap.mmap(
        -1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    ) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
    after = LinuxProbe().activity()
    assert after is not None
    assert after.fault_bytes - before.fault_bytes >= pages * mmap.PAGESIZE
    procfs.vmstat.write_bytes(b"nr_free_pages 9\n")
    found = LinuxProbe().activity()
    assert found is not None
    assert (found.lazily_freed_bytes, found.huge_fault_bytes) == (None, 0)
    procfs.vmstat.unlink()
    found = LinuxProbe().activity()
    assert found is not None
    assert (found.lazily_freed_bytes, found.huge_fault_bytes) == (None, 0)


def test_the_exact_footprint_comes_from_the_rollup(procfs: Procfs) -> None:
    """Without lazily freed pages, and with shared memory and huge pages in full."""
    del procfs
    footprint = 30_500 - 500 + 100 + 2048 + 4096 + 1000
    assert LinuxProbe().exact() == Counters(footprint * KIB, 41_000 * KIB)


def test_what_a_kernel_does_not_count_is_zero(procfs: Procfs) -> None:
    """A kernel without shared memory, swap or huge pages still has a footprint."""
    procfs.status.write_bytes(b"Name: x\nVmHWM: 9 kB\nVmRSS: 8 kB\nRssAnon: 8 kB\n")
    procfs.rollup.write_bytes(b"0-1 ---p 0 0:0 0 [rollup]\nRss: 8 kB\nAnonymous: 7 kB\n")
    assert LinuxProbe().counters().footprint_bytes == 8 * KIB
    assert LinuxProbe().exact() == Counters(7 * KIB, 8 * KIB)


READINGS: dict[str, Callable[[LinuxProbe], object]] = {
    "counters": LinuxProbe.counters,
    "exact": LinuxProbe.exact,
    "capture": LinuxProbe.capture,
    "peak": lambda probe: probe.close_peak(probe.open_peak()),
}


@pytest.mark.parametrize(
    ("reading", "missing"),
    [
        ("counters", "status"),
        ("exact", "status"),
        ("exact", "rollup"),
        ("capture", "status"),
        ("capture", "smaps"),
        ("peak", "status"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(reading: str, missing: str, procfs: Procfs) -> None:
    """The reason holds the path, and what the system said."""
    path: Path = getattr(procfs, missing)
    path.unlink()
    with pytest.raises(ReadingUnavailableError) as caught:
        READINGS[reading](LinuxProbe())
    assert str(caught.value) == f"cannot read {path}: No such file or directory"


@pytest.mark.parametrize(
    ("reading", "file", "field"),
    [
        ("counters", "status", "RssAnon"),
        ("counters", "status", "VmRSS"),
        ("exact", "rollup", "Anonymous"),
        ("exact", "rollup", "Rss"),
        ("peak", "status", "VmHWM"),
    ],
)
def test_a_field_that_is_missing_is_named(
    reading: str, file: str, field: str, procfs: Procfs
) -> None:
    """Old kernels, and those that only look like Linux, lack some."""
    path: Path = getattr(procfs, file)
    path.write_text(path.read_text(encoding="ascii").replace(field, "Other"), encoding="ascii")
    with pytest.raises(ReadingUnavailableError) as caught:
        READINGS[reading](LinuxProbe())
    assert field in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_capture_agrees_with_itself(procfs: Procfs) -> None:
    """What is added up in the raw text is what the layout gives, both without our own buffers."""
    del procfs
    probe = LinuxProbe()
    capture = probe.capture()
    own = probe._buffers.held_bytes
    assert own > 0
    snapshot = SmapsText(SMAPS, len(SMAPS)).snapshot(1000 * KIB, left_out_bytes=own)
    assert capture.snapshot() == snapshot
    assert capture.snapshot() is capture.snapshot()
    assert capture.footprint_bytes() == snapshot.footprint_bytes == (1000 + 5900 + 512) * KIB - own
    assert capture.lazy_free_bytes() == snapshot.lazy_free_bytes == 100 * KIB


@pytest.mark.parametrize("baseline", [False, True])
def test_a_capture_keeps_what_it_read(procfs: Procfs, *, baseline: bool) -> None:
    """Later captures neither change an earlier one nor lend its memory."""
    probe = LinuxProbe()
    first = probe.capture(baseline=baseline)
    own_then = probe._buffers.size_bytes  # one, for the text: its maps of pages come after it
    later = SMAPS.replace(b"512", b"1024")
    procfs.smaps.write_bytes(later)
    second = probe.capture()
    own_now = probe._buffers.held_bytes
    assert own_now > own_then
    old, new = SmapsText(SMAPS, len(SMAPS)), SmapsText(later, len(later))
    assert first.snapshot() == old.snapshot(1000 * KIB, left_out_bytes=own_then)
    assert second.snapshot() == new.snapshot(1000 * KIB, left_out_bytes=own_now)


def test_readings_leave_out_what_they_are_made_with(procfs: Procfs) -> None:
    """The buffers that a large layout needs are no growth, whichever reading looks."""
    probe = LinuxProbe()
    before = (probe.counters(), probe.exact())
    assert probe._buffers.held_bytes == 0
    procfs.smaps.write_bytes(SMAPS * 600)
    kept = [probe.capture(baseline=True), probe.capture()]
    own = probe._buffers.held_bytes
    assert own >= 2 * len(SMAPS) * 600
    for old, new in zip(before, (probe.counters(), probe.exact()), strict=True):
        assert (old.footprint_bytes - new.footprint_bytes, old.rss_bytes - new.rss_bytes) == (
            own,
            own,
        )
    del kept


def test_holes_of_a_heap_are_told_by_their_pages(procfs: Procfs) -> None:
    """At the baseline a heap that has given back a part is as many ranges as resident runs."""
    size = MIB  # less than a huge page, or one touch would make more than a page resident
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = _address_of(memory)
        for page in (0, 1, 5):
            memory[page * mmap.PAGESIZE] = 1
        kilobytes = 3 * mmap.PAGESIZE // KIB
        procfs.smaps.write_text(
            f"00400000-00401000 r--p 00000000 08:02 1 /usr/bin/x\n"
            f"Size: 4 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 0 kB\nAnonymous: 0 kB\n"
            f"{start:x}-{start + size:x} rw-p 00000000 00:00 0 [heap]\n"
            f"Size: {size // KIB} kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\n"
            f"Rss: {kilobytes} kB\nAnonymous: {kilobytes} kB\n",
            encoding="ascii",
        )
        whole = LinuxProbe().capture().snapshot().ranges
        runs = LinuxProbe().capture(baseline=True).snapshot().ranges
    assert whole == (MappedRange(start, start + size, "heap", kilobytes * KIB),)
    assert runs == (
        MappedRange(start, start + 2 * mmap.PAGESIZE, "heap", 2 * mmap.PAGESIZE),
        MappedRange(
            start + 5 * mmap.PAGESIZE,
            start + 6 * mmap.PAGESIZE,
            "heap",
            mmap.PAGESIZE,
        ),
    )


def test_a_thread_heap_is_told_by_its_memory(procfs: Procfs) -> None:
    """On the boundary may lie a heap of malloc, or a piece of somebody else's."""
    size = 64 * MIB
    with mmap.mmap(-1, 3 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = _address_of(memory)
        heap = -(-start // size) * size
        header = struct.pack("4Q", heap + 0x30, 0, 32 * mmap.PAGESIZE, 32 * mmap.PAGESIZE)
        memory[heap - start : heap - start + len(header)] = header
        memory[heap - start + 6 * mmap.PAGESIZE] = 1
        procfs.smaps.write_text(
            "00400000-00401000 r--p 00000000 08:02 1 /usr/bin/x\n"
            "Size: 4 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 0 kB\nAnonymous: 0 kB\n"
            + "".join(
                f"{begin:x}-{begin + MIB:x} rw-p 00000000 00:00 0 \n"
                "Size: 1024 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 8 kB\n"
                f"Anonymous: 8 kB\nAnonHugePages: {huge} kB\n"
                for begin, huge in ((heap, 0), (heap + size, 4))
            ),
            encoding="ascii",
        )
        whole = LinuxProbe().capture().snapshot().ranges
        parts = LinuxProbe().capture(baseline=True).snapshot().ranges
    other = MappedRange(heap + size, heap + size + MIB, "anonymous", 8 * KIB, 4 * KIB)
    assert whole == (MappedRange(heap, heap + MIB, "arena", 8 * KIB), other)
    assert parts == (
        MappedRange(heap, heap + mmap.PAGESIZE, "arena", mmap.PAGESIZE),
        MappedRange(heap + 6 * mmap.PAGESIZE, heap + 7 * mmap.PAGESIZE, "arena", mmap.PAGESIZE),
        other,  # its holes are too small to matter outside of malloc
    )


def test_holes_of_a_large_pool_are_told_by_their_pages(procfs: Procfs) -> None:
    """A pool takes addresses at once and fills them little by little."""
    size = 8 * MIB
    room = size + mmap.PAGESIZE
    with mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        # Where a thread heap could begin, its first page is looked at, and is there from then on.
        aside = 0 if _address_of(memory) % ARENA_ALIGNMENT else mmap.PAGESIZE
        start = _address_of(memory) + aside
        memory[aside + 5 * mmap.PAGESIZE] = 1
        procfs.smaps.write_text(
            "00400000-00401000 r--p 00000000 08:02 1 /usr/bin/x\n"
            "Size: 4 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 0 kB\nAnonymous: 0 kB\n"
            f"{start:x}-{start + size:x} rw-p 00000000 00:00 0 \n"
            "Size: 8192 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 4 kB\nAnonymous: 4 kB\n",
            encoding="ascii",
        )
        parts = LinuxProbe().capture(baseline=True).snapshot().ranges
    begin = start + 5 * mmap.PAGESIZE
    assert parts == (MappedRange(begin, begin + mmap.PAGESIZE, "anonymous", mmap.PAGESIZE),)


def test_a_heap_that_is_there_no_more_stays_whole(procfs: Procfs) -> None:
    """Where nobody can ask for its pages any more, its range in the layout has to do."""
    procfs.smaps.write_text(
        "00400000-00401000 r--p 00000000 08:02 1 /usr/bin/x\n"
        "Size: 4 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 0 kB\nAnonymous: 0 kB\n"
        "00010000-00410000 rw-p 00000000 00:00 0 [heap]\n"
        "Size: 4096 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\n"
        "Rss: 8 kB\nAnonymous: 8 kB\n",
        encoding="ascii",
    )
    ranges = LinuxProbe().capture(baseline=True).snapshot().ranges
    assert ranges == (MappedRange(0x10000, 0x410000, "heap", 8 * KIB),)


def test_runs_of_pages_are_told_apart_by_range() -> None:
    """Each range has its own runs, also where two of them touch; others are not known."""
    size = 3 * mmap.PAGESIZE
    with mmap.mmap(-1, 2 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = _address_of(memory)
        memory[2 * mmap.PAGESIZE] = memory[3 * mmap.PAGESIZE] = 1
        pages = page_maps(
            LinuxProbe()._buffers, [(start, start + size), (start + size, start + 2 * size)]
        )
        first, second = pages.resident_runs(start), pages.resident_runs(start + size)
    assert first is not None
    assert second is not None
    assert list(first) == [(start + 2 * mmap.PAGESIZE, start + size)]
    assert list(second) == [(start + size, start + size + mmap.PAGESIZE)]
    assert pages.resident_runs(start + mmap.PAGESIZE) is None


def _address_of(memory: mmap.mmap) -> int:
    """Where a mapping begins, without touching it."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def test_the_peak_is_the_kernel_s_mark_since_its_reset(procfs: Procfs) -> None:
    """The mark is reset when the window opens, and read when it closes."""
    probe = LinuxProbe()
    token = probe.open_peak()
    assert procfs.clear_refs.read_bytes() == b"5"
    procfs.status.write_bytes(STATUS.replace(b"50000", b"77000"))
    assert probe.close_peak(token) == Peak(77_000 * KIB, "exact")


@pytest.mark.parametrize(
    ("mark", "peak"),
    [
        (b"77000", Peak(77_000 * KIB, "process")),
        (b"50000", Peak(40_000 * KIB, "at-least")),
    ],
)
def test_a_mark_that_cannot_be_reset_says_so(mark: bytes, peak: Peak, procfs: Procfs) -> None:
    """Where procfs is mounted read-only the peak is only as good as its quality says."""
    procfs.clear_refs.unlink()
    probe = LinuxProbe()
    token = probe.open_peak()
    procfs.status.write_bytes(STATUS.replace(b"50000", mark))
    assert probe.close_peak(token) == peak


@pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")
def test_the_stack_of_a_thread_is_one() -> None:
    """However the C library guards it: what lies there is known by its place in a layout."""
    ready, over = threading.Event(), threading.Event()
    places = []

    def work() -> None:
        libc = ctypes.CDLL(None)
        attributes = ctypes.create_string_buffer(64)
        lowest, size = ctypes.c_size_t(), ctypes.c_size_t()
        libc.pthread_getattr_np(ctypes.c_void_p(threading.get_ident()), attributes)
        libc.pthread_attr_getstack(attributes, ctypes.byref(lowest), ctypes.byref(size))
        places.append(lowest.value + size.value - 1)
        ready.set()
        over.wait()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    ranges = LinuxProbe().capture().snapshot().ranges
    over.set()
    thread.join()
    assert [one.kind for one in ranges if one.start <= places[0] < one.end] == ["stack"]
