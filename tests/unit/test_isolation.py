"""What isolated tests are asked and tell, as plain data and in words."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_memreturn import _xdist
from pytest_memreturn._settings import ALLOCATORS
from pytest_memreturn.fresh import process
from pytest_memreturn.isolation import child, interpreter, server
from pytest_memreturn.isolation.child import check_loaded
from pytest_memreturn.isolation.ending import Ending
from pytest_memreturn.isolation.order import VARIABLE, Order
from pytest_memreturn.isolation.outcome import Outcome, failure_of, put_beside
from pytest_memreturn.isolation.sections import read_shortened, shortened
from pytest_memreturn.isolation.told import Phase, Told, parse_told
from pytest_memreturn.isolation.variables import with_allocator, with_changes
from pytest_memreturn.isolation.warned import warning_data, warning_of
from pytest_memreturn.probes.kills import oom_kills
from pytest_memreturn.probes.strays import members_of, started_with
from pytest_memreturn.reruns.installed import LIBRARIES

if TYPE_CHECKING:
    from pytest_memreturn.fresh.command import Invocation

PASSED = {"outcome": "passed", "duration": 0.5, "sections": []}


def test_an_order_arrives_as_it_was() -> None:
    """But for what is no plain data."""
    order = Order("x", "/x", ["-q"], ["pytest"], keeps_first_path=True, worker={"id": "gw0"})
    assert Order.from_json(order.to_json()) == order
    with open(os.devnull) as uncopied:  # noqa: PTH123 - what pickle and copy refuse
        mixed = {"id": "gw0", "odd": uncopied}
        odd = Order("x", "/x", [], [], keeps_first_path=True, worker=mixed, given=mixed)
        arrived = Order.from_json(odd.to_json())
    assert arrived.worker == arrived.given == {"id": "gw0"}


def test_what_is_told_comes_line_by_line() -> None:
    """A line that breaks off, and one that is of no known kind, count for nothing."""
    lines = [
        {"found": 1},
        {"problem": "p"},
        {"report": {"when": "setup"}, "is_phase": True},
        {"report": {"when": "call"}, "is_phase": False},
        {"warning": {"text": "w"}},
        {"expected_failure": "known"},
        {"stopped": ["Exit", "enough", 3]},
        {"unknown": 1},
        {"done": True},
    ]
    told = parse_told([*map(json.dumps, lines), '{"report"'])
    assert told == Told(
        reports={"setup": {"when": "setup"}},
        beside=[{"when": "call"}],
        warnings=[{"text": "w"}],
        stopped=("Exit", "enough", 3),
        problems=["p"],
        expected_failure="known",
        found=1,
        done=True,
    )


@pytest.mark.parametrize(
    ("reports", "missing"),
    [
        ({}, "setup"),
        ({"setup": PASSED}, "call"),
        ({"setup": {"outcome": "skipped"}}, "teardown"),
        ({"setup": PASSED, "call": PASSED}, "teardown"),
        ({"setup": PASSED, "call": PASSED, "teardown": PASSED}, None),
    ],
)
def test_which_phase_is_missing(reports: dict[str, dict[str, object]], missing: str | None) -> None:
    """The first that has no report and should have one."""
    assert Told(reports=reports).missing_phase() == missing  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(0), "ended without a report, with exit status 0"),
        (Ending(None), "was ended, since the process that it comes from had ended"),
        (Ending(-11), "was killed by SIGSEGV (Segmentation fault)"),
        (Ending(-40), "was killed by signal 40"),
        (Ending(-9, limit_seconds=2.5), "had not ended within 2.5 s, and was ended"),
        (Ending(-9), "was killed by SIGKILL (Killed): perhaps by the kernel, for want of memory"),
        (
            Ending(-9, oom_kills=1),
            (
                "was killed by SIGKILL (Killed): the kernel ended it for want of memory "
                "(oom_kill in memory.events rose)"
            ),
        ),
        (
            Ending(-9, oom_kills=0),
            "was killed by SIGKILL (Killed), though not for want of memory in its control group",
        ),
    ],
)
def test_how_a_process_ended(ending: Ending, words: str) -> None:
    """In words, with a hint where the kernel may have done it."""
    assert ending.words() == words


@pytest.mark.parametrize(
    ("told", "phase", "text"),
    [
        (Told(), "setup", "the interpreter of this isolated test ended without *"),
        (Told(found=1), "setup", "the interpreter of this isolated test ended without *"),
        (Told(found=0), "setup", "this test was not found again *"),
        (Told(found=2), "setup", "2 tests have this id: *"),
        (
            Told(problems=["E   slip"]),
            "setup",
            "this test could not be run in a fresh interpreter\nE   slip\n\nwhat it said:\nA word.",
        ),
        (Told(reports={"setup": PASSED}), "call", "* (in its body)\n\nwhat it said:\nA word."),
    ],
)
def test_what_is_said_of_a_process_that_was_lost(told: Told, phase: str, text: str) -> None:
    """The phase, the reason, and what it said."""
    found = failure_of(Outcome(told, Ending(1), said="A word.\n"))
    assert found is not None
    assert found[0] == phase
    start, _, end = text.partition("*")
    assert found[1].startswith(start)
    assert found[1].endswith(end)


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_what_is_said_besides_stands_with_what_failed(outcome: str) -> None:
    """Or with the tear-down; where nothing was said, nothing is added."""
    told = Told(
        reports={
            "setup": {**PASSED, "sections": []},
            "call": {**PASSED, "outcome": outcome, "sections": []},
            "teardown": {**PASSED, "sections": []},
        }
    )
    for said in (" \n", "word"):
        found = Outcome(told, Ending(0), said=said)
        assert failure_of(found) is None
        put_beside(found)
    added = [when for when, one in told.reports.items() if one["sections"]]
    assert added == (["call"] if outcome == "failed" else ["teardown"])
    assert told.seconds() == 1.5


def test_a_process_whose_status_is_not_known() -> None:
    """Is lost, unless it had told all there is and its end."""
    reports: dict[Phase, dict[str, object]] = {
        "setup": PASSED,
        "call": PASSED,
        "teardown": {**PASSED, "sections": []},
    }
    assert failure_of(Outcome(Told(reports=reports, done=True), Ending(None))) is None
    found = failure_of(Outcome(Told(reports=reports), Ending(None), said="why"))
    assert found is not None
    assert found[0] == "teardown"
    assert "since the process that it comes from had ended (after its tear-down)" in found[1]
    assert found[1].endswith("what it said:\nwhy")


def test_long_output_is_shortened_in_the_middle(tmp_path: Path) -> None:
    """With how much is missing; as text, and as a file."""
    assert shortened("x" * 10, 10) == "x" * 10
    gap = "\n[memreturn: 2.0 KiB of output are left out here; -s shows all of it]\n"
    assert shortened("a" * 5 + "x" * 2048 + "b" * 5, 10) == f"aaaaa{gap}bbbbb"
    file = tmp_path / "file"
    for text, read in (("x" * 10, "x" * 10), ("a" * 5 + "x" * 2048 + "b" * 5, f"aaaaa{gap}bbbbb")):
        file.write_text(text)
        with file.open("rb") as opened:
            assert read_shortened(opened.fileno(), 10) == read


def test_variables_are_set_and_taken_away() -> None:
    """Those of the run stay."""
    assert with_changes({"A": "1", "B": "2"}, {"B": None, "C": "3"}) == {"A": "1", "C": "3"}


@pytest.mark.parametrize(
    ("loaded", "allocator", "preload"),
    [
        ("", "jemalloc", "libjemalloc.so.2"),
        ("/a/libown.so libtcmalloc.so.4", "jemalloc", "libjemalloc.so.2:/a/libown.so"),
        ("/a/libown.so:/b/libjemalloc.so.1", "malloc", "/a/libown.so"),
        ("libjemalloc.so.2", "malloc", None),
    ],
)
def test_one_allocator_is_loaded(loaded: str, allocator: str, preload: str | None) -> None:
    """And what else the run loads."""
    found, file = with_allocator(
        {"LD_PRELOAD": loaded}, allocator, {"jemalloc": "libjemalloc.so.2"}
    )
    assert found.get("LD_PRELOAD") == preload
    assert file == (None if allocator == "malloc" else "libjemalloc.so.2")


@pytest.mark.parametrize("allocator", [*LIBRARIES])
def test_an_allocator_that_is_not_there(allocator: str) -> None:
    """What to install is said, for each that a mark can name."""
    with pytest.raises(ValueError, match=rf"allocator='{allocator}': .* install \w+"):
        with_allocator({}, allocator, {})
    assert {*LIBRARIES, "malloc"} == {*ALLOCATORS}


@pytest.mark.parametrize(
    ("library", "maps", "is_loaded"),
    [
        (None, "", True),
        ("libjemalloc.so.2", "7f0 r-xp /usr/lib/libjemalloc.so.2", True),
        ("libtcmalloc.so.4", "7f0 r-xp /usr/lib/libtcmalloc.so.4.5.9", True),
        ("/opt/libjemalloc.so", "7f0 r-xp /usr/lib/libtcmalloc.so.4", False),
    ],
)
def test_whether_a_library_is_loaded(
    tmp_path: Path, library: str | None, maps: str, *, is_loaded: bool
) -> None:
    """By the files that are mapped."""
    file = tmp_path / "maps"
    file.write_text(maps)
    assert (check_loaded(library, file) is None) == is_loaded


class _Picky(Warning):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(one, other)


@pytest.mark.parametrize("message", [FutureWarning("take care"), _Picky("a", "b")])
def test_a_warning_arrives(message: Warning) -> None:
    """With its class and its place; as text where it can't be made from one."""
    sent = warnings.WarningMessage(message, type(message), "x.py", 7, line="x = 1")
    found = warning_of(json.loads(json.dumps(warning_data(sent))))
    assert (found.category, str(found.message)) == (type(message), str(message))
    assert (found.filename, found.lineno, found.line) == ("x.py", 7, "x = 1")


@pytest.mark.parametrize(
    "change", [{"module": "nowhere"}, {"category": "Nothing"}, {"module": "os", "category": "path"}]
)
def test_a_warning_of_a_class_that_is_not_known(change: Mapping[str, str]) -> None:
    """It has the name of its class, and is a warning."""
    sent = warnings.WarningMessage(FutureWarning("x"), FutureWarning, "x.py", 7)
    data = {**warning_data(sent), **change}
    found = warning_of(data)
    assert issubclass(found.category, Warning)
    assert (found.category.__module__, found.category.__name__) == (
        data["module"],
        data["category"],
    )


@pytest.mark.parametrize(
    ("groups", "events", "kills"),
    [
        ("1:name=systemd:/a\n0::/a/b\n", "low 0\noom 1\noom_kill 3\n", 3),
        ("0::/a/b\n", "low 0\n", None),
        ("0::/a/b\n", None, None),
        ("4:memory:/a/b\n", "oom_kill 3\n", None),
        ("0::/a/b\n", "oom_kill x\n", None),
        (None, None, None),
    ],
)
def test_kills_for_want_of_memory(
    tmp_path: Path, groups: str | None, events: str | None, kills: int | None
) -> None:
    """As the control group counts them, where it does."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    if events is not None:
        (tmp_path / "a" / "b" / "memory.events").write_text(events)
    assert oom_kills(tmp_path / "cgroup", tmp_path) == kills


def test_processes_are_known_by_a_variable(tmp_path: Path) -> None:
    """Those that can be looked at; nobody where there is no procfs."""
    for number, variables in (("7", b"A=1\0B=2\0"), ("8", b"A=12\0"), ("self", b"A=1\0")):
        (tmp_path / number).mkdir()
        (tmp_path / number / "environ").write_bytes(variables)
    (tmp_path / "9").mkdir()
    assert started_with("A", {"1", "2"}, tmp_path) == {7}
    assert started_with("A", {"1"}, tmp_path / "none") == set()


def test_processes_are_known_by_their_group(tmp_path: Path) -> None:
    """Those that run, whatever their names are."""
    stats = {7: b"7 (a) b) S 1 7 7", 8: b"8 (x) R 7 7 7", 9: b"9 (x) Z 7 7 7", 10: b"10 (7) S 7 10"}
    for number, stat in stats.items():
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_bytes(stat + b" 0 0\n")
    (tmp_path / "11").mkdir()
    assert members_of(7, tmp_path) == {7, 8}
    assert members_of(7, tmp_path / "none") == set()


def test_a_group_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while in which it may end by itself, and another in which it may end others."""
    sent: list[int] = []
    now = iter(range(100))
    monkeypatch.setattr(server, "members_of", lambda _: {7} if len(sent) < 2 else set())
    passing = SimpleNamespace(monotonic=lambda: next(now) / 4, sleep=lambda _: None)
    monkeypatch.setattr(server, "time", passing)
    monkeypatch.setattr(os, "killpg", lambda _, number: sent.append(number))
    server._end_group(7)
    assert sent == [signal.SIGTERM, signal.SIGKILL]


def test_what_interrupts_a_run_of_a_test_ends_what_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It may have something to tell yet, which would be taken for the next one's."""
    import subprocess

    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(
        interpreter,
        "start",
        lambda *_, keeps_open, **__: subprocess.Popen(
            command, start_new_session=True, pass_fds=keeps_open
        ),
    )
    started = interpreter.Interpreters(cast("Invocation", None), {}, shows=False)

    def interrupt(*_: object) -> bool:
        raise _Alarm

    monkeypatch.setattr(interpreter.Interpreters, "_hears_within", interrupt)
    ready = [started.are_ready]
    with pytest.raises(_Alarm):
        started.run(Order("x", "/x", [], [], keeps_first_path=True), None)
    ready.append(started.are_ready)
    started.close()
    assert ready == [True, False]


def test_a_fork_ends_nothing_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should it come to the end of pytest as well."""
    ended: list[str] = []
    stack = SimpleNamespace(close=lambda: ended.append("all"))
    holder = cast("interpreter.Interpreters", SimpleNamespace(_pid=os.getpid(), _open=stack))
    interpreter.Interpreters.close(holder)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    interpreter.Interpreters.close(holder)
    assert ended == ["all"]


@pytest.mark.parametrize("forks", [True, False])
def test_a_fork_does_not_hold_the_lifeline(*, forks: bool) -> None:
    """What hangs on it ends with the run, and not with the last process that a test has forked."""
    process._let_go()  # there is nothing yet
    with process.lifeline() as reading:
        if forks:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                forked = os.fork()
            if not forked:
                held = [os.fstat(one) for one in process._KEPT]
                os._exit(not all(os.path.samestat(one, os.stat(os.devnull)) for one in held))  # noqa: PTH116
            assert os.waitpid(forked, 0)[1] == 0
            assert process._KEPT
        else:
            process._let_go()
            assert os.read(reading, 1) == b""
    assert not process._KEPT


class _Alarm(BaseException):
    """What a handler of a signal raises."""


def test_a_process_may_have_to_be_waited_for_without_the_kernels_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on systems other than Linux."""
    import subprocess

    monkeypatch.delattr(os, "pidfd_open", raising=False)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, start_new_session=True) as running:
        try:
            assert not process.has_ended_within(running, 0.01)
        finally:
            process.end_group(running)
        assert process.has_ended_within(running, None)


@pytest.mark.parametrize("kernel_helps", [False, True])
def test_a_number_that_may_be_somebody_elses_is_not_signalled(
    monkeypatch: pytest.MonkeyPatch, *, kernel_helps: bool
) -> None:
    """That is, of a process that was reaped; its group is ended before that."""
    import subprocess

    if not kernel_helps:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    sent: list[int | None] = []
    with subprocess.Popen([sys.executable, "-c", "0"], start_new_session=True) as running:
        monkeypatch.setattr(os, "killpg", lambda *_: sent.append(running.returncode))
        assert process.has_ended_within(running, None)
        process.end_group(running)
        process.end_group(running)
    assert sent == [None if hasattr(os, "pidfd_open") else 0]


def test_a_server_that_nobody_asks_ends() -> None:
    """As does one whose run is gone in an untidy way; and the other way round."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        ours.close()
        assert server.serve(theirs) == 0
    assert server.serve(cast("socket.socket", _Gone())) == 0
    holder = cast("interpreter.Interpreters", SimpleNamespace(_control=_Gone()))
    assert interpreter.Interpreters._next_number(holder) is None


class _Gone:
    """A socket whose other end went before it had read all."""

    def recv(self, *_: object) -> object:
        raise ConnectionResetError

    recvmsg = recv


def test_the_first_path_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is looked at first once the test is to be loaded, and not before."""
    monkeypatch.chdir(tmp_path)
    seen: list[list[str]] = []

    def run(args: list[str], plugins: list[object]) -> int:
        assert (args, len(plugins)) == (["-q"], 1)
        seen.append(list(sys.path))
        return 0

    monkeypatch.setattr(pytest, "main", run)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(sys, "argv", [])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for keeps in (True, False):
            monkeypatch.setattr(sys, "path", ["there"])
            order = Order("x", "/x", ["-q"], ["pytest"], keeps_first_path=keeps)
            (tmp_path / "order").write_text(order.to_json(), encoding="utf-8")
            assert child.main(ours, str(tmp_path)) == 0
    assert seen == [[str(tmp_path), "there"], ["there"]]
    assert (sys.argv, os.environ[VARIABLE]) == (["pytest"], str(tmp_path))


def test_a_test_may_do_what_it_likes_with_the_file_that_is_told_to(tmp_path: Path) -> None:
    """It may close it, and have another one with its number; each line comes whole."""
    plugin = child.IsolatedTest(
        Order("x", "/x", [], [], keeps_first_path=True),
        tmp_path / "answer",
        cast("socket.socket", None),
    )
    plugin.tell(found=1)
    number = plugin._answer._descriptor
    os.close(number)
    plugin.tell(found=2)
    again = plugin._answer._descriptor
    with (tmp_path / "other").open("wb") as other:
        os.dup2(other.fileno(), again)
        try:
            plugin.tell(found=3)
        finally:
            os.close(again)
    os.close(plugin._answer._descriptor)
    assert (tmp_path / "other").read_bytes() == b""
    lines = (tmp_path / "answer").read_text(encoding="utf-8").splitlines()
    assert [json.loads(one) for one in lines] == [{"found": 1}, {"found": 2}, {"found": 3}]


def test_what_a_test_has_forked_does_not_tell_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come to the end of pytest before the test's own process."""
    answer = tmp_path / "answer"
    plugin = child.IsolatedTest(
        Order("x", "/x", [], [], keeps_first_path=True), answer, cast("socket.socket", None)
    )
    ends: list[bool] = [
        interpreter._tells_its_end(answer),
        interpreter._tells_its_end(tmp_path / "0"),
    ]
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: 1)
        plugin.pytest_unconfigure()
    ends.append(interpreter._tells_its_end(answer))
    plugin.tell(found=1)
    ends.append(interpreter._tells_its_end(answer))
    plugin.pytest_unconfigure()
    ends.append(interpreter._tells_its_end(answer))
    os.close(plugin._answer._descriptor)
    assert ends == [False, False, False, False, True]
    assert interpreter._told(answer) == Told(found=1, done=True)
    assert interpreter._told(tmp_path / "none") == Told()


@pytest.mark.parametrize(
    ("alone", "there", "signalled"),
    [
        (False, {"killpg", "kill"}, ["killpg"]),
        (False, {"kill"}, ["kill"]),
        (False, set(), []),
        (True, {"killpg", "kill"}, ["kill"]),
    ],
)
def test_who_is_signalled(
    monkeypatch: pytest.MonkeyPatch, there: set[str], signalled: list[str], *, alone: bool
) -> None:
    """A group, or the one process where there is no group yet; once."""
    sent: list[str] = []

    def sends(name: str) -> Callable[[int, int], None]:
        def send(pid: int, number: int) -> None:
            if name not in there:
                raise ProcessLookupError
            assert (pid, number) == (7, signal.SIGKILL)
            sent.append(name)

        return send

    for name in ("killpg", "kill"):
        monkeypatch.setattr(os, name, sends(name))
    interpreter._end(7, signal.SIGKILL, alone=alone)
    assert sent == signalled


def test_what_pytest_captured_in_comes_by_a_channel(tmp_path: Path) -> None:
    """But for what is the process's own output; nothing where it did not come so far."""
    (tmp_path / "output").write_text("said besides")
    (tmp_path / "captured").write_text("captured")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert interpreter._captured(ours, tmp_path / "output") == ("", "")
        with (tmp_path / "output").open() as own, (tmp_path / "captured").open() as captured:
            socket.send_fds(theirs, [b"."], [own.fileno(), captured.fileno()])
        assert interpreter._captured(ours, tmp_path / "output") == ("", "captured")


def test_what_contains_itself_is_told_as_text(tmp_path: Path) -> None:
    """That part of it, as deep as the value of a property is."""
    plugin = child.IsolatedTest(
        Order("x", "/x", [], [], keeps_first_path=True),
        tmp_path / "answer",
        cast("socket.socket", None),
    )
    around: list[object] = []
    around.append(around)
    properties = [("plain", 7), ("around", around)]
    plugin.tell(report={"outcome": "passed", "user_properties": properties}, is_phase=True)
    os.close(plugin._answer._descriptor)
    assert json.loads((tmp_path / "answer").read_text(encoding="utf-8")) == {
        "report": {
            "outcome": "passed",
            "user_properties": [["plain", 7], ["around", "[[...]]"]],
        },
        "is_phase": True,
    }


@pytest.mark.parametrize(
    ("name", "groups", "has_parent", "plain"),
    [
        ("a.py::test_x@red", True, True, "a.py::test_x"),
        ("a.py::test_x@red", False, True, "a.py::test_x@red"),
        ("a.py::test_x", True, True, "a.py::test_x"),
        ("b.py::test_x@red", True, True, "b.py::test_x@red"),
        ("a.py::test_x@red", True, False, "a.py::test_x@red"),
    ],
)
def test_the_name_of_a_test_that_is_in_a_group(
    name: str, plain: str, *, groups: bool, has_parent: bool
) -> None:
    """Workers of pytest-xdist put the group behind it, under ``--dist=loadgroup``."""
    item = SimpleNamespace(
        nodeid=name,
        name="test_x",
        parent=SimpleNamespace(nodeid="a.py") if has_parent else None,
        config=SimpleNamespace(option=SimpleNamespace(loadgroup=groups)),
    )
    assert _xdist.plain_nodeid(cast("pytest.Item", item)) == plain


def test_a_process_that_starts_others_again_and_again_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a few rounds; what is gone already is no error."""
    ended: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        ended.append((pid, number))
        raise ProcessLookupError

    monkeypatch.setattr(interpreter, "started_with", lambda *_: {7, 8})
    monkeypatch.setattr(os, "kill", kill)
    holder = SimpleNamespace(_folder=tmp_path, _server=SimpleNamespace(pid=8))
    interpreter.Interpreters._end_strays(cast("interpreter.Interpreters", holder), tmp_path)
    assert {*ended} == {(7, signal.SIGKILL)}
    assert len(ended) == interpreter._MOST_ROUNDS
