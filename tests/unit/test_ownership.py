"""Whose a segment is, by real processes and by trees of files that look like procfs."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.probes import _ownership
from pytest_memreturn.probes._ownership import FoundSegment, Ownership, user_name
from pytest_memreturn.probes.segments import SHM_FOLDER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

# A process of a tree that was made up.
OTHER = 7


@pytest.fixture
def file() -> Iterator[Path]:
    """Shared memory with a name, removed after the test."""
    path = Path(SHM_FOLDER) / f"memreturn-ownership-{os.getpid()}"
    path.write_bytes(b"x" * mmap.PAGESIZE)
    yield path
    path.unlink(missing_ok=True)


def segment(status: os.stat_result, kind: str = "shm") -> FoundSegment:
    """A segment as it is found when it is a file."""
    return FoundSegment(
        kind="memfd" if kind == "memfd" else "shm",
        name="one",
        key=(status.st_dev, status.st_ino),
        size_bytes=status.st_blocks * 512,
        uid=status.st_uid,
        changed_ns=status.st_ctime_ns,
    )


def system_v(creator: int) -> FoundSegment:
    """A System V segment of this user that nobody has attached."""
    return FoundSegment("sysv", "shmid 1", (None, 2**31 - 1), MIB, os.geteuid(), 1, creator)


def is_own(
    one: FoundSegment,
    *,
    judge: Ownership | None = None,
    family: Collection[int] = (),
    since_ns: int = 0,
    growth: int | None = None,
) -> bool:
    """The judgement on one segment, by default where no other tests run."""
    judge = judge or Ownership("/proc", SHM_FOLDER, has_siblings=False)
    own = judge.own([one], since_ns=since_ns, family=lambda: family, peak_growth_bytes=growth)
    assert own in ([], [one])
    return bool(own)


@contextmanager
def another_process(code: str, *arguments: object, inherits: int | None = None) -> Iterator[int]:
    """A process that has run `code` and stays until the block ends."""
    code = f"import mmap, sys; {code}; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=() if inherits is None else (inherits,),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        yield process.pid


@pytest.mark.parametrize(
    "code",
    [
        "file = open(sys.argv[1], 'rb')",
        "file = open(sys.argv[1], 'r+b'); memory = mmap.mmap(file.fileno(), 0); file.close()",
    ],
    ids=["open", "mapped"],
)
def test_what_another_process_holds_is_theirs(code: str, file: Path) -> None:
    """Unless that is a descendant; theirs it stays when they have ended."""
    judge = Ownership("/proc", SHM_FOLDER, has_siblings=False)
    one = segment(file.stat())
    with another_process(code, file) as pid:
        assert not is_own(one, judge=judge)
        assert is_own(one, family={pid})
    assert not is_own(one, judge=judge)
    assert is_own(one)


def test_what_this_process_holds_is_its_own(file: Path) -> None:
    """Then neither the time of its last change nor its owner matters."""
    older = segment(file.stat())
    older = replace(older, uid=os.geteuid() + 1)
    later_ns = older.changed_ns + 1
    with file.open("rb"):
        assert is_own(older, since_ns=later_ns)
    assert not is_own(older, since_ns=later_ns)


def test_a_memfd_that_another_process_has_too_is_theirs() -> None:
    """It may have come from them; one that a descendant inherited is our own."""
    descriptor = os.memfd_create("memreturn")
    try:
        os.write(descriptor, b"x")
        one = segment(os.fstat(descriptor), "memfd")
        assert is_own(one)
        with another_process("pass", inherits=descriptor) as pid:
            assert is_own(one, family={pid})
            assert not is_own(one)
    finally:
        os.close(descriptor)


def test_an_orphan_is_ours_by_user_and_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user, or older than the window, it is none of ours."""
    one = segment(file.stat())
    assert is_own(one, since_ns=one.changed_ns)
    assert not is_own(one, since_ns=one.changed_ns + 1)
    monkeypatch.setattr(_ownership, "_EFFECTIVE_UID", lambda: one.uid + 1)
    assert not is_own(one)


@pytest.mark.parametrize(
    ("growth", "expected"), [(None, False), (MIB * 7 // 8 - 1, False), (MIB, True), (MIB + 1, True)]
)
def test_beside_siblings_an_orphan_needs_growth(
    growth: int | None, file: Path, *, expected: bool
) -> None:
    """It may be theirs, unless this process can have written it."""
    one = replace(segment(file.stat()), size_bytes=MIB)
    judge = Ownership("/proc", SHM_FOLDER, has_siblings=True)
    assert is_own(one, judge=judge, growth=growth) is expected


@pytest.fixture
def wrote_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ownership:
    """Where this process wrote 2 MiB to files, and its largest child held 3."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "io").write_text(f"rchar: 99999999\nwchar: {2 * MIB}\nsyscr: 9\n")
    largest = SimpleNamespace(ru_maxrss=3 * MIB // KIB)
    monkeypatch.setattr(_ownership, "_RESOURCE_USAGE", lambda _: largest)
    return Ownership(str(tmp_path), SHM_FOLDER, has_siblings=False)


@pytest.mark.parametrize(
    ("size", "growth", "family", "expected"),
    [
        pytest.param(2 * MIB, 0, (), True, id="no more than was written"),
        pytest.param(3 * MIB + 1, 0, (), False, id="more than this process can have"),
        pytest.param(3 * MIB + 1, 3 * MIB + 1, (), True, id="through a mapping"),
        pytest.param(3 * MIB + 1, None, (), True, id="nobody knows the peak"),
        pytest.param(3 * MIB + 1, 0, (OTHER,), True, id="a descendant lives"),
        pytest.param(3 * MIB, 0, (), True, id="an ended child was as large"),
    ],
)
def test_an_orphan_is_ours_only_if_we_can_have_written_it(
    size: int,
    growth: int | None,
    family: tuple[int, ...],
    wrote_little: Ownership,
    *,
    expected: bool,
) -> None:
    """Another program of the same user may leave a file there while a test runs."""
    one = FoundSegment("shm", "one", (1, 1), size, os.geteuid(), 1)
    assert is_own(one, judge=wrote_little, family=family, growth=growth) is expected


def test_where_nobody_says_what_was_written_an_orphan_may_be_ours(tmp_path: Path) -> None:
    """A leak is not let pass for a file that cannot be read."""
    one = FoundSegment("shm", "one", (1, 1), 2**60, os.geteuid(), 1)
    judge = Ownership(str(tmp_path), SHM_FOLDER, has_siblings=False)
    assert is_own(one, judge=judge, growth=0)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "io").write_text("written: 5\n")
    assert is_own(one, judge=judge, growth=0)


def test_what_this_process_wrote_is_known(file: Path) -> None:
    """By the kernel's own count of it, which is never nothing here: the fixture wrote a page."""
    one = segment(file.stat())
    assert is_own(one, growth=0)
    assert not is_own(replace(one, size_bytes=2**60), growth=0)


def test_beside_siblings_what_is_held_needs_no_growth(file: Path) -> None:
    """Who has it open is no guess."""
    judge = Ownership("/proc", SHM_FOLDER, has_siblings=True)
    with file.open("rb"):
        assert is_own(segment(file.stat()), judge=judge)


def test_system_v_segments_are_told_by_their_creator() -> None:
    """This process, a descendant, or somebody else who is alive."""
    assert is_own(system_v(os.getpid()))
    with another_process("pass") as pid:
        assert is_own(system_v(pid), family={pid})
        assert not is_own(system_v(pid))
    assert not is_own(system_v(0)), "a creator in another namespace"


@pytest.mark.parametrize(("growth", "expected"), [(MIB * 7 // 8 - 1, False), (MIB, True)])
def test_a_system_v_segment_of_a_dead_creator_is_an_orphan(growth: int, *, expected: bool) -> None:
    """Beside siblings it needs growth, as any other."""
    with another_process("pass") as pid:
        one = system_v(pid)
    assert is_own(one)
    judge = Ownership("/proc", SHM_FOLDER, has_siblings=True)
    assert is_own(one, judge=judge, growth=growth) is expected


def test_what_a_descendant_made_is_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking through all processes is dear, and here it would tell nothing more."""

    def forbidden(path: str) -> list[str]:
        raise AssertionError(path)

    monkeypatch.setattr(_ownership, "_LISTDIR", forbidden)
    assert is_own(system_v(os.getpid()))


def test_the_family_is_asked_only_where_there_is_a_question() -> None:
    """Nothing found, or all of it known to be somebody else's."""
    judge = Ownership("/proc", SHM_FOLDER, has_siblings=False)
    theirs = system_v(0)
    asked = []

    def family() -> Collection[int]:
        asked.append(1)
        return ()

    for found in ([], [theirs], [theirs]):
        own = judge.own(found, since_ns=0, family=family, peak_growth_bytes=None)
        assert own == []
    assert asked == [1]


def test_a_procfs_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    """Then this process goes by its usual pid, and all the rest are orphans."""
    judge = Ownership(str(tmp_path / "none"), SHM_FOLDER, has_siblings=False)
    own, orphan = system_v(os.getpid()), system_v(os.getppid())
    assert is_own(own, judge=judge, since_ns=own.changed_ns + 1)
    assert is_own(orphan, judge=judge)
    assert not is_own(orphan, judge=judge, since_ns=orphan.changed_ns + 1)


def test_this_process_is_who_procfs_says(tmp_path: Path) -> None:
    """Seen from outside its namespace of pids, it has another one."""
    (tmp_path / "self").symlink_to("12345")
    judge = Ownership(str(tmp_path), SHM_FOLDER, has_siblings=False)
    one = system_v(12345)
    assert is_own(one, judge=judge, since_ns=one.changed_ns + 1)


def no_files(_folder: Path, _file: Path) -> None:
    """A process that has ended since it was listed, or may not be looked into."""


def no_segment(folder: Path, file: Path) -> None:
    """Descriptors that lead elsewhere, to nothing any more, or that can't be read."""
    (folder / "maps").write_text("00400000-00401000 r--p 00000000 00:00 0\n", encoding="ascii")
    (folder / "fd").mkdir()
    (folder / "fd" / "0").symlink_to("/dev/null")
    (folder / "fd" / "1").symlink_to(file.with_name("gone"))
    (folder / "fd" / "2").touch()


def another_segment(folder: Path, file: Path) -> None:
    """Shared memory, but not the one that is asked about."""
    other = file.with_name("other")
    other.touch()
    (folder / "fd").mkdir()
    (folder / "fd" / "0").symlink_to(other)


def open_file(folder: Path, file: Path) -> None:
    """Open, in a process whose mappings can't be read."""
    (folder / "fd").mkdir()
    (folder / "fd" / "0").symlink_to(file)


def mapped_file(folder: Path, file: Path) -> None:
    """Mapped, in a process whose descriptors can't be listed."""
    status = file.stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x} {status.st_ino}"
    line = f"7f0000000000-7f0000001000 rw-s 00000000 {place}    {file}\n"
    (folder / "maps").write_text(line, encoding="ascii")


@pytest.mark.parametrize(
    ("make", "is_held"),
    [
        (no_files, False),
        (no_segment, False),
        (another_segment, False),
        (open_file, True),
        (mapped_file, True),
    ],
)
def test_what_a_process_holds(
    make: Callable[[Path, Path], None], tmp_path: Path, *, is_held: bool
) -> None:
    """By what can be read of its descriptors and its mappings."""
    shm, folder = tmp_path / "shm", tmp_path / "proc" / str(OTHER)
    shm.mkdir()
    folder.mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").touch()
    file = shm / "file"
    file.touch()
    make(folder, file)
    one = segment(file.stat())
    too_old_ns = one.changed_ns + 1
    roots = (str(tmp_path / "proc"), str(shm))
    judge = Ownership(*roots, has_siblings=False)
    assert is_own(one, judge=judge, family={OTHER}, since_ns=too_old_ns) is is_held
    assert is_own(one, judge=judge) is not is_held


@pytest.mark.parametrize(
    ("mapping", "is_mapped"),
    [
        (b" 00:01 9    /SYSV00000000 (deleted)\n", True),
        (b" 00:01 99   /SYSV00000000 (deleted)\n", False),
        (b" 00:01 9    /memfd:x (deleted)\n", False),
    ],
)
def test_a_system_v_segment_is_not_taken_for_a_memfd(mapping: bytes, *, is_mapped: bool) -> None:
    """Both are on one device, and the id of one may be the inode of the other."""
    line = b"7f0000000000-7f0000001000 rw-s 00000000" + mapping
    one = replace(system_v(1), key=(None, 9))
    assert bool(one.pattern.search(line)) is is_mapped
    memfd = replace(one, kind="memfd", key=(os.makedev(0, 1), 9))
    assert bool(memfd.pattern.search(line)) is (b"9    /memfd" in mapping)


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
    monkeypatch.setattr(_ownership, "_USERS", str(path))
    assert user_name(7) == name
