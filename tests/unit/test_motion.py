"""What moves in a process: played by a folder that looks like procfs, and in this process."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pytest_memreturn.probes import motion
from pytest_memreturn.probes.motion import LinuxMotion, Motion, PortableMotion

# What a thread of jemalloc showed of itself: asleep until it is woken, and until a time.
FOR_GOOD = "202 0x7fd5c5800d90 0x189 0x0 0x0 0x0 0xffffffff 0x7fd5c41fe1d0 0x7fd5cb8f5d36\n"
FOR_A_WHILE = (
    "202 0x7f65dd000d94 0x189 0x0 0x7f65dc7fe310 0x0 0xffffffff 0x7f65dc7fe1d0 0x7f65de5c6d36\n"
)
FOR_A_LOCK = "202 0x7fd5c5800d90 0x80 0x2 0x0 0x0 0x0 0x7fd5c41fe1d0 0x7fd5cb8f5d36\n"
PURGING = "28 0x7fd5c5800000 0x200000 0x4 0x0 0x0 0x0 0x7fd5c41fe1d0 0x7fd5cb8f5d36\n"

DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has used 5 s of CPU time, 2 of them in this thread."""
    monkeypatch.setattr(motion, "_PROCESS_SECONDS", lambda: 5.0)
    monkeypatch.setattr(motion, "_THREAD_SECONDS", lambda: 2.0)


@pytest.fixture
def add_thread(tmp_path: Path) -> Callable[..., None]:
    """Put a thread with these files into the folder."""

    def add(thread: int, **files: str) -> None:
        folder = tmp_path / "self" / "task" / str(thread)
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")

    return add


def test_without_a_word_nothing_moves() -> None:
    """The default is a process with one thread."""
    assert Motion() == Motion(threads=1, other_busy_seconds=0.0, purges_in_background=False)


def test_threads_and_their_time(tmp_path: Path, add_thread: Callable[..., None]) -> None:
    """Every thread counts; the calling one's time does not."""
    add_thread(100, comm="python\n")
    add_thread(101, comm="polars-0\n", syscall=FOR_A_WHILE)
    assert LinuxMotion(str(tmp_path)).sample() == Motion(2, 3.0, purges_in_background=False)


@pytest.mark.parametrize(
    ("call", "purges"),
    [
        (FOR_GOOD, False),
        (FOR_GOOD.replace("0x189", "0x89"), False),
        (FOR_A_WHILE, True),
        (FOR_A_WHILE.replace("0x189", "0x89"), True),
        (FOR_A_LOCK, True),
        (PURGING, True),
        ("running\n", True),
        ("", True),
        ("-1 0x7fd5c41fe1d0 0x7fd5cb8f5d36\n", True),
    ],
    ids=[
        "asleep",
        "asleep by the other clock",
        "asleep until a time",
        "until a time by the other clock",
        "waits for a lock",
        "purges",
        "runs",
        "kernel says nothing",
        "in no system call",
    ],
)
def test_a_purger_counts_unless_it_sleeps_until_it_is_woken(
    tmp_path: Path, add_thread: Callable[..., None], call: str, purges: bool
) -> None:
    """A purger with nothing to do has set itself no time."""
    add_thread(100, comm="python\n", syscall="running\n")
    add_thread(101, comm="jemalloc_bg_thd\n", syscall=call)
    assert LinuxMotion(str(tmp_path)).sample().purges_in_background == purges


def test_one_purger_at_work_is_enough(tmp_path: Path, add_thread: Callable[..., None]) -> None:
    """There are as many as processors in polars, and most of them sleep."""
    for thread, call in enumerate((FOR_GOOD, FOR_A_WHILE, FOR_GOOD)):
        add_thread(thread, comm="jemalloc_bg_thd\n", syscall=call)
    assert LinuxMotion(str(tmp_path)).sample().purges_in_background


def test_a_kernel_that_does_not_tell_leaves_the_purger_in_motion(
    tmp_path: Path, add_thread: Callable[..., None]
) -> None:
    """Not every kernel has the file that says what a thread waits for."""
    add_thread(101, comm="jemalloc_bg_thd\n")
    assert LinuxMotion(str(tmp_path)).sample().purges_in_background


def test_a_thread_that_ends_meanwhile_is_no_purger(
    tmp_path: Path, add_thread: Callable[..., None]
) -> None:
    """It was listed, and is gone when its name is read."""
    add_thread(100)
    assert LinuxMotion(str(tmp_path)).sample() == Motion(1, 3.0)


@contextmanager
def thread(target: Callable[[threading.Event], object]) -> Iterator[None]:
    """A thread that has begun, and ends with the block."""
    begun, end = threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        target(end)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    try:
        assert begun.wait(DEADLINE_SECONDS)
        yield
    finally:
        end.set()
        running.join(DEADLINE_SECONDS)


@pytest.mark.parametrize("probe", [LinuxMotion, PortableMotion])
def test_threads_of_this_process(probe: Callable[[], LinuxMotion | PortableMotion]) -> None:
    """One more is one more, whichever way they are counted."""
    sampler = probe()
    # A thread that was joined may still be there for the kernel; what is there for longer belongs
    # to a library, such as the pool of OpenBLAS.
    settled = time.monotonic() + 1
    while (before := sampler.sample().threads) > threading.active_count():
        if time.monotonic() > settled:
            break
    with thread(lambda end: end.wait()):
        assert sampler.sample().threads == before + 1


def test_without_procfs_psutil_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be listed is no reason to know nothing."""
    monkeypatch.setattr(psutil.Process, "num_threads", lambda _: 7)
    assert LinuxMotion(str(tmp_path)).sample() == Motion(7, 3.0)


@pytest.mark.parametrize("problem", [psutil.AccessDenied(), OSError("gone")])
def test_without_psutil_python_counts(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that Python knows of are there in any case."""

    def fail(_: psutil.Process) -> int:
        raise problem

    monkeypatch.setattr(psutil.Process, "num_threads", fail)
    assert PortableMotion().sample() == Motion(threading.active_count(), 3.0)


def test_time_of_threads_that_ended_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others have used only grows, and the calling thread adds nothing to it."""
    monkeypatch.undo()
    used = 0.05

    def burn() -> None:
        until = time.thread_time() + used
        while time.thread_time() < until:
            pass

    before = PortableMotion().sample().other_busy_seconds
    worker = threading.Thread(target=burn)
    worker.start()
    worker.join()
    after = PortableMotion().sample().other_busy_seconds
    assert after - before >= used


@pytest.mark.skipif(sys.platform != "linux", reason="procfs is Linux's")
@pytest.mark.skipif(
    not os.access("/proc/thread-self/syscall", os.R_OK), reason="this kernel has no such file"
)
@pytest.mark.parametrize(("timeout_seconds", "purges"), [(None, False), (DEADLINE_SECONDS, True)])
def test_a_real_thread_is_seen_to_sleep(timeout_seconds: float | None, purges: bool) -> None:
    """The kernel's own words: a thread named like a purger, asleep until woken or until a time."""
    sampler = LinuxMotion()
    is_named = threading.Event()
    identity: list[int] = []

    def sleep(end: threading.Event) -> None:
        # prctl(2), PR_SET_NAME.
        ctypes.CDLL(None).prctl(15, b"jemalloc_bg_thd", 0, 0, 0)
        identity.append(threading.get_native_id())
        is_named.set()
        end.wait(timeout_seconds)

    with thread(sleep):
        assert is_named.wait(DEADLINE_SECONDS)
        # Until it sleeps it runs, or waits for the interpreter, which it does with a timeout.
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _sleeps(identity[0], with_timeout=purges):
            assert time.monotonic() < deadline
        assert sampler.sample().purges_in_background == purges


def _sleeps(thread: int, *, with_timeout: bool) -> bool:
    call = Path(f"/proc/self/task/{thread}/syscall").read_text(encoding="utf-8").split()
    return call[2:3] in (["0x89"], ["0x189"]) and (call[4] != "0x0") == with_timeout
