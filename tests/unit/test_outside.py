"""What is new outside the process, whichever way it is found."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from types import SimpleNamespace

import psutil
import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment
from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes import outside
from pytest_memreturn.probes.outside import LinuxOutside, PortableOutside

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A program that is up, and ends with the test."""
    code = "import sys; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_sums_and_json() -> None:
    """Children, what counts of segments, and counted accounts are the footprint."""
    found = Outside(
        (ChildProcess(1, "a", "a b", 5),),
        (Segment("shm", "x", 100, 40, "me"),),
        {"pool": 300},
        {"seen": 9000},
    )
    assert (found.children_bytes, found.segments_bytes, found.footprint_bytes) == (5, 40, 345)
    assert json.loads(json.dumps(dataclasses.asdict(found)))["segments"][0]["owner"] == "me"


@linux_only
def test_a_segment_left_behind_is_found() -> None:
    """Closed and not unlinked, it is in nobody's RSS."""
    probe = LinuxOutside()
    state = probe.begin()
    assert probe.since(state, peak_growth_bytes=0) == NOTHING_OUTSIDE
    segment = SharedMemory(create=True, size=MIB)
    try:
        assert segment.buf is not None
        segment.buf[:] = b"x" * MIB
        segment.close()
        (found,) = probe.since(state, peak_growth_bytes=2 * MIB).segments
        assert (found.kind, found.counted_bytes) == ("shm", MIB)
    finally:
        segment.unlink()


@linux_only
@pytest.mark.parametrize("which", [LinuxOutside, PortableOutside])
def test_a_child_is_new_once(
    which: type[LinuxOutside | PortableOutside],
    child: subprocess.Popen[bytes],
) -> None:
    """One that was there at the beginning is none of the window's."""
    probe = which()
    state = probe.begin()
    assert probe.since(state, peak_growth_bytes=0) == NOTHING_OUTSIDE
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as new:
        (found,) = probe.since(state, peak_growth_bytes=0).children
    assert found.pid == new.pid
    assert found.footprint_bytes > 0
    assert probe.since(state, peak_growth_bytes=0) == NOTHING_OUTSIDE


@pytest.mark.parametrize(
    ("count", "expected"), [(None, False), ("1", False), ("2", True), ("x", False)]
)
def test_sibling_workers_are_pytest_xdist_s(
    count: str | None, monkeypatch: pytest.MonkeyPatch, *, expected: bool
) -> None:
    """By the variable that it sets in its workers."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    if count is not None:
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", count)
    assert outside._has_sibling_workers() is expected


def test_helpers_are_known_by_loaded_modules_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in their place, nothing is imported, and nothing fails."""
    tracker = SimpleNamespace(_resource_tracker=SimpleNamespace(_pid=7))
    monkeypatch.setitem(sys.modules, "multiprocessing.resource_tracker", tracker)
    server = SimpleNamespace(_forkserver=SimpleNamespace(_forkserver_pid=None))
    monkeypatch.setitem(sys.modules, "multiprocessing.forkserver", server)
    assert outside.helper_pids() == {7}
    monkeypatch.delitem(sys.modules, "multiprocessing.resource_tracker")
    assert outside.helper_pids() == set()
    assert "multiprocessing.resource_tracker" not in sys.modules


def test_a_long_command_is_cut() -> None:
    """At 200 characters, of which the last says so."""
    assert outside.command_line(["a", "b c"]) == "a 'b c'"
    cut = outside.command_line(["x" * 300])
    assert (len(cut), cut[-2:]) == (200, "x…")
    assert outside.command_line(["x" * 200]) == "x" * 200


def test_no_helper_counts_for_psutil_either(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process is left out whoever looks."""
    monkeypatch.setattr(outside, "helper_pids", lambda: {child.pid})
    found = PortableOutside().since(frozenset(), peak_growth_bytes=0).children
    assert child.pid not in [one.pid for one in found]


def test_what_psutil_cannot_read(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resident size serves; a child that ended is none; one that nobody can read no answer."""
    del child

    def refused(_process: psutil.Process) -> None:
        raise psutil.AccessDenied

    probe = PortableOutside()
    monkeypatch.setattr(psutil.Process, "memory_full_info", refused)
    (found,) = probe.since(frozenset(), peak_growth_bytes=0).children
    assert found.footprint_bytes > 0
    monkeypatch.setattr(psutil.Process, "memory_info", refused)
    with pytest.raises(ReadingUnavailableError, match=r"^psutil cannot read the child process "):
        probe.since(frozenset(), peak_growth_bytes=0)

    def gone(_process: psutil.Process) -> None:
        raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(psutil.Process, "memory_info", gone)
    assert probe.since(frozenset(), peak_growth_bytes=0) == NOTHING_OUTSIDE
    monkeypatch.setattr(psutil.Process, "status", lambda _process: psutil.STATUS_ZOMBIE)
    assert probe.since(frozenset(), peak_growth_bytes=0) == NOTHING_OUTSIDE
    monkeypatch.setattr(psutil.Process, "children", lambda *_args, **_keywords: refused(_args[0]))
    with pytest.raises(ReadingUnavailableError, match=r"^psutil cannot list the children of "):
        probe.begin()
