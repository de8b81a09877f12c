"""Descendants of real processes, and what of their memory is their own."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.probes import children, processes
from pytest_memreturn.probes.children import KnownChildren, LinuxChildren

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")


@contextmanager
def forked(action: Callable[[], object] = lambda: None) -> Iterator[int]:
    """A child that has done something and waits, until the block ends."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - a child has no tracer
        try:
            kept = action()
            os.write(done, b"x")
            signal.pause()
            del kept
        finally:
            os._exit(1)
    try:
        os.close(done)
        assert os.read(ready, 1) == b"x"
        os.close(ready)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# What a forked child and this process no longer share, because one of them has written to it: up to
# 4.5 MiB were seen at the end of a long run of tests.
NOT_SHARED = 12 * MIB


def written(size: int, flags: int = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) -> mmap.mmap:
    """A mapping of its own, every page of it written."""
    memory = mmap.mmap(-1, size, flags=flags)
    write_pages(memory, size)
    return memory


def write_pages(memory: mmap.mmap, size: int) -> None:
    """Write a byte to every page."""
    for place in range(0, size, mmap.PAGESIZE):
        memory[place] = 1 + memory[place] % 2


def footprint_of_a_fork(action: Callable[[], object]) -> int:
    """What a new child is said to hold."""
    probe = LinuxChildren()
    known = probe.known()
    with forked(action) as pid:
        (child,) = probe.new_since(known)
        assert child.pid == pid
        return child.footprint_bytes


@pytest.mark.parametrize("has_own_mapping", [False, True])
def test_what_a_fork_shares_is_not_counted_twice(*, has_own_mapping: bool) -> None:
    """Of 40 MiB that the parent has, a child that writes 6 MiB has 6 MiB."""
    with written(40 * MIB) as memory:

        def act() -> object:
            write_pages(memory, 6 * MIB)
            return written(8 * MIB) if has_own_mapping else None

        size = footprint_of_a_fork(act)
    expected = (14 if has_own_mapping else 6) * MIB
    assert expected <= size < expected + NOT_SHARED


def test_lazily_freed_pages_do_not_count() -> None:
    """The kernel takes them when it wants them."""

    def act() -> object:
        memory = written(16 * MIB)
        memory.madvise(mmap.MADV_FREE)
        return memory

    assert footprint_of_a_fork(act) < NOT_SHARED


def test_dirty_pages_of_a_file_do_not_count(tmp_path: Path) -> None:
    """They go back to the file."""

    def act() -> object:
        with (tmp_path / "file").open("w+b") as file:
            file.truncate(16 * MIB)
            memory = mmap.mmap(file.fileno(), 16 * MIB)
        write_pages(memory, 16 * MIB)
        return memory

    assert footprint_of_a_fork(act) < NOT_SHARED


def test_shared_memory_without_a_name_counts_where_only_the_child_has_it() -> None:
    """No segment shows it, and it goes with the child."""
    size = footprint_of_a_fork(lambda: written(16 * MIB, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
    assert 16 * MIB <= size < 16 * MIB + NOT_SHARED
    with written(16 * MIB, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS) as memory:
        assert footprint_of_a_fork(lambda: write_pages(memory, 16 * MIB)) < NOT_SHARED


@contextmanager
def spawned(code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A program of its own that is up, until the block ends."""
    wait = "import sys; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", f"{code}\n{wait}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_a_program_of_its_own_is_named() -> None:
    """By what the kernel calls it and by its command."""
    probe = LinuxChildren()
    known = probe.known()
    with spawned("x = bytearray(8 << 20)") as process:
        (child,) = probe.new_since(known)
    assert child.pid == process.pid
    assert child.name.startswith("python")
    assert "-S -c 'x = bytearray(8 << 20)" in child.command
    assert 8 * MIB <= child.footprint_bytes < 40 * MIB
    assert probe.new_since(known) == ()


def test_a_child_that_was_there_is_never_new() -> None:
    """Also beside one that is, and below it a grandchild still is."""
    probe = LinuxChildren()
    code = (
        "import subprocess, sys; print(1, flush=True); sys.stdin.readline()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    with (
        spawned(),
        subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as old,
    ):
        assert old.stdin is not None
        assert old.stdout is not None
        old.stdout.readline()
        known = probe.known()
        assert probe.new_since(known) == ()
        assert old.pid in probe.pids()
        old.stdin.write(b"\n")
        old.stdin.flush()
        grandchild = int(old.stdout.readline())
        assert [child.pid for child in probe.new_since(known)] == [grandchild]
        with spawned() as new:
            found = [child.pid for child in probe.new_since(known)]
        assert found == sorted([grandchild, new.pid])
        old.stdin.close()


def test_a_child_that_ended_holds_nothing() -> None:
    """Even while nobody has waited for it."""
    probe = LinuxChildren()
    known = probe.known()
    with forked() as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert pid in probe.pids()
        assert probe.new_since(known) == ()


def test_a_helper_of_multiprocessing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays to the end of the run, whichever test needed it first."""
    probe = LinuxChildren()
    known = probe.known()
    with forked() as pid:
        monkeypatch.setattr(children, "helper_pids", lambda: {pid})
        assert probe.new_since(known) == ()


def test_without_the_kernel_s_lists_psutil_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the same; where it can't look either, there is none."""
    probe = LinuxChildren()
    probe._lists_children = False
    known = probe.known()
    with forked() as pid:
        assert [child.pid for child in probe.new_since(known)] == [pid]
        monkeypatch.setattr(psutil, "Process", _no_such_process)
        with pytest.raises(ReadingUnavailableError, match=r"^psutil cannot list the children of "):
            probe.new_since(known)


def _no_such_process() -> psutil.Process:
    raise psutil.NoSuchProcess(1)


@pytest.mark.parametrize(
    ("answer", "looks"), [(ChildProcessError(), False), (PermissionError(), True), (None, True)]
)
def test_whether_there_are_children_is_asked_first(
    answer: OSError | None, monkeypatch: pytest.MonkeyPatch, *, looks: bool
) -> None:
    """Only a clear no saves the look."""

    def waitid(*_arguments: object) -> None:
        if answer is not None:
            raise answer

    monkeypatch.setattr(children, "_WAITID", waitid)
    assert children._has_children() is looks


ROLLUP = """\
Anonymous: 300 kB
LazyFree: 0 kB
Pss_Shmem: 0 kB
Pss_Anon: 200 kB
Pss_Dirty: 200 kB
Private_Dirty: 90 kB
Private_Hugetlb: 2048 kB
Swap: 40 kB
SwapPss: 30 kB
"""
STAT = "(a ) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n"


class Procfs:
    """A procfs of our own, with one child that began at tick 100."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.child = folder / "7"
        for path in (folder / "self/task/1", folder / "thread-self", self.child / "task"):
            path.mkdir(parents=True)
        (folder / "thread-self/children").touch()
        (folder / "self/task/1/children").write_text("6 7 ", encoding="ascii")
        (folder / "self/task/2").mkdir()
        self.write("stat", "7 " + STAT.format(start=100))
        self.write("statm", "9 5 2 0 0 0 0\n")
        self.write("cmdline", "a\0b c\0")
        self.write("smaps_rollup", ROLLUP)

    def write(self, name: str, text: str) -> None:
        """Let a file of the child say this."""
        (self.child / name).write_text(text, encoding="ascii")

    def found(self, *pids: int, at_ticks: int = 100) -> list[tuple[int, str, str, int]]:
        """What is new there for one who knew these."""
        probe = LinuxChildren(str(self.folder), lambda: True)
        return [
            (child.pid, child.name, child.command, child.footprint_bytes)
            for child in probe.new_since(KnownChildren(frozenset(pids), at_ticks))
        ]


@pytest.fixture
def procfs(tmp_path: Path) -> Procfs:
    """Files that stand in for the kernel's."""
    return Procfs(tmp_path)


def test_private_and_swapped_pages_count(procfs: Procfs) -> None:
    """Of pages that others have too, none does."""
    assert procfs.found() == [(7, "a ) b", "a 'b c'", (90 + 2048 + 20) * KIB)]


@pytest.mark.parametrize(("known", "ticks", "new"), [(7, 100, 0), (7, 99, 1), (6, 101, 0)])
def test_a_pid_alone_is_no_identity(known: int, ticks: int, new: int, procfs: Procfs) -> None:
    """A known pid with a later start is new; one that began before was only not listed."""
    assert len(procfs.found(known, at_ticks=ticks)) == new


def test_a_known_child_before_a_known_one_is_not_read(procfs: Procfs) -> None:
    """The youngest being the same tells it of all of them."""
    assert procfs.found(6, 7) == []


@pytest.mark.parametrize(
    ("missing", "footprints"),
    [
        (("smaps_rollup",), [3 * mmap.PAGESIZE]),
        (("smaps_rollup", "statm"), []),
        (("cmdline",), [(90 + 2048 + 20) * KIB]),
        (("stat",), []),
    ],
)
def test_what_is_not_there(missing: tuple[str, ...], footprints: list[int], procfs: Procfs) -> None:
    """Counters serve instead of sums; a child without any has ended; a name is not needed."""
    for name in missing:
        (procfs.child / name).unlink()
    assert [child[3] for child in procfs.found()] == footprints


@pytest.mark.parametrize(("name", "said"), [("stat", "7/stat"), ("statm", "7")])
def test_what_cannot_be_read_is_no_answer(name: str, said: str, procfs: Procfs) -> None:
    """A child of whom nobody knows what it holds must not pass for none."""
    (procfs.child / "smaps_rollup").unlink()
    (procfs.child / name).unlink()
    (procfs.child / name).mkdir()
    with pytest.raises(ReadingUnavailableError, match=f"^cannot read .*/{said}: Is a directory"):
        procfs.found()


def test_a_child_that_is_hidden_is_no_answer(
    procfs: Procfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where procfs shows no processes of others, a signal of nothing tells that one lives."""
    (procfs.child / "stat").unlink()
    asked = []

    def kill(pid: int, signal: int) -> None:
        asked.append((pid, signal))
        raise PermissionError

    monkeypatch.setattr(processes, "_KILL", kill)
    with pytest.raises(ReadingUnavailableError, match=r"/7/stat: hidden, and the process lives$"):
        procfs.found()
    assert asked == [(7, 0)]


@pytest.mark.parametrize("answer", [None, ProcessLookupError()])
def test_a_child_that_has_ended_is_none(
    answer: OSError | None, procfs: Procfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are gone; until somebody has waited for it, it may be signalled."""
    (procfs.child / "stat").unlink()

    def kill(_pid: int, _signal: int) -> None:
        if answer is not None:
            raise answer

    monkeypatch.setattr(processes, "_KILL", kill)
    assert procfs.found() == []


@pytest.mark.parametrize("path", ["self/task/1/children", "self/task"])
def test_a_list_that_cannot_be_read_is_no_answer(path: str, procfs: Procfs) -> None:
    """The children on it must not pass for none."""
    place = procfs.folder / path
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    if path.endswith("task"):
        place.touch()
    else:
        place.mkdir()
    with pytest.raises(ReadingUnavailableError, match=f"^cannot read .*/{path}: "):
        procfs.found()


def test_a_kernel_that_does_not_tell_enough(procfs: Procfs) -> None:
    """Without the mappings either, counters serve."""
    procfs.write("smaps_rollup", ROLLUP.replace("Pss_Dirty", "Other"))
    assert [child[3] for child in procfs.found()] == [3 * mmap.PAGESIZE]


@pytest.mark.parametrize("missing", ["SwapPss", "Swap", "Anonymous", "Private_Dirty"])
def test_a_sum_without_a_line(missing: str, procfs: Procfs) -> None:
    """Where the sums lack one that is needed, counters serve."""
    procfs.write("smaps_rollup", ROLLUP.replace(f"{missing}:", "Other:"))
    assert [child[3] for child in procfs.found()] == [3 * mmap.PAGESIZE]


@pytest.mark.parametrize("stat", ["", "7", "7 (a) S 1 1", f"7 {STAT.format(start='x')}"])
def test_a_child_whose_state_makes_no_sense_is_no_answer(stat: str, procfs: Procfs) -> None:
    """Nobody can say when it began, or whether it lives."""
    procfs.write("stat", stat)
    with pytest.raises(ReadingUnavailableError, match=r"^cannot make sense of .*/7/stat$"):
        procfs.found()


@pytest.mark.parametrize("statm", ["", "9 5", "9 x 2"])
def test_a_child_whose_counters_make_no_sense_is_no_answer(statm: str, procfs: Procfs) -> None:
    """Where they are all that there is."""
    (procfs.child / "smaps_rollup").unlink()
    procfs.write("statm", statm)
    with pytest.raises(ReadingUnavailableError, match=r"^cannot make sense of .*/7/statm$"):
        procfs.found()


def test_words_on_a_list_of_children_that_are_no_numbers_are_left_out(procfs: Procfs) -> None:
    """As is the list of a thread which has ended."""
    (procfs.folder / "self/task/1/children").write_text("7 x -3 ", encoding="ascii")
    assert [child[0] for child in procfs.found()] == [7]
