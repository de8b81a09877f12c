"""Having other interpreters run a script, and waiting for what they answer."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_memreturn.remote import sender
from pytest_memreturn.remote.sender import RemoteReleaser

ANSWER = b"python 0\nmalloc 0\n"


class Machine:
    """Processes, each with what it does when it is sent a script; time passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.scripts: dict[int, Path] = {}
        self.behaviour: dict[int, Callable[[Path], object]] = {}
        self.runs: dict[int, bool] = {}

    def send(self, pid: int, script: str) -> None:
        """As `sys.remote_exec`."""
        self.scripts[pid] = Path(script)
        self.behaviour[pid](Path(script))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def has_run(self, pid: int) -> object:
        """A figure that changes where the process runs."""
        return self.now if self.runs.get(pid) else 0

    def releaser(self) -> RemoteReleaser:
        """What is tested."""
        return RemoteReleaser(
            self.has_run,
            lambda pid: f"Python 3.{pid}",
            send=self.send,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


@pytest.fixture
def machine() -> Machine:
    """One where nothing runs yet."""
    return Machine()


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts lie below the test's folder, and are gone from the cache after it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sender._base.cache_clear()
    yield
    sender._base.cache_clear()


def answers(data: bytes = ANSWER) -> Callable[[Path], object]:
    """Writes an answer where the script says."""

    def write(script: Path) -> None:
        last = script.read_text(encoding="utf-8").splitlines()[-1]
        path = last.removeprefix("answer('").removesuffix("')")
        Path(path).write_bytes(data)

    return write


def answers_nothing(_: Path) -> None:
    """Takes the script, and is not heard of."""


def raises(error: BaseException) -> Callable[[Path], object]:
    """Cannot be sent anything."""

    def fail(script: Path) -> None:
        del script
        raise error

    return fail


def test_an_answer(machine: Machine) -> None:
    """What was said has been read, and no file is left."""
    machine.behaviour[14] = answers()
    found = machine.releaser().release({14: "python"})
    assert (found.statistics, found.reasons, found.refused) == ({14: ()}, {}, set())
    assert not machine.scripts[14].parent.exists()


def test_an_answer_that_is_a_problem(machine: Machine) -> None:
    """It is the reason."""
    machine.behaviour[14] = answers(b"error 7\nbad day")
    found = machine.releaser().release({14: "python"})
    assert found.reasons == {14: "process 14 answered: bad day"}
    assert found.refused == set()


def test_a_process_that_sleeps(machine: Machine) -> None:
    """It is not waited for, and shall do nothing when it wakes."""
    machine.behaviour[14] = answers_nothing
    found = machine.releaser().release({14: "python"})
    assert found.reasons == {
        14: "process 14 sleeps in a system call, and gets to a release only when that returns"
    }
    assert machine.now < 2
    assert machine.scripts[14].read_text(encoding="utf-8") == ""


def test_a_process_that_is_busy_elsewhere(machine: Machine) -> None:
    """It is waited for longer, and not for ever."""
    machine.behaviour[14] = answers_nothing
    machine.runs[14] = True
    found = machine.releaser().release({14: "python"})
    assert "did not answer within 10 s" in found.reasons[14]
    assert 10 < machine.now < 11


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(), ["process 14 may not be traced", "ptrace_scope", "CAP_SYS_PTRACE"]),
        (RuntimeError("not enabled"), ["takes no script (not enabled)", "DISABLE_REMOTE_DEBUG"]),
        (OSError("gone"), ["takes no script (gone)", "process 14 is Python 3.14"]),
    ],
)
def test_a_process_that_refuses(machine: Machine, error: Exception, words: list[str]) -> None:
    """The reason says what is needed, and the others are asked all the same."""
    machine.behaviour = {14: raises(error), 15: answers()}
    found = machine.releaser().release({14: "python", 15: "python"})
    assert found.refused == {14}
    assert found.statistics == {15: ()}
    assert [word for word in words if word not in found.reasons[14]] == []
    assert not machine.scripts[14].parent.exists()


def test_an_interpreter_that_cannot_send(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 3.14 nothing can be asked, and the reason names both sides."""
    monkeypatch.delattr(sys, "remote_exec", raising=False)
    found = RemoteReleaser(machine.has_run, lambda _: "Python 3.13").release({13: "python"})
    assert found.refused == {13}
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.reasons[13].startswith("release=True needs CPython 3.14 or later on both sides")
    assert found.reasons[13].endswith(f"this is Python {own}, process 13 is Python 3.13")


def test_the_interpreter_s_own_way_to_send(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is one, it is taken."""
    monkeypatch.setattr(sys, "remote_exec", machine.send, raising=False)
    machine.behaviour[14] = answers()
    found = RemoteReleaser(machine.has_run, str, sleep=machine.sleep).release({14: "python"})
    assert found.statistics == {14: ()}


def test_a_helper_is_left_alone(machine: Machine) -> None:
    """The tracker of multiprocessing sleeps for good, and is not waited for."""
    command = "python -c 'from multiprocessing.resource_tracker import main;main(5)'"
    found = machine.releaser().release({14: command})
    assert found.reasons == {14: "process 14 is a helper of multiprocessing that sleeps"}
    assert machine.scripts == {}
    assert machine.now == 0


def test_whose_the_folders_are(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another user may write its answer, and nothing that this one writes or reads."""
    given: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(
        os, "chown", lambda path, user, group: given.append((path.name, user, group))
    )
    pid = os.getpid()
    machine.behaviour[pid] = answers()
    assert machine.releaser().release({pid: "python"}).reasons == {}
    expected = [("own", os.getuid(), os.getgid())] if Path(f"/proc/{pid}").exists() else []
    assert given == expected


def test_what_others_may_do_with_the_files(machine: Machine) -> None:
    """Pass through, and read the script, whatever files are made with here; no more."""
    modes: list[int] = []

    def look(script: Path) -> None:
        paths = [script.parent / "own", script, *list(script.parents)[:2]]
        modes.extend(stat.S_IMODE(one.stat().st_mode) for one in paths)
        answers()(script)

    machine.behaviour[14] = look
    mask = os.umask(0o077)
    try:
        machine.releaser().release({14: "python"})
    finally:
        os.umask(mask)
    assert modes == [0o700, 0o644, 0o711, 0o711]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_an_answer_that_is_no_file(machine: Machine, tmp_path: Path, kind: str) -> None:
    """It is not followed, not waited for, and not taken."""
    secret = tmp_path / "secret"
    secret.write_bytes(ANSWER)

    def put(script: Path) -> None:
        answer = script.parent / "own" / "answer"
        if kind == "link":
            answer.symlink_to(secret)
        elif kind == "pipe":
            os.mkfifo(answer)
        else:
            answer.mkdir()

    machine.behaviour[14] = put
    found = machine.releaser().release({14: "python"})
    assert found.reasons[14].startswith("process 14 left no answer that can be read: ")
    assert found.statistics == {}
    assert secret.read_bytes() == ANSWER
    assert not machine.scripts[14].parent.exists()
