"""Other processes through psutil alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from pytest_memreturn._errors import ReadingUnavailableError, UnwatchableError
from pytest_memreturn._processes import ProcessKey
from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import tree_probe
from pytest_memreturn.probes.portable_trees import PortableTrees
from pytest_memreturn.probes.trees import LinuxTrees

CODE = "import sys, time; x = b'x' * (10 << 20); print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process with 10 MiB, asleep."""
    found = subprocess.Popen([sys.executable, "-I", "-S", "-c", CODE], stdout=subprocess.PIPE)
    assert found.stdout is not None
    assert found.stdout.readline().strip() == b"ready"
    yield found
    found.kill()
    found.communicate()


def test_a_process(process: subprocess.Popen[bytes]) -> None:
    """Its footprint is what it alone has, without a layout."""
    found = PortableTrees()
    root = found.identify(process.pid)
    (reading,) = found.read(root, [root], layout=True)
    assert reading.key == root
    assert reading.footprint_bytes > 10 * MIB
    assert reading.snapshot.kinds == {}
    assert "-I -S -c" in reading.command
    motion = found.motion([root, ProcessKey(2**22 + 1, 1)])
    assert motion.threads == 1


def test_who_can_t_be_watched(process: subprocess.Popen[bytes]) -> None:
    """Each for a reason of its own, with its pid."""
    found = PortableTrees()
    own, parent = os.getpid(), os.getppid()
    with pytest.raises(UnwatchableError, match=f"^{own} is the process that asks"):
        found.identify(own)
    with pytest.raises(UnwatchableError, match=f"^{parent} is an ancestor"):
        found.identify(parent)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        if sys.platform == "linux":
            number = thread.native_id
            assert number is not None
            with pytest.raises(UnwatchableError, match=f"^{number} is a thread, and no process"):
                found.identify(number)
    finally:
        done.set()
        thread.join()
    root = found.identify(process.pid)
    with pytest.raises(UnwatchableError, match="another process has its pid now"):
        found.read(ProcessKey(process.pid, root.started - 1))
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    with pytest.raises(UnwatchableError, match="has ended, and its parent has not waited"):
        found.identify(process.pid)
    process.wait()
    with pytest.raises(UnwatchableError, match=f"^{process.pid} is no process that runs"):
        found.read(root)


class Played:
    """A process as psutil has it; what is an exception is raised."""

    def __init__(self, pid: int = 41, /, **answers: object) -> None:
        self.pid = pid
        self._answers = {
            "status": psutil.STATUS_RUNNING,
            "create_time": 7.0,
            "name": "serve",
            "cmdline": ["serve"],
            "children": [],
            "parents": [],
            "memory_info": type("M", (), {"rss": 5}),
            "memory_full_info": type("M", (), {"uss": 3}),
            **answers,
        }

    def __getattr__(self, name: str) -> Callable[..., object]:
        def answer(**_: object) -> object:
            found = self._answers[name]
            if isinstance(found, list) and found and isinstance(found[0], Exception):
                found = found.pop(0) if len(found) > 1 else found[0]
            if isinstance(found, Exception):
                raise found
            return found

        return answer


GONE, DENIED, BROKEN = psutil.NoSuchProcess(41), psutil.AccessDenied(41), OSError("broken")
ROOT = ProcessKey(41, 7.0)


def play(monkeypatch: pytest.MonkeyPatch, *processes: Played) -> PortableTrees:
    """A probe that sees these processes."""
    by_pid = {one.pid: one for one in processes}
    monkeypatch.setattr(psutil, "Process", lambda pid=41: by_pid[pid])
    return PortableTrees()


def test_one_that_ends_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the root that is an error, of another one it is nothing."""
    zombie = Played(42, status=psutil.STATUS_ZOMBIE)
    gone = Played(43, name=GONE)
    found = play(monkeypatch, Played(children=[zombie, gone]))
    assert [one.key for one in found.read(ROOT)] == [ROOT]
    with pytest.raises(UnwatchableError, match="41 ended while it was read"):
        play(monkeypatch, Played(name=GONE)).read(ROOT)
    with pytest.raises(UnwatchableError, match="41 ended while it was read"):
        play(monkeypatch, Played(children=GONE)).read(ROOT)


def test_known_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are of the tree wherever they are, unless another one has the pid now."""
    found = play(monkeypatch, Played(), Played(42), Played(43))
    known = [ProcessKey(42, 7.0), ProcessKey(43, 6.0), ROOT]
    assert [one.key.pid for one in found.read(ROOT, known)] == [41, 42]


def test_one_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory may not be read."""
    found = play(monkeypatch, Played(memory_info=DENIED, memory_full_info=DENIED))
    with pytest.raises(UnwatchableError, match="41 is a process whose memory may not be read"):
        found.identify(41)


@pytest.mark.parametrize("answer", ["status", "children", "cmdline"])
def test_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """It is a reading that could not be had."""
    with pytest.raises(ReadingUnavailableError, match="psutil cannot read process 41: broken"):
        play(monkeypatch, Played(41, **{answer: BROKEN})).read(ROOT)


def test_motion_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can't be looked at does not move."""
    assert play(monkeypatch, Played(cpu_times=DENIED)).motion([ROOT]).threads == 0


def test_which_probe_reads_other_processes() -> None:
    """The one that goes with the probe of this process."""
    assert isinstance(tree_probe("portable"), PortableTrees)
    assert isinstance(tree_probe("auto"), LinuxTrees if sys.platform == "linux" else PortableTrees)
