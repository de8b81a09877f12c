"""What of a process's memory is its share."""

from __future__ import annotations

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import KindUsage, Snapshot
from pytest_memreturn.probes._shares import kinds_of, share
from pytest_memreturn.probes._smaps import SmapsEntry

ROLLUP = {
    "Rss": 100,
    "Pss": 60,
    "Pss_Anon": 30,
    "Pss_File": 20,
    "Pss_Shmem": 10,
    "LazyFree": 4,
    "AnonHugePages": 6,
    "Private_Hugetlb": 2,
    "Shared_Hugetlb": 1000,
    "Swap": 50,
    "SwapPss": 5,
}


def test_a_share() -> None:
    """Anonymous pages that stay, shared memory, swap and huge pages of its own; not files."""
    assert share(ROLLUP) == Snapshot(
        footprint_bytes=30 - 4 + 10 + 2 + 5,
        rss_bytes=100,
        swap_bytes=5,
        lazy_free_bytes=4,
        file_bytes=20,
        huge_page_bytes=6,
    )


def test_lazily_freed_pages_are_no_more_than_the_share() -> None:
    """The kernel tells them whole, though four processes have them."""
    assert share({"Rss": 9, "Pss_Anon": 10, "Pss_Shmem": 1, "LazyFree": 40}).footprint_bytes == 1


@pytest.mark.parametrize("line", ["Rss", "Pss_Anon", "Pss_Shmem"])
def test_a_kernel_without_a_line(line: str) -> None:
    """It is no reading, and says what is missing."""
    rollup = {name: size for name, size in ROLLUP.items() if name != line}
    with pytest.raises(ReadingUnavailableError, match=f"smaps_rollup has no {line} line"):
        share(rollup)


def entry(path: bytes = b"", permissions: bytes = b"rw-p", **fields: int) -> SmapsEntry:
    """A mapping."""
    return SmapsEntry(4096, 8192, permissions, path, None, {"Size": 9, "Anonymous": 9, **fields})


def test_kinds() -> None:
    """Each by its share: of a file its anonymous pages, of shared memory what the kernel sums."""
    entries = [
        entry(b"[heap]", Pss=8, LazyFree=1),
        entry(Pss=5, Private_Hugetlb=3),
        entry(Pss=1, LazyFree=7),
        entry(b"/lib/x.so", Pss=9, Anonymous=4),
        entry(b"/lib/y.so", Pss=2, Anonymous=4),
        entry(b"/dev/shm/z", permissions=b"rw-s", Pss=70, Anonymous=0),
        entry(permissions=b"---p", Anonymous=0),
    ]
    assert kinds_of(entries, 50, ()) == {
        "heap": KindUsage(9, 7),
        "anonymous": KindUsage(18, 8),
        "file": KindUsage(18, 6),
        "shared-memory": KindUsage(9, 50),
    }


def test_heaps_of_threads() -> None:
    """Only who has looked knows them."""
    assert kinds_of([entry(Pss=5)], 0, {4096})["arena"] == KindUsage(9, 5)
