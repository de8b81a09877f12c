"""Real shared memory, and whose it is."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("growth", "found"), [(None, 0), (MIB - 1, 0), (MIB, 1)])
def test_beside_siblings_an_orphan_needs_growth(growth: int | None, found: int, file: Path) -> None:
    """It may be theirs, unless this process can have written it."""
    probe = LinuxSegments(has_siblings=True)
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    assert len(ours(probe.new_since(known, peak_growth_bytes=growth))) == found


def test_an_orphan_is_ours_by_user_and_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user, or older than the window, it is none of ours."""
    probe = LinuxSegments()
    known = probe.known()
    file.write_bytes(b"x" * MIB)
    changed_ns = file.stat().st_ctime_ns
    assert len(ours(probe.new_since(replace(known, at_ns=changed_ns)))) == 1
    assert ours(probe.new_since(replace(known, at_ns=changed_ns + 1))) == []
    monkeypatch.setattr(segments, "_EFFECTIVE_UID", lambda: os.geteuid() + 1)
    assert ours(probe.new_since(known)) == []


def test_where_nothing_can_be_read_there_is_nothing(tmp_path: Path) -> None:
    """Neither files nor tables nor descriptors."""
    probe = LinuxSegments(str(tmp_path / "proc"), str(tmp_path / "shm"))
    assert probe.known() == replace(KnownSegments(), at_ns=probe.known().at_ns)
    assert probe.new_since(KnownSegments()) == ()


@pytest.mark.parametrize(
    ("users", "name"), [("a:x:5:0::/:\nme:x:7:0::/:\n", "me"), ("", "7"), (None, "7")]
)
def test_an_owner_has_a_name_or_a_number(
    users: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the file of users has it."""
    path = tmp_path / "passwd"
    if users is not None:
        path.write_text(users, encoding="ascii")
    monkeypatch.setattr(segments, "_USERS", str(path))
    assert segments._user_name(7) == name
