"""Work-loads that keep memory outside their own process, each run in a process of its own.

Not collected with the suite: `test_outside.py` beside this file names them one by one.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import resource_tracker, shared_memory
from multiprocessing.synchronize import Barrier

import pytest

MIB = 1024 * 1024

kept: list[object] = []
processes: list[subprocess.Popen[bytes]] = []
names: list[str] = []

HOLDER = """
import sys
held = bytearray(b"x") * (int(sys.argv[1]) << 20)
print("ready", flush=True)
sys.stdin.read()
"""


def start_holder(mebibytes: int) -> subprocess.Popen[bytes]:
    """A child that has written to so much memory, and waits until its input ends."""
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, str(mebibytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    processes.append(child)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def end_holder(child: subprocess.Popen[bytes]) -> None:
    """End a child, its pipes included."""
    child.communicate()


def leave_segment(mebibytes: int) -> shared_memory.SharedMemory:
    """A segment of shared memory, written to from end to end."""
    segment = shared_memory.SharedMemory(create=True, size=mebibytes * MIB)
    # Left to us to remove: the tracker would do it with a warning.
    resource_tracker.unregister(segment._name, "shared_memory")  # type: ignore[attr-defined]
    names.append(segment.name)
    fill_segment(segment)
    return segment


def fill_segment(segment: shared_memory.SharedMemory) -> None:
    """Write to all of it."""
    assert segment.buf is not None
    segment.buf[:] = b"\1" * len(segment.buf)


@pytest.fixture(autouse=True)
def clean_up() -> Iterator[None]:
    """Take away what the tests leave behind on purpose, once they were judged."""
    yield
    for child in processes:
        end_holder(child)
    for name in names:
        shared_memory.SharedMemory(name).unlink()
    processes.clear()
    names.clear()


@pytest.fixture
def older_holder() -> subprocess.Popen[bytes]:
    """A child that was there before the test."""
    return start_holder(30)


@pytest.fixture
def older_segment() -> Iterator[shared_memory.SharedMemory]:
    """A segment that was there before the test."""
    segment = leave_segment(30)
    yield segment
    segment.close()


def test_child_left_running() -> None:
    """A child with 40 MiB is not ended."""
    start_holder(40)


def test_child_ended() -> None:
    """A child with 40 MiB comes and goes."""
    end_holder(start_holder(40))


def test_older_child(older_holder: subprocess.Popen[bytes]) -> None:
    """A child that a fixture started is not this test's."""
    assert older_holder.poll() is None


@pytest.fixture
def shared() -> bytearray:
    """100 MiB that were there before the test."""
    return bytearray(b"x") * (100 * MIB)


@pytest.mark.usefixtures("shared")
def test_forked_child_left_running() -> None:
    """A forked child shares what this process has, and takes 30 MiB of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        kept.append(bytearray(b"y") * (30 * MIB))
        os.write(writing, b"ready")
        signal.pause()
    os.read(reading, 5)
    kept.append(pid)


def test_segment_left_behind() -> None:
    """A segment of 50 MiB is closed and never unlinked."""
    leave_segment(50).close()


def test_segment_still_mapped() -> None:
    """A segment of 50 MiB stays mapped."""
    kept.append(leave_segment(50))


def test_segment_removed() -> None:
    """A segment of 50 MiB comes and goes."""
    segment = shared_memory.SharedMemory(create=True, size=50 * MIB)
    fill_segment(segment)
    segment.close()
    segment.unlink()


def test_older_segment(older_segment: shared_memory.SharedMemory) -> None:
    """A segment that a fixture made is not this test's."""
    assert older_segment.buf is not None
    assert older_segment.buf[0] == 1


def test_memfd_left_open() -> None:
    """A file of 50 MiB in memory, held by a descriptor only."""
    descriptor = os.memfd_create("left-open")
    os.write(descriptor, bytes(MIB) * 50)
    kept.append(descriptor)


def test_sysv_segment_left_behind() -> None:
    """A System V segment of 50 MiB is detached and never removed."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    libc.shmdt.argtypes = [ctypes.c_void_p]
    number = libc.shmget(0, 50 * MIB, 0o600)
    address = libc.shmat(number, None, 0)
    ctypes.memset(address, 1, 50 * MIB)
    libc.shmdt(address)
    kept.append(number)


def test_pool_left_running() -> None:
    """A pool of two workers, forked, is not shut down; each has 20 MiB of its own."""
    context = multiprocessing.get_context("fork")
    filled = context.Barrier(3)
    kept.append(context.Pool(2, initializer=fill, initargs=(filled,)))
    filled.wait()


def fill(filled: Barrier) -> None:
    """Take 20 MiB in a worker."""
    kept.append(bytearray(b"x") * (20 * MIB))
    filled.wait()


def teardown_function(function: object) -> None:
    """End what no fixture knows of, once the test was judged."""
    if function is test_forked_child_left_running:
        (pid,) = kept
        assert isinstance(pid, int)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    elif function is test_sysv_segment_left_behind:
        ctypes.CDLL(None).shmctl(kept[0], 0, None)
    elif function is test_pool_left_running:
        (pool,) = kept
        pool.terminate()  # type: ignore[attr-defined]
        pool.join()  # type: ignore[attr-defined]
    kept.clear()
