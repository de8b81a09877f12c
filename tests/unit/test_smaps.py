"""The text of a mapping layout, on a literal one."""

from __future__ import annotations

import mmap
import re

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn._snapshot import KindUsage, MappedRange, MappingKind
from pytest_memreturn.probes._smaps import (
    PrivateMapping,
    SmapsEntry,
    SmapsText,
    by_header,
    mapping_kind,
)

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
ARENA = 0x7F1000000000


def kib(size: int, counted: int) -> KindUsage:
    """Address space and footprint in KiB."""
    return KindUsage(size * KIB, counted * KIB)


def test_a_layout_is_split_by_kind() -> None:
    """Each mapping is of one kind, with its address space and its part of the footprint."""
    found = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES, arenas={ARENA})
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
    found = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES, arenas={ARENA})
    assert found.ranges == (
        MappedRange(0x652000, 0x654000, "file", 8 * KIB),
        MappedRange(0xA000000, 0xA800000, "heap", 6000 * KIB, huge_page_bytes=2048 * KIB),
        MappedRange(0x7F1000000000, 0x7F1000200000, "arena", 512 * KIB),
        MappedRange(0x7F1100001000, 0x7F1100801000, "stack", 16 * KIB),
        MappedRange(
            0x7F1200100000, 0x7F1201100000, "anonymous", 6000 * KIB, huge_page_bytes=4096 * KIB
        ),
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


def test_what_is_left_out_is_left_out_everywhere() -> None:
    """What a probe keeps for its readings is in no figure: it is anonymous memory, written to."""
    whole = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES)
    rest = SmapsText(SMAPS, len(SMAPS)).snapshot(SHARED_MEMORY_BYTES, left_out_bytes=MIB)
    assert rest.kinds["anonymous"] == KindUsage(
        whole.kinds["anonymous"].size_bytes - MIB, whole.kinds["anonymous"].counted_bytes - MIB
    )
    assert (rest.footprint_bytes, rest.rss_bytes, rest.file_bytes) == (
        whole.footprint_bytes - MIB,
        whole.rss_bytes - MIB,
        whole.file_bytes,
    )
    assert {**rest.kinds, "anonymous": 0} == {**whole.kinds, "anonymous": 0}


def test_private_mappings_are_those_that_an_allocator_may_cut_from() -> None:
    """The main heap and what is private, writable and nameless, in the order of the layout."""
    assert list(SmapsText(SMAPS, len(SMAPS)).private_mappings()) == [
        PrivateMapping(0xA000000, 0xA800000, is_main_heap=True, hole_bytes=(8192 - 6000) * KIB),
        PrivateMapping(ARENA, 0x7F1000200000, is_main_heap=False, hole_bytes=1536 * KIB),
        PrivateMapping(0x7F1100001000, 0x7F1100801000, is_main_heap=False, hole_bytes=8176 * KIB),
        PrivateMapping(0x7F1200100000, 0x7F1201100000, is_main_heap=False, hole_bytes=6384 * KIB),
    ]


def test_private_mappings_are_found_in_the_text_alone() -> None:
    """Also in its first line; what an earlier, longer reading left behind it is not read."""
    first = SMAPS.index(b"0a000000-")
    text = SMAPS[first:]
    with mmap.mmap(-1, 4 * len(SMAPS)) as buffer:
        buffer.write(text + SMAPS)
        found = list(SmapsText(buffer, len(text)).private_mappings())
    assert found == list(SmapsText(SMAPS, len(SMAPS)).private_mappings())
    assert list(SmapsText(b"", 0).private_mappings()) == []


@pytest.mark.parametrize(
    ("start", "is_main_heap", "may_be"),
    [
        pytest.param(ARENA, False, True, id="on the boundary of 64 MiB"),
        pytest.param(ARENA + 32 * MIB, False, False, id="beside it"),
        pytest.param(ARENA, True, False, id="the main heap, by chance"),
    ],
)
def test_where_thread_heaps_may_lie(start: int, *, is_main_heap: bool, may_be: bool) -> None:
    """On a boundary of 64 MiB; a place, not yet a proof."""
    assert PrivateMapping(start, start + MIB, is_main_heap, 0).may_be_thread_heap == may_be


def test_a_heap_with_a_name_is_a_heap() -> None:
    """Glibc names what it maps, if asked; the heap of a thread lay in a mapping that was missed."""
    name = b" [anon: glibc: malloc arena]\n"
    text = re.sub(rb"(?m)^(%x-\S+ rw-p 00000000 00:00 0) *\n" % ARENA, rb"\1" + name, SMAPS)
    assert text != SMAPS
    named, nameless = SmapsText(text, len(text)), SmapsText(SMAPS, len(SMAPS))
    assert list(named.private_mappings()) == list(nameless.private_mappings())
    assert named.snapshot(0, arenas={ARENA}) == nameless.snapshot(0, arenas={ARENA})


GIB4 = 4096 * MIB


@pytest.mark.parametrize(
    ("size", "hole", "is_heap", "has_holes"),
    [
        (8 * MIB, 256 * KIB, True, True),
        (8 * MIB, 256 * KIB - 1, True, False),
        (8 * MIB, 4 * MIB, False, True),
        (8 * MIB, 4 * MIB - 1, False, False),
        (GIB4, 4 * MIB, False, True),
        (GIB4 + 4096, 4 * MIB, False, False),
        (GIB4 + 4096, 4 * MIB, True, True),
    ],
)
def test_holes_worth_looking_at(size: int, hole: int, *, is_heap: bool, has_holes: bool) -> None:
    """Smaller ones in heaps of malloc than elsewhere; and no map of pages for a vast mapping."""
    mapping = PrivateMapping(ARENA, ARENA + size, is_main_heap=False, hole_bytes=hole)
    assert mapping.has_holes(is_heap=is_heap) == has_holes


@pytest.mark.parametrize("text", [b"", b"no layout\n"])
def test_a_layout_without_a_mapping_cannot_be_read(text: bytes) -> None:
    """Every process has some: without any it would pass for one that holds nothing."""
    smaps = SmapsText(text, len(text))
    with pytest.raises(ReadingUnavailableError, match="/proc/self/smaps has no header line"):
        smaps.snapshot(5)
    with pytest.raises(ReadingUnavailableError, match="/proc/self/smaps has no Anonymous line"):
        smaps.private_footprint_bytes()


@pytest.mark.parametrize("head", [b"", b"7f-", b"7f-x", b"-7f", b"a b-c", b"7f-80-81"])
def test_what_is_no_address_begins_no_mapping(head: bytes) -> None:
    """It is passed over, and those after it are found."""
    text = head + b" rw-p 00000000 00:00 0 \nSize: 8 kB\nRss: 4 kB\n" + OLD_KERNEL
    found = list(SmapsText(text, len(text)).private_mappings())
    assert [one.hole_bytes // KIB for one in found] == [2192, 1536]


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
    found = SmapsText(OLD_KERNEL, len(OLD_KERNEL)).snapshot(0, arenas={ARENA})
    assert found.footprint_bytes == 6512 * KIB
    assert (found.swap_bytes, found.lazy_free_bytes, found.huge_page_bytes) == (0, 0, 0)
    assert found.counted_bytes("arena") == 512 * KIB


@pytest.mark.parametrize("field", [b"Size", b"Rss", b"Anonymous"])
def test_a_layout_without_what_is_needed_cannot_be_read(field: bytes) -> None:
    """The reason names the field and the file."""
    text = OLD_KERNEL.replace(field, b"Other")
    with pytest.raises(ReadingUnavailableError, match=f"smaps.*{field.decode()}"):
        SmapsText(text, len(text)).snapshot(0)


ELSEWHERE = ARENA + 0x1000


def mapping(start: int, line: str, flags: str | None = "") -> SmapsEntry:
    """One page at `start`: its permissions and name, and its flags if the kernel shows any."""
    permissions, path = line.encode().split(b" ", 1)
    shown = None if flags is None else flags.encode().split()
    return SmapsEntry(start, start + 0x1000, permissions, path, flags=shown, fields={})


NAMED = [
    ("rw-p [heap]", "heap"),
    ("rw-p [stack]", "stack"),
    ("rw-p [anon:numpy]", "anonymous"),
    ("rw-s /dev/shm/psm_1", "shared-memory"),
    ("rw-s /dev/shm/psm_1 (deleted)", "shared-memory"),
    ("rw-s /memfd:x (deleted)", "shared-memory"),
    ("rw-s /SYSV00000000 (deleted)", "shared-memory"),
    ("rw-s /dev/zero (deleted)", "shared-memory"),
    ("rw-s /dev/shmem", "file"),
    ("r-xp /usr/lib/libx.so", "file"),
    ("rw-p /usr/lib/libx.so", "file"),
    ("r-xp [vdso]", "special"),
    ("r--p [vvar]", "special"),
]


@pytest.mark.parametrize(("line", "kind"), NAMED)
def test_a_name_decides(line: str, kind: MappingKind) -> None:
    """What the kernel or a program calls a mapping, wherever it lies."""
    assert mapping_kind(mapping(ELSEWHERE, line), None, ()) == kind


@pytest.mark.parametrize("line", [line for line, kind in NAMED if kind != "anonymous"])
def test_no_name_of_another_kind_is_an_arena(line: str) -> None:
    """Not even where one is said to begin."""
    assert mapping_kind(mapping(ARENA, line), None, {ARENA}) == mapping_kind(
        mapping(ARENA, line), None, ()
    )


@pytest.mark.parametrize(
    "line", ["rw-p ", "rw-p [anon: glibc: malloc arena]", "rw-p [anon:scudo:primary]"]
)
@pytest.mark.parametrize("flags", [None, "", "nr"])
def test_an_arena_is_known_by_its_beginning_alone(line: str, flags: str | None) -> None:
    """Those who read the memory say where arenas begin; flags and place don't."""
    entry = mapping(ARENA, line, flags)
    guard = mapping(ARENA - 0x1000, "---p ")
    assert mapping_kind(entry, None, {ARENA}) == "arena"
    assert mapping_kind(entry, guard, {ARENA}) == "arena"
    assert mapping_kind(entry, None, {ELSEWHERE}) == "anonymous"


@pytest.mark.parametrize(
    ("line", "flags", "below", "kind"),
    [
        ("rw-p ", "", "---p ", "stack"),
        ("rw-p ", None, "---p ", "stack"),
        ("rw-p [anon: glibc: pthread stack: 5]", "", "---p ", "stack"),
        ("rw-p ", "", None, "anonymous"),
        ("rw-p ", "", "rw-p ", "anonymous"),
        ("rw-p ", "", "---p /usr/lib/libx.so", "anonymous"),
        ("rw-p ", "rd wr nr", "---p ", "anonymous"),
        ("---p ", "", "---p ", "anonymous"),
        ("r--p ", "", "---p ", "anonymous"),
    ],
)
def test_a_stack_stands_on_its_guard(
    line: str, flags: str | None, below: str | None, kind: MappingKind
) -> None:
    """On memory without permissions or name; what was mapped without swap is an allocator's."""
    before = None if below is None else mapping(ELSEWHERE - 0x1000, below)
    assert mapping_kind(mapping(ELSEWHERE, line, flags), before, ()) == kind


@pytest.mark.parametrize("below", [None, "rw-p ", "---p "])
@pytest.mark.parametrize(
    ("line", "flags", "kind"),
    [
        ("rw-p ", "rd wr mr mw me gu ac nh", "stack"),
        ("rw-p [anon: glibc: pthread stack: 5]", "rd wr mr mw me gu ac nh", "stack"),
        # As a library may ask for that was linked without a word about its stack.
        ("rwxp ", "rd wr ex mr mw me gu ac nh", "stack"),
        ("---p ", "mr mw me gu nh", "anonymous"),
        ("rw-p ", "rd wr mr mw me nr gu ac nh", "anonymous"),
    ],
)
def test_a_stack_may_have_its_guard_inside(
    line: str, flags: str, below: str | None, kind: MappingKind
) -> None:
    """From glibc 2.42 on, a stack and its guard are one mapping, wherever it lies."""
    before = None if below is None else mapping(ELSEWHERE - 0x1000, below)
    assert mapping_kind(mapping(ELSEWHERE, line, flags), before, ()) == kind


@pytest.mark.parametrize("flags", ["rd wr mr mw me gu ac", "rd wr mr mw me ac nh"])
def test_guards_alone_make_no_stack(flags: str) -> None:
    """An allocator may guard its memory as well, and a program may want small pages."""
    assert mapping_kind(mapping(ELSEWHERE, "rw-p ", flags), None, ()) == "anonymous"


@pytest.mark.parametrize(
    ("flags", "kind"),
    [("mr mw me nr", "anonymous"), ("mr mw me nh", "stack"), ("mr mw me", "stack")],
)
def test_what_lies_above_the_rest_of_a_thread_s_heap_is_no_stack(
    flags: str, kind: MappingKind
) -> None:
    """That is reserved without swap, which no guard is."""
    rest = mapping(ELSEWHERE - 0x1000, "---p ", flags)
    assert mapping_kind(mapping(ELSEWHERE, "rw-p ", "rd wr"), rest, ()) == kind


def test_a_guard_touches_what_it_guards() -> None:
    """Inaccessible memory further below is somebody else's."""
    stack = mapping(ELSEWHERE, "rw-p ")
    assert mapping(ELSEWHERE - 0x1000, "---p ").is_guard_of(stack)
    assert not mapping(ELSEWHERE - 0x2000, "---p ").is_guard_of(stack)
    assert mapping_kind(stack, mapping(ELSEWHERE - 0x2000, "---p "), ()) == "anonymous"


@pytest.mark.parametrize("lines_in_part", [1, 7, 10_000])
def test_a_layout_in_parts_is_the_same_layout(lines_in_part: int) -> None:
    """Each header has its own lines, wherever one part ends and the next begins."""
    header = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ \S+ \d+ *(.*)$", re.MULTILINE)
    lines = SMAPS.splitlines(keepends=True)
    parts = (
        b"".join(lines[start : start + lines_in_part])
        for start in range(0, len(lines), lines_in_part)
    )
    _, *pieces = header.split(SMAPS)
    assert list(by_header(parts, header)) == list(zip(pieces[::2], pieces[1::2], strict=True))
