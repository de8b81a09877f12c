"""`watch` outside pytest, by readings that are played."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

import pytest_memreturn
from pytest_memreturn import InvalidSettingError, MemoryNotReturned, UnjudgedWarning, Watch, watch
from pytest_memreturn import _watch as module
from pytest_memreturn._errors import ReadingUnavailableError, UnreleasableError, UnwatchableError
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import KindUsage, Snapshot
from pytest_memreturn._watcher import World
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.remote.sender import Released


class Trees:
    """One process that reads what is put here, or raises it."""

    def __init__(self) -> None:
        self.sizes: list[int | Exception] = [50]

    def identify(self, pid: int) -> ProcessKey:
        """Whoever has it."""
        return ProcessKey(pid, 1)

    def read(
        self, root: ProcessKey, known: Iterable[ProcessKey] = (), *, layout: bool = False
    ) -> tuple[ProcessReading, ...]:
        """The next reading."""
        del known, layout
        size = self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]
        if isinstance(size, Exception):
            raise size
        kinds = {"heap": KindUsage(size * MIB, size * MIB)}
        snapshot = Snapshot(size * MIB, size * MIB, kinds=kinds)  # type: ignore[arg-type]
        return (ProcessReading(root, "serve", "serve --all", snapshot),)

    def motion(self, tree: Iterable[ProcessKey]) -> Motion:
        """Nothing moves."""
        del tree
        return Motion()

    def release(self, commands: Iterable[int]) -> Released:
        """Nobody can be asked."""
        return Released(reasons=dict.fromkeys(commands, "needs 3.14"), refused=set(commands))


@pytest.fixture
def trees(monkeypatch: pytest.MonkeyPatch) -> Trees:
    """What every watch here sees."""
    found = Trees()
    monkeypatch.setattr(module, "world", lambda: World(found, found))
    return found


def test_it_is_public() -> None:
    """By the names that the docs give."""
    assert pytest_memreturn.watch is watch
    assert pytest_memreturn.Watch is Watch
    assert pytest_memreturn.WatchedProcess.__name__ == "WatchedProcess"


def test_what_is_kept(trees: Trees) -> None:
    """The message names the process, and everything is there to read."""
    trees.sizes = [50, 90]
    with (
        pytest.raises(MemoryNotReturned) as caught,
        watch(41, "10 MiB", settle=0, label="server") as watched,
    ):
        pass
    lines = str(caught.value).splitlines()
    assert lines == [
        "server: kept 40.0 MiB (allowed 10.0 MiB, watch())",
        "  footprint  50.0 → end 90.0 MiB",
        (
            "  cause      heaps: 40.0 MiB is in those of malloc, live or free: from outside nobody "
            "can tell"
        ),
        "  where      heaps 40.0 · unexplained 0.0 (MiB)",
        "  process    pid 41 +40.0 MiB (50.0 → 90.0 MiB) serve: serve --all",
        (
            "  try        release=True, where both sides are CPython 3.14 or later: the processes "
            "collect and"
        ),
        "             trim, and what is live is told from what is free",
    ]
    assert watched.retained_bytes == 40 * MIB
    assert watched.readings == {"baseline": 50 * MIB, "end": 90 * MIB}
    assert watched.cause == "heaps"
    assert [one.grown_bytes for one in watched.processes] == [40 * MIB]
    assert watched.record.window == "watch"
    with pytest.raises(RuntimeError, match="another process was watched"):
        watched.explain(lambda: None)


def test_what_is_given_back(trees: Trees) -> None:
    """Nothing is raised."""
    trees.sizes = [50, 51]
    with watch(41, "2 MiB") as watched:
        pass
    assert (watched.verdict, watched.retained_bytes) == ("returned", MIB)


def test_a_block_that_raises(trees: Trees) -> None:
    """It is not judged, and its exception goes on."""
    watched = watch(41)
    with pytest.raises(ZeroDivisionError), watched:
        raise ZeroDivisionError
    assert watched.record.own_outcome == "raised"
    with pytest.raises(RuntimeError, match="the block was not judged"):
        _ = watched.processes


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnwatchableError("41 has ended"), "process 41 has ended"),
        (OSError("broken"), "OSError: broken"),
    ],
)
def test_a_reading_that_fails_at_the_end(trees: Trees, error: Exception, reason: str) -> None:
    """There is no verdict, and the warning says why."""
    trees.sizes = [50, error]
    watched = watch(41)
    with pytest.warns(UnjudgedWarning, match=f"unjudged: {reason}"), watched:
        pass
    assert watched.record.reason == reason


def test_a_reading_that_fails_at_the_beginning(trees: Trees) -> None:
    """The block runs, and is not judged."""
    trees.sizes = [OSError("broken"), 50]
    watched = watch(41)
    with pytest.warns(UnjudgedWarning, match="OSError: broken"), watched:
        pass
    assert watched.verdict == "unjudged"


def test_a_process_that_ends_before_the_block(trees: Trees) -> None:
    """It is an error, as it would have been at the call."""
    trees.sizes = [UnwatchableError("41 has ended")]
    with pytest.raises(InvalidSettingError, match=r"watch\(\): pid: 41 has ended"):
        watch(41).__enter__()


def test_a_process_that_cannot_release(trees: Trees) -> None:
    """It is an error that says what is needed."""
    with pytest.raises(InvalidSettingError, match=r"watch\(\): release: needs 3\.14"):
        watch(41, release=True).__enter__()
    assert UnreleasableError.slug == "reading-unavailable"


@pytest.mark.parametrize(
    ("pid", "problem"),
    [
        ("41", "pid: '41' is no process id: give a number, such as the .pid"),
        (True, "pid: True is no process id"),
        (None, "pid: None is no process id"),
        (1.0, "pid: 1.0 is no process id"),
        (0, "pid: 0 is no process id: those are above 0"),
        (-5, "pid: -5 is no process id"),
    ],
)
def test_what_is_no_pid(trees: Trees, pid: int, problem: str) -> None:
    """The error names it."""
    with pytest.raises(InvalidSettingError) as caught:
        watch(pid)
    assert problem in str(caught.value)


def test_this_process() -> None:
    """Other means are there for it."""
    with pytest.raises(InvalidSettingError, match=f"{os.getpid()} is the process that asks: judge"):
        watch(os.getpid())
    with pytest.raises(InvalidSettingError, match="is no process"):
        watch(2**70)


def test_values_that_cannot_be_right(trees: Trees) -> None:
    """The error names the keyword."""
    for keywords, words in (
        ({"max_retained": "ten"}, "max_retained: 'ten' is not a size"),
        ({"settle": -1}, "settle: -1 is negative"),
        ({"release": 1}, "release: 1 is not True or False"),
    ):
        with pytest.raises(InvalidSettingError) as caught:
            watch(41, **keywords)
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnwatchableError("41 has ended"), "41 has ended"),
        (ReadingUnavailableError("cannot read status"), "cannot read status"),
        (OverflowError("too large"), "41 is no process id"),
    ],
)
def test_who_cannot_be_identified(
    trees: Trees, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    """The error names what asked for it, whatever the reason."""

    def fail(_: int) -> ProcessKey:
        raise error

    monkeypatch.setattr(trees, "identify", fail)
    with pytest.raises(InvalidSettingError, match=rf"watch\(\): pid: {words}"):
        watch(41)
