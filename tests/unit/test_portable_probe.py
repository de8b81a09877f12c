"""Readings through psutil alone, with a psutil that plays each platform."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from dataclasses import dataclass, field

import psutil
import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn._snapshot import Counters, Peak, Snapshot
from pytest_memreturn.probes import memory_probe, portable
from pytest_memreturn.probes.linux import LinuxProbe
from pytest_memreturn.probes.portable import PortableProbe

# What psutil's readings hold, as far as it differs from platform to platform.
Linux = namedtuple("Linux", ["rss", "vms", "shared"])  # noqa: PYI024 - as psutil gives it
MacOS = namedtuple("MacOS", ["rss", "vms", "pfaults"])  # noqa: PYI024
Windows = namedtuple("Windows", ["rss", "vms", "peak_wset", "private"])  # noqa: PYI024
Full = namedtuple("Full", ["rss", "uss"])  # noqa: PYI024


@dataclass
class Machine:
    """A process on some platform, as psutil and the system see it."""

    memory: tuple[int, ...] = Linux(80 * MIB, 500 * MIB, 30 * MIB)
    unique: int = 0
    lifetime_peak: int = 0
    problems: list[Exception] = field(default_factory=list)
    pid: int = field(default_factory=os.getpid)

    def memory_info(self) -> tuple[int, ...]:
        """The cheap reading."""
        for problem in self.problems:
            raise problem
        return self.memory

    def memory_full_info(self) -> Full:
        """The dear reading."""
        for problem in self.problems:
            raise problem
        return Full(self.memory[0], self.unique)

    def getrusage(self, who: int) -> Machine:
        """What the system counts for a process over its life."""
        assert who == 0
        return self

    @property
    def ru_maxrss(self) -> int:
        """The highest RSS of its life, in the system's own unit."""
        return self.lifetime_peak


def on(machine: Machine, platform: str, monkeypatch: pytest.MonkeyPatch) -> PortableProbe:
    """A probe on that machine."""
    monkeypatch.setattr(psutil, "Process", lambda: machine)
    monkeypatch.setattr(sys, "platform", platform)
    if platform != "win32":
        import resource

        monkeypatch.setattr(resource, "getrusage", machine.getrusage)
    return PortableProbe()


@pytest.mark.parametrize(
    ("platform", "machine", "footprint_bytes"),
    [
        pytest.param("linux", Machine(), 50 * MIB, id="without pages shared with files"),
        pytest.param(
            "win32",
            Machine(Windows(80 * MIB, 90 * MIB, 100 * MIB, 60 * MIB)),
            60 * MIB,
            id="private",
        ),
        pytest.param(
            "darwin", Machine(MacOS(80 * MIB, 5000 * MIB, 7), 40 * MIB), 40 * MIB, id="unique set"
        ),
        pytest.param(
            "freebsd14",
            Machine(MacOS(80 * MIB, 90 * MIB, 7), 30 * MIB),
            30 * MIB,
            id="another unix",
        ),
    ],
)
def test_the_footprint_by_platform(
    platform: str, machine: Machine, footprint_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each platform's own figure for memory that only this process keeps."""
    probe = on(machine, platform, monkeypatch)
    assert probe.counters() == Counters(footprint_bytes, 80 * MIB, error_bytes=0)
    assert probe.exact() == probe.counters()
    for baseline in (False, True):
        capture = probe.capture(baseline=baseline)
        assert capture.snapshot() == Snapshot(footprint_bytes, 80 * MIB)
        assert capture.footprint_bytes() == footprint_bytes
        assert capture.lazy_free_bytes() == 0


def test_a_capture_keeps_what_it_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not follow the process."""
    machine = Machine()
    capture = on(machine, "linux", monkeypatch).capture()
    machine.memory = Linux(1, 1, 0)
    assert capture.footprint_bytes() == 50 * MIB


@pytest.mark.parametrize(
    ("platform", "machine", "peak_bytes"),
    [
        ("linux", Machine(lifetime_peak=200 * KIB), 200 * MIB),
        ("darwin", Machine(MacOS(80 * MIB, 1, 1), lifetime_peak=200 * MIB), 200 * MIB),
        ("freebsd14", Machine(MacOS(80 * MIB, 1, 1), lifetime_peak=200 * KIB), 200 * MIB),
    ],
)
def test_the_peak_by_platform(
    platform: str, machine: Machine, peak_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lifetime peak, which counts bytes on one platform and kilobytes on others."""
    probe = on(machine, platform, monkeypatch)
    token = probe.open_peak()
    machine.lifetime_peak *= 2
    assert probe.close_peak(token) == Peak(2 * peak_bytes, "process")


def test_the_peak_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak of the working set."""
    machine = Machine(Windows(80 * MIB, 90 * MIB, 100 * MIB, 60 * MIB))
    probe = on(machine, "win32", monkeypatch)
    token = probe.open_peak()
    machine.memory = Windows(80 * MIB, 90 * MIB, 300 * MIB, 60 * MIB)
    assert probe.close_peak(token) == Peak(300 * MIB, "process")


def test_a_peak_below_an_older_one_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No platform but Linux resets its mark, so that only the reading at the end is certain."""
    probe = on(Machine(lifetime_peak=900 * KIB), "linux", monkeypatch)
    assert probe.close_peak(probe.open_peak()) == Peak(80 * MIB, "at-least")


@pytest.mark.parametrize("problem", [psutil.AccessDenied(7), OSError("gone")])
@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_what_psutil_cannot_read(
    platform: str, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says whose reading failed, and holds psutil's own words."""
    probe = on(Machine(problems=[problem]), platform, monkeypatch)
    for reading in (probe.counters, probe.exact, probe.capture):
        with pytest.raises(ReadingUnavailableError) as caught:
            reading()
        assert str(caught.value) == f"psutil cannot read this process's memory: {problem}"
        assert caught.value.__cause__ is problem


def test_where_psutil_finds_nothing_there_is_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Linux without procfs."""

    def nothing() -> None:
        raise psutil.NoSuchProcess(7)

    monkeypatch.setattr(psutil, "Process", nothing)
    with pytest.raises(ReadingUnavailableError, match=r"^psutil cannot read this process's memory"):
        PortableProbe()


def test_a_peak_that_psutil_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the peak is psutil's, too."""
    probe = on(Machine(problems=[psutil.NoSuchProcess(7)]), "win32", monkeypatch)
    with pytest.raises(ReadingUnavailableError, match="psutil cannot read"):
        probe.open_peak()


@pytest.mark.parametrize(
    ("name", "readable", "found"),
    [
        ("linux", True, "linux"),
        ("linux", False, "linux"),
        ("portable", True, "portable"),
        ("portable", False, "portable"),
        ("auto", True, "linux"),
        ("auto", False, "portable"),
    ],
)
def test_a_probe_is_had_by_its_name(
    name: str, *, readable: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``auto`` is the finest that works here; a name that was asked for is had in any case."""
    monkeypatch.setattr("os.access", lambda _path, _mode: readable)
    probe = memory_probe(name)
    assert probe.name == found
    assert type(probe) is {"linux": LinuxProbe, "portable": PortableProbe}[found]


def test_the_linux_probe_is_had_on_linux_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for elsewhere, it says so, and is not replaced by another behind the user's back."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ReadingUnavailableError, match="the linux probe cannot read darwin"):
        memory_probe("linux")


def test_every_file_must_be_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is missing, as the rollup before Linux 4.14, and the portable probe is used."""
    monkeypatch.setattr("os.access", lambda path, _mode: not path.endswith("rollup"))
    assert memory_probe("auto").name == "portable"


def test_a_forked_child_reads_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is looked up again where the probe finds itself in another one."""
    probe = PortableProbe()
    before = probe._process
    monkeypatch.setattr(portable, "_GETPID", lambda: before.pid + 1)
    assert probe._this_process() is not before


def test_nothing_portable_bounds_what_has_changed() -> None:
    """So that each window has readings of its own."""
    assert PortableProbe().activity() is None
