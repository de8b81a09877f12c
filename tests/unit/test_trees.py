"""Other processes as procfs shows them, real ones and made-up ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pytest_memreturn._errors import ReadingUnavailableError, UnwatchableError
from pytest_memreturn._processes import ProcessKey, footprint_of, sum_of
from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import trees
from pytest_memreturn.probes.trees import LinuxTrees

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

HOST = """
import os, sys, time
kept = [b"x" * (8 << 20)]
child = os.fork()
if not child:
    kept.append(b"y" * (4 << 20))
    sys.stdout.write("ready")
    sys.stdout.flush()
    time.sleep(600)
os.wait()
time.sleep(600)
"""


@contextmanager
def host(code: str = HOST) -> Iterator[subprocess.Popen[str]]:
    """A process that has forked a child, both asleep."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.read(5) == "ready"
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_tree() -> None:
    """The root comes first; what both have counts once; layouts add up to nearly all of it."""
    found = LinuxTrees()
    with host() as process:
        root = found.identify(process.pid)
        tree = found.read(root, layout=True)
        quick = found.read(root)
        motion = found.motion(one.key for one in tree)
    assert [one.key for one in tree] == [one.key for one in quick]
    assert (tree[0].key, len(tree)) == (root, 2)
    assert 12 * MIB < footprint_of(tree) < 20 * MIB
    assert footprint_of(tree) == pytest.approx(footprint_of(quick), abs=64 * 1024)
    assert tree[1].footprint_bytes - tree[0].footprint_bytes == pytest.approx(4 * MIB, abs=MIB)
    whole = sum_of(tree)
    counted = sum(usage.counted_bytes for usage in whole.kinds.values())
    assert counted + whole.swap_bytes == pytest.approx(footprint_of(tree), abs=MIB)
    assert "-I -S -c" in tree[0].command
    assert tree[1].name
    assert (motion.threads, motion.purges_in_background) == (2, False)


def test_one_that_has_left_the_tree_is_still_of_it() -> None:
    """Where its parent has ended, only who knew it finds it."""
    code = HOST.replace(
        "child = os.fork()\nif not child:",
        "if os.fork():\n    os.wait()\n    time.sleep(600)\nif not os.fork():",
    )
    code = code.replace("os.wait()\ntime.sleep(600)\n", "time.sleep(600)\n")
    found = LinuxTrees()
    with host(code) as process:
        root = found.identify(process.pid)
        tree = found.read(root)
        middle, last = sorted((one.key for one in tree[1:]), key=lambda one: one.pid)
        os.kill(middle.pid, signal.SIGKILL)
        while last in [one.key for one in found.read(root)]:
            pass
        assert last in [one.key for one in found.read(root, [root, middle, last])]


def test_one_that_was_not_waited_for_is_none() -> None:
    """A zombie has no memory."""
    code = HOST.replace("os.wait()\n", "")
    found = LinuxTrees()
    with host(code) as process:
        root = found.identify(process.pid)
        child = found.read(root)[1].key
        os.kill(child.pid, signal.SIGKILL)
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert [one.key for one in found.read(root, [child])] == [root]
        with pytest.raises(UnwatchableError, match="has ended, and its parent has not waited"):
            found.identify(child.pid)


def test_who_can_t_be_watched() -> None:
    """Each for a reason of its own, with its pid."""
    found = LinuxTrees()
    own, parent = os.getpid(), os.getppid()
    with pytest.raises(UnwatchableError, match=f"^{own} is the process that asks"):
        found.identify(own)
    with pytest.raises(UnwatchableError, match=rf"^{parent} \(.+\) is an ancestor"):
        found.identify(parent)
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    with pytest.raises(UnwatchableError, match=f"^{ended.pid} is no process that runs"):
        found.identify(ended.pid)
    with pytest.raises(UnwatchableError, match=f"^{ended.pid} is no process that runs"):
        found.read(ProcessKey(ended.pid, 1))


def test_a_thread_is_no_process() -> None:
    """Neither one of another process nor one of this."""
    found = LinuxTrees()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        number = thread.native_id
        assert number is not None
        with pytest.raises(
            UnwatchableError, match=rf"^{number} \(.+\) is a thread of process {os.getpid()}, and"
        ):
            found.identify(number)
    finally:
        done.set()
        thread.join()


# What procfs has of a process, as far as it is asked.
STAT = "{pid} (serve) S {parent} " + " ".join(["0"] * 17) + " {started}\n"
ROLLUP = "Rss: 9 kB\nPss_Anon: 5 kB\nPss_Shmem: 1 kB\nLazyFree: 0 kB\n"
SMAPS = (
    "04000000-04003000 rw-p 00000000 00:00 0\nSize: 12 kB\nRss: 8 kB\nPss: 5 kB\n"
    "Anonymous: 8 kB\n"
    "05000000-05003000 rw-p 00000000 00:00 0\nSize: 12 kB\nRss: 0 kB\nPss: 0 kB\n"
    "Anonymous: 0 kB\n"
)


@pytest.fixture
def proc(tmp_path: Path) -> Callable[..., Path]:
    """Make up a process."""

    def make(pid: int, *, parent: int = 0, started: int = 7, children: str = "") -> Path:
        folder = tmp_path / str(pid)
        (folder / f"task/{pid}").mkdir(parents=True)
        stat = STAT.format(pid=pid, parent=parent, started=started)
        for name, text in {
            "stat": stat,
            "smaps_rollup": ROLLUP,
            "smaps": SMAPS,
            "cmdline": "serve\0",
            f"task/{pid}/children": children,
            f"task/{pid}/comm": "serve\n",
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    thread = tmp_path / "thread-self"
    thread.mkdir()
    (thread / "children").write_text("", encoding="utf-8")
    return make


def test_a_pid_that_was_used_again(proc: Callable[..., Path], tmp_path: Path) -> None:
    """Its start time tells."""
    proc(41)
    found = LinuxTrees(str(tmp_path))
    assert found.identify(41) == ProcessKey(41, 7)
    (tmp_path / "41" / "status").write_text("Name:\tserve\n")
    assert found.identify(41) == ProcessKey(41, 7)
    with pytest.raises(UnwatchableError, match="41 has ended, and another process has its pid now"):
        found.read(ProcessKey(41, 6))
    proc(42)
    known = [ProcessKey(42, 6), ProcessKey(43, 7)]
    assert [one.key.pid for one in found.read(ProcessKey(41, 7), known)] == [41]
    assert len(found.read(ProcessKey(41, 7), [ProcessKey(42, 7)])) == 2


def test_one_that_ends_while_it_is_read(proc: Callable[..., Path], tmp_path: Path) -> None:
    """Of the root that is an error, of another one it is nothing."""
    proc(41, children="42 ")
    child = proc(42, parent=41)
    found = LinuxTrees(str(tmp_path))
    root = ProcessKey(41, 7)
    assert len(found.read(root, layout=True)) == 2
    (child / "smaps").write_text("")
    assert [one.key.pid for one in found.read(root, layout=True)] == [41]
    (child / "smaps").unlink()
    assert [one.key.pid for one in found.read(root, layout=True)] == [41]
    (child / "smaps_rollup").unlink()
    assert [one.key.pid for one in found.read(root)] == [41]
    (tmp_path / "41/smaps_rollup").unlink()
    with pytest.raises(UnwatchableError, match="41 ended while it was read"):
        found.read(root)


def test_one_of_the_kernel_s(proc: Callable[..., Path], tmp_path: Path) -> None:
    """It has no memory to be read."""
    (proc(41) / "smaps_rollup").write_text("", encoding="utf-8")
    with pytest.raises(UnwatchableError, match=r"41 \(serve\) has no memory of its own"):
        LinuxTrees(str(tmp_path)).identify(41)


@pytest.mark.parametrize("known", [True, False])
def test_one_of_another_user(
    proc: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Its memory may not be read, and the message says by whom it could be."""
    proc(41)

    def refuse(path: str) -> bytes:
        raise PermissionError(13, "denied", path)

    monkeypatch.setattr(trees, "read_small", refuse)
    monkeypatch.setattr(trees, "user_name", lambda _: "alice")
    if not known:
        monkeypatch.setattr(trees, "_STAT", refuse)
    owner = "alice" if known else "unknown"
    with pytest.raises(UnwatchableError, match=rf"41 \(serve\) is a process of user {owner} whose"):
        LinuxTrees(str(tmp_path)).identify(41)


def test_what_cannot_be_read_is_no_end(
    proc: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other error is a reading that could not be had."""
    proc(41)

    def fail(path: str) -> bytes:
        raise OSError(5, "broken", path)

    monkeypatch.setattr(trees, "read_small", fail)
    with pytest.raises(ReadingUnavailableError, match="smaps_rollup: broken"):
        LinuxTrees(str(tmp_path)).identify(41)


def test_motion_of_one_that_has_ended(proc: Callable[..., Path], tmp_path: Path) -> None:
    """It moves no more, and the others do."""
    proc(41)
    found = LinuxTrees(str(tmp_path))
    assert found.motion([ProcessKey(41, 7), ProcessKey(42, 7)]).threads == 1
    (tmp_path / "41/stat").unlink()
    assert found.motion([ProcessKey(41, 7)]).threads == 1


def test_a_kernel_that_lists_no_children(
    proc: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Psutil finds them, or says why it can't."""
    proc(41)
    proc(42, parent=41)
    (tmp_path / "thread-self/children").unlink()
    found = LinuxTrees(str(tmp_path))
    root = ProcessKey(41, 7)

    def ask(answer: Callable[[], list[object]]) -> None:
        monkeypatch.setattr(
            psutil, "Process", lambda _: type("P", (), {"children": lambda *_, **__: answer()})
        )

    ask(lambda: [type("C", (), {"pid": 42})])
    assert [one.key.pid for one in found.read(root)] == [41, 42]

    def gone() -> list[object]:
        raise psutil.NoSuchProcess(41)

    ask(gone)
    assert [one.key.pid for one in found.read(root)] == [41]

    def denied() -> list[object]:
        raise psutil.AccessDenied(41)

    ask(denied)
    with pytest.raises(ReadingUnavailableError, match="psutil cannot list the children of process"):
        found.read(root)


@pytest.mark.parametrize("chunk", [40, 100, 5000])
def test_a_layout_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """However the text is cut, each mapping is there once and whole."""
    lines = SMAPS.splitlines(keepends=True)
    text = "".join(lines).encode()

    def cut(_: str) -> Iterator[bytes]:
        part = b""
        for line in text.splitlines(keepends=True):
            part += line
            if len(part) >= chunk:
                yield part
                part = b""
        yield part

    monkeypatch.setattr(trees, "read_by_lines", cut)
    entries = list(trees._entries("path"))
    assert [(one.start, one.fields["Anonymous"]) for one in entries] == [
        (0x4000000, 8192),
        (0x5000000, 0),
    ]
    assert [trees._may_be_thread_heap(one) for one in entries] == [True, False]


def test_no_layout() -> None:
    """A process that has none at all."""
    assert list(trees._entries(os.devnull)) == []
