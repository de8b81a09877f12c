"""Real shared memory, and whose it is."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._outside import Segment
from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import segments
from pytest_memreturn.probes.segments import SHM_FOLDER, KnownSegments, LinuxSegments

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

# Other programs of this machine may leave segments too; ours are told by this.
NAME = f"memreturn-{os.getpid()}"


def ours(found: tuple[Segment, ...]) -> list[tuple[int, int]]:
    """Size and counted part of the segments that a test made."""
    return [(one.size_bytes, one.counted_bytes) for one in found if NAME in one.name]


@pytest.fixture
def file() -> Iterator[Path]:
    """A path for shared memory, removed after the test."""
    path = Path(SHM_FOLDER) / NAME
    yield path
    path.unlink(missing_ok=True)


def test_a_file_left_behind_counts_whole(file: Path) -> None:
    """By what it occupies, not by its length; an empty one holds nothing."""
    probe = LinuxSegments()
    known = probe.known()
    file.touch()
    assert ours(probe.new_since(known)) == []
    with file.open("r+b") as opened:
        opened.write(b"x" * MIB)
        opened.truncate(64 * MIB)
    assert ours(probe.new_since(known)) == [(MIB, MIB)]
    assert ours(probe.new_since(probe.known())) == []


@pytest.mark.parametrize("is_private", [False, True])
def test_what_is_mapped_here_is_counted_already(file: Path, *, is_private: bool) -> None:
    """The part that is resident in our own mappings, without what was copied on writing."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    flags = mmap.MAP_PRIVATE if is_private else mmap.MAP_SHARED
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), MIB, flags=flags) as memory:
        for place in range(0, MIB, mmap.PAGESIZE):
            memory[place] = 1
        expected = MIB if is_private else 0
        assert ours(probe.new_since(known)) == [(MIB, expected)]


def test_what_is_mapped_twice_is_counted_twice_already(file: Path) -> None:
    """The kernel counts it once for each mapping, and the segment's part makes up for it."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    with (
        file.open("r+b") as opened,
        mmap.mmap(opened.fileno(), MIB) as first,
        mmap.mmap(opened.fileno(), MIB) as second,
    ):
        first[:] = second[:] = b"y" * MIB
        assert ours(probe.new_since(known)) == [(MIB, -MIB)]


def test_the_text_of_a_layout_is_never_held_whole(file: Path) -> None:
    """It would come from malloc, whose heap is about to be read; 2,000 mappings are 1.4 MB."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    # Neighbours with the same rights would be one mapping.
    rights = (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)
    mappings = [mmap.mmap(-1, mmap.PAGESIZE, prot=rights[number % 2]) for number in range(2_000)]
    tracemalloc.start()
    try:
        assert ours(probe.new_since(known)) == [(MIB, MIB)]
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        for one in mappings:
            one.close()
    assert peak_bytes < MIB // 4


def test_a_deleted_file_counts_while_it_is_open(file: Path) -> None:
    """Unless it had a name at the beginning."""
    probe = LinuxSegments()
    known = probe.known()
    with file.open("w+b") as opened:
        opened.write(b"x" * MIB)
        opened.flush()
        named = probe.known()
        file.unlink()
        assert ours(probe.new_since(known)) == [(MIB, MIB)]
        assert ours(probe.new_since(named)) == []


def test_memory_behind_a_descriptor_is_found(tmp_path: Path) -> None:
    """By the file, not by its number; a deleted file on a disk is no memory."""
    probe = LinuxSegments()
    with (tmp_path / "file").open("wb") as number:
        known = probe.known()
        (tmp_path / "file").unlink()
        number.write(b"x")
        descriptor = os.memfd_create(NAME)
        try:
            os.write(descriptor, b"x" * MIB)
            (found,) = (one for one in probe.new_since(known) if NAME in one.name)
            assert (found.kind, found.name) == ("memfd", f"memfd:{NAME}")
            assert (found.size_bytes, found.counted_bytes) == (MIB, MIB)
            assert ours(probe.new_since(probe.known())) == []
        finally:
            os.close(descriptor)


def test_a_name_that_is_no_text_can_be_written_nevertheless() -> None:
    """Bytes that mean nothing are shown as such; the mapping is still known by its inode."""
    probe = LinuxSegments()
    known = probe.known()
    descriptor = os.memfd_create(os.fsdecode(NAME.encode() + b"\xff"))
    try:
        os.write(descriptor, b"x" * MIB)
        with mmap.mmap(descriptor, MIB) as memory:
            memory[:] = b"y" * MIB
            (found,) = (one for one in probe.new_since(known) if NAME in one.name)
        assert found.name == f"memfd:{NAME}\N{REPLACEMENT CHARACTER}"
        assert (found.size_bytes, found.counted_bytes) == (MIB, 0)
    finally:
        os.close(descriptor)


@contextmanager
def system_v() -> Iterator[int]:
    """The id of a segment of 1 MiB, written and detached."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    libc.shmdt.argtypes = [ctypes.c_void_p]
    identifier = libc.shmget(0, MIB, 0o1600)
    assert identifier >= 0
    try:
        address = libc.shmat(identifier, None, 0)
        ctypes.memset(address, 1, MIB)
        yield identifier
        libc.shmdt(address)
    finally:
        libc.shmctl(identifier, 0, None)


def test_system_v_segments_are_told_by_their_creator() -> None:
    """Attached here it is counted already."""
    probe = LinuxSegments()
    known = probe.known()
    with system_v() as identifier:
        (found,) = (one for one in probe.new_since(known) if one.kind == "sysv")
        assert found.name == f"shmid {identifier}"
        assert (found.size_bytes, found.counted_bytes) == (MIB, 0)
        assert probe.new_since(probe.known()) == ()


def test_what_another_process_has_open_is_theirs(file: Path) -> None:
    """Unless it is a descendant; theirs it stays when they have ended."""
    probe, informed = LinuxSegments(), LinuxSegments()
    known = probe.known()
    code = (
        "import sys; f = open(sys.argv[1], 'wb'); f.write(b'x' * 4096); f.flush();"
        "print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert ours(probe.new_since(known)) == []
        assert ours(informed.new_since(known, family=lambda: {other.pid})) == [(4096, 4096)]
    assert ours(probe.new_since(known)) == []


MAKE_SYSTEM_V = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
identifier = libc.shmget(0, 1 << 20, 0o1600)
address = libc.shmat(identifier, None, 0)
ctypes.memset(address, 1, 1 << 20)
libc.shmdt(address)
print(identifier, flush=True)
sys.stdin.read()
"""


def test_a_system_v_segment_of_another_process() -> None:
    """Theirs while they live, then an orphan, which beside siblings needs growth."""
    probe = LinuxSegments()
    known = probe.known()
    identifier = -1

    def found(new: LinuxSegments, **arguments: int) -> list[tuple[int, int]]:
        new_ones = new.new_since(known, family=lambda: family, **arguments)
        name = f"shmid {identifier}"
        return [(one.size_bytes, one.counted_bytes) for one in new_ones if one.name == name]

    family: set[int] = set()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", MAKE_SYSTEM_V], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        identifier = int(other.stdout.readline())
        try:
            assert found(probe) == []
            family = {other.pid}
            assert found(LinuxSegments()) == [(MIB, MIB)]
            other.communicate()
            family = set()
            assert found(probe) == [], "it was seen to be theirs"
            assert found(LinuxSegments()) == [(MIB, MIB)]
            sibling = LinuxSegments(has_siblings=True)
            assert found(sibling, peak_growth_bytes=MIB * 7 // 8 - 1) == []
            assert found(sibling, peak_growth_bytes=MIB * 7 // 8) == [(MIB, MIB)]
        finally:
            ctypes.CDLL(None).shmctl(identifier, 0, None)


def test_an_orphan_is_ours_by_time(file: Path) -> None:
    """Older than the window, it is none of ours."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    changed_ns = file.stat().st_ctime_ns
    assert len(ours(probe.new_since(replace(known, at_ns=changed_ns)))) == 1
    assert ours(probe.new_since(replace(known, at_ns=changed_ns + 1))) == []


def test_a_file_that_vanishes_while_we_look_is_none(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing of the folder and the question about the file."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)

    @contextmanager
    def removed_after_listing(folder: str) -> Iterator[list[os.DirEntry[str]]]:
        with os.scandir(folder) as entries:
            listed = list(entries)
        file.unlink()
        yield listed

    monkeypatch.setattr(segments, "_SCANDIR", removed_after_listing)
    assert ours(probe.new_since(known)) == []
    assert not file.exists()


def test_only_plain_files_are_shared_memory(tmp_path: Path) -> None:
    """A folder, a link or a pipe is none, and neither is what a link leads to."""
    shm = tmp_path / "shm"
    shm.mkdir()
    probe = LinuxSegments(shm=str(shm))
    known = probe.known()
    large = tmp_path / "large"
    large.write_bytes(b"x" * MIB)
    (shm / NAME).symlink_to(large)
    (shm / f"{NAME}-folder").mkdir()
    os.mkfifo(shm / f"{NAME}-pipe")
    assert len(probe.known().shm_inodes) == 3
    assert list(probe._new_shm(known)) == []


def test_another_name_for_a_file_is_no_new_memory(file: Path) -> None:
    """A file that was there already, or one that is new and found twice."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    second = file.with_name(f"{NAME}-second")
    later = probe.known()
    second.hardlink_to(file)
    try:
        assert ours(probe.new_since(later)) == []
        assert ours(probe.new_since(known)) == [(MIB, MIB)]
    finally:
        second.unlink()


@pytest.mark.parametrize("is_reused", [False, True])
def test_a_descriptor_that_is_closed_while_we_look(
    monkeypatch: pytest.MonkeyPatch, *, is_reused: bool
) -> None:
    """By another thread, which may have opened something else at once."""
    probe = LinuxSegments()
    known = probe.known()
    descriptor, other = os.memfd_create(NAME), os.memfd_create(f"{NAME}-other")
    os.write(descriptor, b"x" * MIB)
    os.write(other, b"x" * MIB)
    closed = []
    read = segments._READLINK

    def closed_after_reading(path: str) -> str:
        name = read(path)
        if path.endswith(f"/fd/{descriptor}"):
            os.close(descriptor)
            closed.append(descriptor)
            if is_reused:
                assert os.dup2(other, descriptor) == descriptor
                closed.clear()
        return name

    monkeypatch.setattr(segments, "_READLINK", closed_after_reading)
    try:
        found = [one.name for one in probe.new_since(known) if NAME in one.name]
        assert found == [f"memfd:{NAME}-other"]
    finally:
        for number in {descriptor, other} - set(closed):
            os.close(number)


def test_system_v_segments_of_before_are_not_new() -> None:
    """An older one stands in the table beside a new one."""
    probe = LinuxSegments()
    with system_v() as old:
        known = probe.known()
        with system_v() as new:
            names = [one.name for one in probe.new_since(known)]
            assert f"shmid {new}" in names
            assert f"shmid {old}" not in names


COLUMNS = "shmid cpid cuid ctime rss swap"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (b"", []),
        (b"\n", []),
        (f"{COLUMNS}\n".encode(), []),
        (f"more {COLUMNS}\n0 1 2 3 4 5 6 7\n".encode(), [11]),
    ],
)
def test_a_system_v_table_that_is_not_as_expected(
    table: bytes, expected: list[int], tmp_path: Path
) -> None:
    """Columns are known by their names; without rows there is nothing."""
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "sysvipc").mkdir()
    (tmp_path / "sysvipc" / "shm").write_bytes(table)
    probe = LinuxSegments(str(tmp_path), str(tmp_path / "shm"))
    assert probe.known().sysv == table
    # By how much it occupies, resident and swapped.
    assert [one.size_bytes for one in probe._new_sysv(KnownSegments())] == expected


@pytest.mark.parametrize(
    "table",
    [
        b"shmid cpid\n1 2\n",
        f"{COLUMNS}\n1 2 3\n".encode(),
        f"{COLUMNS}\n1 2 x 4 5 6\n".encode(),
        f"{COLUMNS}\n".encode() + b"1 2 \xff 4 5 6\n",
        f"{COLUMNS}\n1 2 3 4 5 6\n2 x\n".encode(),
    ],
)
def test_a_system_v_table_without_sense_is_no_answer(table: bytes, tmp_path: Path) -> None:
    """It must not pass for one without segments."""
    (tmp_path / "sysvipc").mkdir()
    (tmp_path / "sysvipc" / "shm").write_bytes(table)
    probe = LinuxSegments(str(tmp_path), str(tmp_path / "shm"))
    with pytest.raises(ReadingUnavailableError, match="cannot make sense of /proc/sysvipc/shm"):
        list(probe._new_sysv(KnownSegments()))


def test_without_a_layout_a_segment_counts_whole(file: Path, tmp_path: Path) -> None:
    """Where ``smaps`` can't be read, nothing is known to be counted already."""
    (tmp_path / "self" / "fd").mkdir(parents=True)
    probe = LinuxSegments(str(tmp_path))
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), MIB) as memory:
        memory[:] = b"y" * MIB
        assert ours(probe.new_since(known)) == [(MIB, MIB)]
        assert ours(LinuxSegments().new_since(known)) == [(MIB, 0)]


def test_where_there_is_nothing_to_look_at_there_is_nothing(tmp_path: Path) -> None:
    """A kernel without System V segments, a container without ``/dev/shm``."""
    (tmp_path / "self" / "fd").mkdir(parents=True)
    probe = LinuxSegments(str(tmp_path), str(tmp_path / "shm"))
    assert replace(probe.known(), at_ns=0) == KnownSegments()
    assert probe.new_since(KnownSegments()) == ()


@pytest.mark.parametrize("refused", ["self/fd", "sysvipc/shm", "shm"])
def test_what_cannot_be_read_is_no_answer(refused: str, tmp_path: Path) -> None:
    """What nobody could look for must not pass for nothing."""
    (tmp_path / "self" / "fd").mkdir(parents=True)
    place = tmp_path / refused
    if refused == "sysvipc/shm":
        place.mkdir(parents=True)
    else:
        shutil.rmtree(place, ignore_errors=True)
        place.touch()
    probe = LinuxSegments(str(tmp_path), str(tmp_path / "shm"))
    with pytest.raises(ReadingUnavailableError, match=f"^cannot read {re.escape(str(place))}: "):
        probe.known()


def test_where_no_segment_can_be_made_none_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that this process may neither list nor write to."""
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "shm").touch()
    monkeypatch.setattr(segments, "_ACCESS", lambda _path, mode: mode != os.W_OK)
    probe = LinuxSegments(str(tmp_path), str(tmp_path / "shm"))
    assert probe.known().shm_inodes == frozenset()
