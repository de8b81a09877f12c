"""Whose child processes are, and how they end."""

from __future__ import annotations

import multiprocessing
import sys
import types
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from pytest_memreturn._outside import ChildProcess, ProcessOwner
from pytest_memreturn.probes.pools import owners
from pytest_memreturn.report.owners import endings, in_words

if TYPE_CHECKING:
    import pytest

SPAWN = multiprocessing.get_context("spawn")


def test_processes_of_this_one() -> None:
    """A pool, an executor and a process by itself are told apart."""
    process = SPAWN.Process(target=abs, args=(1,))
    process.start()
    with SPAWN.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=SPAWN) as executor:
        assert executor.submit(abs, -1).result() == 1
        assert pool.apply(abs, (-1,)) == 1
        found = owners()
    of_process = found[process.pid or 0]
    process.join()
    process.close()
    assert of_process == "multiprocessing.Process"
    assert sorted(found.values()) == sorted(
        ["ProcessPoolExecutor", "multiprocessing.Pool", "multiprocessing.Process"]
    )


class Closed:
    """A process object that was closed, and says so."""

    name = "SpawnProcess-1"

    @property
    def pid(self) -> int:
        """Gone."""
        raise ValueError


def test_whatever_stands_in_place_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told, and nothing raised."""
    thread = types.SimpleNamespace(processes={5: None, "x": None})
    loky = types.SimpleNamespace(_threads_wakeups={thread.__class__: None})
    monkeypatch.setitem(sys.modules, "joblib.externals.loky.process_executor", loky)
    monkeypatch.setitem(sys.modules, "concurrent.futures.process", None)
    children = types.SimpleNamespace(_children={Closed()})
    monkeypatch.setitem(sys.modules, "multiprocessing.process", children)
    assert owners() == {}
    monkeypatch.setitem(sys.modules, "multiprocessing.process", None)
    workers = types.SimpleNamespace(_threads_wakeups=[thread])
    monkeypatch.setitem(sys.modules, "joblib.externals.loky.process_executor", workers)
    assert owners() == {5: "loky"}


def child(pid: int, owner: ProcessOwner | None) -> ChildProcess:
    """A child of so and so."""
    return ChildProcess(pid, "python", "python", 1, owner)


def test_endings() -> None:
    """For each owner how many there are and what to call; those with most come first."""
    children = [
        child(1, "multiprocessing.Process"),
        child(2, "ProcessPoolExecutor"),
        child(3, "ProcessPoolExecutor"),
        child(4, None),
    ]
    assert list(endings(children)) == [
        (
            "2 processes of a ProcessPoolExecutor still run: shut it down (leave its with block, "
            "or call .shutdown())"
        ),
        (
            "1 process of multiprocessing still runs: have each end, and .join() it; .terminate() "
            "where it does not"
        ),
    ]


def test_what_an_owner_is_called() -> None:
    """One of a newer report by its own name."""
    assert in_words("multiprocessing.Pool") == "a multiprocessing pool"
    assert in_words("something else") == "something else"
