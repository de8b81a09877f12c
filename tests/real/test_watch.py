"""Other processes, judged from outside while they work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pytest_memreturn import InvalidSettingError, MemoryNotReturned, UnjudgedWarning, watch
from pytest_memreturn.probes import tree_probe
from pytest_memreturn.probes.interpreters import switches_of

MIB = 1024 * 1024

# Does what it reads, a line at a time, and says when it has.
HOST = """
import mmap, multiprocessing, os, select, sys, time

MIB = 1 << 20
kept = []

def keep(mebibytes):
    kept.append(b"x" * (mebibytes * MIB))

def work(mebibytes):
    return len([bytes(1000) for _ in range(mebibytes * 1000)])

def fork(action, *arguments):
    # Comes back when the child has done it; the child stays.
    ready, done = os.pipe()
    if not os.fork():
        action(*arguments)
        os.write(done, b"x")
        time.sleep(600)
    os.read(ready, 1)

def share():
    global shared
    shared = mmap.mmap(-1, 20 * MIB)
    shared[:] = b"x" * len(shared)
    fork(lambda: shared[:].count(b"x"))

def hold(mebibytes):
    # Free, below something that stays.
    rows = [b"%4000d" % number for number in range(mebibytes * MIB // 4000)]
    kept.append(b"x" * 100_000)
    del rows

if __name__ == "__main__":
    # A thing of this file, that workers import.
    pool = None
    print("ready", flush=True)
    while True:
        if not select.select([sys.stdin], [], [], 0.05 if kept is not None else None)[0]:
            continue
        line = sys.stdin.readline()
        if not line:
            break
        exec(line)
        print("done", flush=True)
"""


class Host:
    """A process that does what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def do(self, line: str) -> None:
        """Have it run a line, and wait until it has."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self.expect("done")

    def expect(self, word: str) -> None:
        """Wait until it says so."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n"

    def sleep_after(self, line: str) -> None:
        """Have it run a line, and wait until it has not run for a while after it."""
        self.do(line)
        last = None
        while last != (last := switches_of(self.pid)):
            time.sleep(0.2)

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host, which is ended with all of its own."""
    script = tmp_path_factory.mktemp("host") / "host.py"
    script.write_text(HOST, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-u", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    found = Host(process)
    found.expect("ready")
    yield found
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.communicate()


def test_what_a_process_keeps(host: Host) -> None:
    """It is retained, in accounts that sum, and the message names the process."""
    with pytest.raises(MemoryNotReturned) as caught, watch(host.pid, "5 MiB", label="it") as seen:
        host.do("keep(30); work(5)")
    assert seen.retained_bytes == pytest.approx(30 * MIB, abs=2 * MIB)
    assert sum(seen.ledger.values()) == seen.retained_bytes
    assert abs(seen.ledger["unexplained"]) < MIB // 2
    assert seen.cause == "mapped"
    (process,) = seen.processes
    assert (process.pid, process.grown_bytes) == (host.pid, seen.retained_bytes)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("it: kept 3")
    assert any(f"pid {host.pid} +" in line for line in lines)


def test_what_a_process_gives_back(host: Host) -> None:
    """Work that keeps nothing passes."""
    host.do("work(5)")
    with watch(host.pid, "2 MiB") as seen:
        host.do("work(5)")
    assert seen.verdict == "returned"
    assert (seen.record.window, seen.record.gate) == ("watch", "end")


def test_what_a_fork_shares_counts_once(host: Host) -> None:
    """Four children of a process with 60 MiB take 4 MiB each, and not 64."""
    host.do("keep(60)")
    with watch(host.pid, "40 MiB") as seen:
        for _ in range(4):
            host.do("fork(keep, 4)")
    assert seen.retained_bytes == pytest.approx(16 * MIB, abs=8 * MIB)
    assert len(seen.processes) == 5


def test_children_that_end_are_no_growth(host: Host) -> None:
    """One that was there gives its memory back by its end, and one that comes takes as much."""
    host.do("fork(keep, 20)")
    with watch(host.pid, "3 MiB") as seen:
        host.do("fork(keep, 20)")
        tree = tree_probe("auto")
        old = tree.read(tree.identify(host.pid))[1].key.pid
        host.do(f"os.kill({old}, 9); os.waitpid({old}, 0)")
    ended = next(one for one in seen.processes if one.pid == old)
    assert ended.after_bytes is None
    assert seen.retained_bytes < 3 * MIB


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps", "returns"])
def test_a_pool_of_workers(host: Host, *, keeps: bool) -> None:
    """Workers that keep what they have worked on are caught, one by one."""
    host.do("pool = multiprocessing.get_context('fork').Pool(2)")
    host.do("pool.map(work, [2] * 8)")
    task = "keep" if keeps else "work"
    seen = watch(host.pid, "8 MiB")
    try:
        with seen:
            host.do(f"pool.map({task}, [2] * 8, chunksize=1)")
    except MemoryNotReturned:
        assert keeps
    if keeps:
        assert seen.retained_bytes == pytest.approx(16 * MIB, abs=3 * MIB)
        grown = [one.pid for one in seen.processes if one.grown_bytes > MIB]
        assert host.pid not in grown
    assert (seen.verdict == "retained") == keeps


def test_shared_memory_counts_once(host: Host) -> None:
    """A segment that two processes have written to is there once."""
    with pytest.raises(MemoryNotReturned), watch(host.pid, "2 MiB") as seen:
        host.do("share()")
    assert seen.ledger["shared-memory"] == pytest.approx(20 * MIB, abs=MIB)


def test_a_process_that_ends_inside(host: Host) -> None:
    """There is no verdict, and the reason says so."""
    seen = watch(host.pid, "5 MiB")
    with pytest.warns(UnjudgedWarning, match=f"process {host.pid} "), seen:
        host.end()
    assert seen.verdict == "unjudged"


def test_a_process_that_has_ended(host: Host) -> None:
    """It is an error that names it, at the call and at the beginning of the block."""
    seen = watch(host.pid, "5 MiB")
    host.end()
    with pytest.raises(InvalidSettingError, match=f"{host.pid} is no process that runs"):
        seen.__enter__()
    with pytest.raises(InvalidSettingError, match=f"{host.pid} is no process that runs"):
        watch(host.pid)


CAN_RELEASE = sys.version_info >= (3, 14)
releases = pytest.mark.skipif(
    not CAN_RELEASE, reason="it takes CPython 3.14, which the nox session debian_testing has"
)


def test_a_process_that_only_holds_free_memory(host: Host) -> None:
    """It is over its allowance as it is, and within it once it has collected and trimmed."""
    if not CAN_RELEASE:
        with pytest.raises(InvalidSettingError, match=r"release=True needs CPython 3\.14"):
            watch(host.pid, release=True).__enter__()
        return
    with pytest.raises(MemoryNotReturned), watch(host.pid, "5 MiB"):
        host.do("hold(30)")
    with watch(host.pid, "5 MiB", release=True) as seen:
        host.do("hold(30)")
    assert seen.record.gate == "trim"
    assert seen.readings["end"] - seen.readings["trim"] > 20 * MIB
    assert abs(seen.ledger["unexplained"]) < MIB


@releases
def test_what_is_alive_is_told_from_what_is_free(host: Host) -> None:
    """After a release the ledger has the accounts of the process's own allocators."""
    with pytest.raises(MemoryNotReturned), watch(host.pid, "5 MiB", release=True) as seen:
        host.do(
            "kept.append([(number,) for number in range(200_000)]); hold(30); "
            "kept.append([b'%4000d' % number for number in range(2_000)])"
        )
    assert seen.ledger["python-live"] == pytest.approx(200_000 * 80, rel=0.3)
    assert seen.ledger["malloc-live"] == pytest.approx(8 * MIB + 1_600_000, rel=0.3)
    assert seen.record.causes is not None
    assert "live-python" in seen.record.causes


@releases
def test_a_process_that_sleeps(host: Host) -> None:
    """It can't be made to release, so that what it holds is no verdict."""
    host.do("hold(5)")
    seen = watch(host.pid, "5 MiB", release=True)
    with pytest.warns(UnjudgedWarning, match=f"process {host.pid} sleeps in a system call"), seen:
        host.sleep_after("hold(30); kept, held = None, kept")
    assert seen.verdict == "unjudged"
