"""The text of a mapping layout, on a literal one."""

from __future__ import annotations

import mmap

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn._snapshot import KindUsage, MappedRange, MappingKind
from pytest_memreturn.probes._smaps import SmapsEntry, SmapsText, mapping_kind

# Shortened by nothing that matters: the layout of one process on Linux 6, one mapping of a kind.
SMAPS = b"""\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/python3.13
Size:                328 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                 300 kB
Pss:                 300 kB
Pss_Dirty:             0 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:       300 kB
Private_Dirty:         0 kB
Referenced:          300 kB
Anonymous:             0 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:           0
VmFlags: rd ex mr mw me
00652000-00654000 rw-p 00052000 08:02 173521      /usr/bin/python3.13
Size:                  8 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   8 kB
Anonymous:             8 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me ac
0a000000-0a800000 rw-p 00000000 00:00 0           [heap]
Size:               8192 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                6000 kB
Anonymous:          6000 kB
LazyFree:              0 kB
AnonHugePages:      2048 kB
Private_Hugetlb:       0 kB
Swap:                100 kB
VmFlags: rd wr mr mw me ac
7f1000000000-7f1000200000 rw-p 00000000 00:00 0
Size:               2048 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                 512 kB
Anonymous:           512 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me nr
7f1000200000-7f1004000000 ---p 00000000 00:00 0
Size:              63488 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   0 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: mr mw me nr
7f1100000000-7f1100001000 ---p 00000000 00:00 0
Size:                  4 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   0 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: mr mw me
7f1100001000-7f1100801000 rw-p 00000000 00:00 0
Size:               8192 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                  16 kB
Anonymous:            16 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me ac
7f1200100000-7f1201100000 rw-p 00000000 00:00 0
Size:              16384 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:               10000 kB
Anonymous:         10000 kB
LazyFree:           4000 kB
AnonHugePages:      4096 kB
Private_Hugetlb:       0 kB
Swap:                 28 kB
VmFlags: rd wr mr mw me ac
7f1300000000-7f1300200000 rw-p 00000000 00:10 77      /anon_hugepage (deleted)
Size:               2048 kB
KernelPageSize:     2048 kB
MMUPageSize:        2048 kB
Rss:                   0 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:    2048 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me de ht
7f1400000000-7f1400100000 rw-s 00000000 00:1a 5      /dev/shm/psm_1f2e3d4c
Size:               1024 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                 700 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: rd wr sh mr mw me ms
7f1500000000-7f1500400000 rw-s 00000000 00:0f 91     /dev/hugepages/pool
Size:               4096 kB
KernelPageSize:     2048 kB
MMUPageSize:        2048 kB
Rss:                   0 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Shared_Hugetlb:     4096 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: rd wr sh mr mw me ms de ht
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0      [stack]
Size:                132 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                  44 kB
Anonymous:            44 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me gd ac
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0      [vsyscall]
Size:                  4 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   0 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
VmFlags: ex
"""
SHARED_MEMORY_BYTES = 900 * KIB


def kib(size: int, counted: int) -> KindUsage:
    """Address space and footprint in KiB."""
    return KindUsage(size * KIB, counted * KIB)


def test_a_layout_is_split_by_kind() -> None:
    """Each mapping is of one kind, with its address space and its part of the footprint."""
    found = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES)
    assert dict(found.kinds) == {
        # A data page of the program, private since it was written to; the huge pages, which the
        # kernel names as a file.
        "file": kib(328 + 8 + 2048 + 4096, 8 + 2048),
        "heap": kib(8192, 6000),
        # The unused rest of a thread arena has no permission, so it is no address space in use.
        "arena": kib(2048, 512),
        "stack": kib(8192 + 132, 16 + 44),
        # Lazily freed pages don't count.
        "anonymous": kib(16384, 6000),
        # By the kernel's own count, not by the layout: any tmpfs may hold more. Shared huge pages
        # are not in that count.
        "shared-memory": KindUsage(1024 * KIB, SHARED_MEMORY_BYTES + 4096 * KIB),
        "special": kib(4, 0),
    }


def test_a_layout_adds_up() -> None:
    """Footprint, swap, and what is shown beside them, in bytes."""
    found = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES)
    counted = 8 + 2048 + 6000 + 512 + 16 + 44 + 6000 + 900 + 4096
    rss = 300 + 8 + 6000 + 512 + 16 + 10000 + 700 + 44
    assert found.footprint_bytes == (counted + 128) * KIB
    assert found.swap_bytes == 128 * KIB
    assert found.rss_bytes == rss * KIB
    assert found.lazy_free_bytes == 4000 * KIB
    assert found.huge_page_bytes == 6144 * KIB
    anonymous = 8 + 6000 + 512 + 16 + 10000 + 44
    assert found.file_bytes == (rss - anonymous - 900) * KIB
    assert found.allocators == ()


def test_ranges_are_the_mappings_that_hold_something() -> None:
    """Addresses, kind and footprint, in the order of the layout."""
    found = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES)
    assert found.ranges == (
        MappedRange(0x652000, 0x654000, "file", 8 * KIB),
        MappedRange(0xA000000, 0xA800000, "heap", 6000 * KIB),
        MappedRange(0x7F1000000000, 0x7F1000200000, "arena", 512 * KIB),
        MappedRange(0x7F1100001000, 0x7F1100801000, "stack", 16 * KIB),
        MappedRange(0x7F1200100000, 0x7F1201100000, "anonymous", 6000 * KIB),
        MappedRange(0x7F1300000000, 0x7F1300200000, "file", 2048 * KIB),
        MappedRange(0x7FFD00000000, 0x7FFD00021000, "stack", 44 * KIB),
    )


def test_only_the_text_itself_is_parsed() -> None:
    """What an earlier, longer reading left behind it in the buffer is not read again."""
    alone = SmapsText(SMAPS, len(SMAPS))
    with mmap.mmap(-1, 4 * len(SMAPS)) as buffer:
        buffer.write(SMAPS + SMAPS)
        once, twice = SmapsText(buffer, len(SMAPS)), SmapsText(buffer, 2 * len(SMAPS))
        assert once.snapshot(0) == alone.snapshot(0)
        assert twice.snapshot(0).rss_bytes == 2 * alone.snapshot(0).rss_bytes
        assert once.lazy_free_bytes() == alone.lazy_free_bytes()
        assert twice.lazy_free_bytes() == 2 * alone.lazy_free_bytes()
        assert once.private_footprint_bytes() == alone.private_footprint_bytes()
        assert twice.private_footprint_bytes() == 2 * alone.private_footprint_bytes()


def test_lines_can_be_added_up_without_the_layout() -> None:
    """What the layout counts, but for the kernel's own count of shared memory."""
    text = SmapsText(SMAPS, len(SMAPS))
    assert text.lazy_free_bytes() == 4000 * KIB
    assert text.private_footprint_bytes() == text.snapshot(0).footprint_bytes


@pytest.mark.parametrize(
    ("start", "name", "resident", "is_found"),
    [
        pytest.param(0x10001000, "[heap]", 8192 - 256, True, id="the heap"),
        pytest.param(0x10001000, "[heap]", 8192 - 255, False, id="a hole too small to matter"),
        pytest.param(0x10000000, "", 0, True, id="a thread arena"),
        pytest.param(0x10001000, "", 0, False, id="not of malloc"),
        pytest.param(0x10000000, "/usr/lib/libx.so", 0, False, id="a file"),
    ],
)
def test_heaps_with_holes(start: int, name: str, resident: int, *, is_found: bool) -> None:
    """Those of malloc of which a part was given back."""
    end = start + 8 * MIB
    text = (
        "00400000-00401000 r--p 00000000 08:02 1 /usr/bin/x\n"
        "Size: 4 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\nRss: 0 kB\nAnonymous: 0 kB\n"
        f"{start:x}-{end:x} rw-p 00000000 00:00 0 {name}\n"
        "Size: 8192 kB\nKernelPageSize: 4 kB\nMMUPageSize: 4 kB\n"
        f"Rss: {resident} kB\nAnonymous: {resident} kB\n"
    ).encode()
    assert SmapsText(text, len(text)).heaps_with_holes() == [(start, end)] * is_found


def test_an_empty_layout_is_nothing() -> None:
    """No mapping, no footprint but the shared memory."""
    found = SmapsText(b"", 0).snapshot(5)
    assert found.footprint_bytes == 5
    assert dict(found.kinds) == {"shared-memory": KindUsage(0, 5)}


OLD_KERNEL = b"""\
0a000000-0a800000 rw-p 00000000 00:00 0 [heap]
Size:               8192 kB
Rss:                6000 kB
Anonymous:          6000 kB
7f1000000000-7f1000200000 rw-p 00000000 00:00 0
Size:               2048 kB
Rss:                 512 kB
Anonymous:           512 kB
"""


def test_fields_that_an_old_kernel_lacks_are_zero() -> None:
    """LazyFree came with 4.12; where no flags are shown, none keeps a mapping from its kind."""
    found = SmapsText(OLD_KERNEL, len(OLD_KERNEL)).snapshot(0)
    assert found.footprint_bytes == 6512 * KIB
    assert (found.swap_bytes, found.lazy_free_bytes, found.huge_page_bytes) == (0, 0, 0)
    assert found.counted_bytes("arena") == 512 * KIB


@pytest.mark.parametrize("field", [b"Size", b"Rss", b"Anonymous"])
def test_a_layout_without_what_is_needed_cannot_be_read(field: bytes) -> None:
    """The reason names the field and the file."""
    text = OLD_KERNEL.replace(field, b"Other")
    with pytest.raises(ReadingUnavailableError, match=f"smaps.*{field.decode()}"):
        SmapsText(text, len(text)).snapshot(0)


ARENA = 0x7F1000000000
ELSEWHERE = ARENA + 0x1000


@pytest.mark.parametrize(
    ("start", "line", "flags", "follows_guard", "kind"),
    [
        (ELSEWHERE, "rw-p [heap]", "", False, "heap"),
        (ARENA, "rw-p [heap]", "", True, "heap"),
        (ELSEWHERE, "rw-p [stack]", "", False, "stack"),
        (ELSEWHERE, "rw-p ", "", True, "stack"),
        (ELSEWHERE, "rw-p [anon: glibc: pthread stack: 5]", "", True, "stack"),
        (ELSEWHERE, "---p ", "", True, "anonymous"),
        (ELSEWHERE, "r--p ", "", True, "anonymous"),
        (ELSEWHERE, "rw-p ", "", False, "anonymous"),
        (ELSEWHERE, "rw-p ", "nr", False, "anonymous"),
        (ELSEWHERE, "rw-p [anon:numpy]", "", False, "anonymous"),
        (ARENA, "rw-p ", "nr", False, "arena"),
        (ARENA, "rw-p ", "nr", True, "arena"),
        (ARENA, "rw-p ", None, False, "arena"),
        (ARENA, "rw-p [anon: glibc: malloc arena]", "nr", False, "arena"),
        (ARENA, "rw-p ", "mr mw", False, "anonymous"),
        (ARENA, "rw-p /usr/lib/libx.so", "nr", False, "file"),
        (ELSEWHERE, "rw-s /dev/shm/psm_1", "", False, "shared-memory"),
        (ELSEWHERE, "rw-s /dev/shm/psm_1 (deleted)", "", False, "shared-memory"),
        (ELSEWHERE, "rw-s /memfd:x (deleted)", "", False, "shared-memory"),
        (ELSEWHERE, "rw-s /SYSV00000000 (deleted)", "", False, "shared-memory"),
        (ELSEWHERE, "rw-s /dev/zero (deleted)", "", False, "shared-memory"),
        (ELSEWHERE, "rw-s /dev/shmem", "", False, "file"),
        (ELSEWHERE, "r-xp /usr/lib/libx.so", "", False, "file"),
        (ELSEWHERE, "rw-p /usr/lib/libx.so", "", True, "file"),
        (ELSEWHERE, "r-xp [vdso]", "", False, "special"),
        (ELSEWHERE, "r--p [vvar]", "", True, "special"),
    ],
)
def test_the_kind_of_a_mapping(
    start: int, line: str, flags: str | None, *, follows_guard: bool, kind: MappingKind
) -> None:
    """By its name where it has one; by address, flags and neighbour where it has not."""
    permissions, path = line.encode().split(b" ", 1)
    entry = SmapsEntry(
        start,
        start + 0x1000,
        permissions,
        path,
        flags=None if flags is None else flags.encode().split(),
        fields={},
    )
    assert mapping_kind(entry, follows_guard=follows_guard) == kind


@pytest.mark.parametrize(
    ("line", "flags", "is_guard"),
    [
        ("---p ", b"mr", True),
        ("---p ", b"nr", False),
        ("---p x", b"mr", False),
        ("rw-p ", b"", False),
    ],
)
def test_what_stands_below_a_stack(line: str, flags: bytes, *, is_guard: bool) -> None:
    """The unused rest of a thread arena has no permissions either, but is no guard."""
    permissions, path = line.encode().split(b" ", 1)
    assert SmapsEntry(0, 1, permissions, path, flags.split(), {}).is_guard == is_guard
