"""What is looked at by doctor: every finding, and what becomes of a look that fails."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pytest_memreturn._checkup import Checkup, Finding, Noise
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._instruments import Instruments
from pytest_memreturn._outside import Outside
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn._snapshot import (
    Activity,
    AllocatorStatistics,
    Counters,
    MappedRange,
    Peak,
    PeakQuality,
    Snapshot,
)
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.doctor import allocators, examination, explaining, readings, trials
from pytest_memreturn.doctor import machine as of_machine
from pytest_memreturn.explain import heap_walk
from pytest_memreturn.probes import machine, own_memory
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.testing import Script, ScriptedProbe

BASE = 50 * MIB


class Memory:
    """A memory probe that reads what a test says."""

    def __init__(
        self,
        name: str = "linux",
        *,
        error_bytes: int = 0,
        peak: PeakQuality = "exact",
        activity: Activity | None = Activity(0, 0),  # noqa: B008 - frozen
        ranges: tuple[MappedRange, ...] = (MappedRange(0, 4096, "heap", 4096),),
    ) -> None:
        self.name = name
        self._counters = Counters(BASE, BASE, error_bytes)
        self._peak = Peak(BASE, peak)
        self._activity = activity
        self._snapshot = Snapshot(BASE, BASE, ranges=ranges)

    def counters(self) -> Counters:
        """What a test says."""
        return self._counters

    def activity(self) -> Activity | None:
        """What a test says."""
        return self._activity

    def exact(self) -> Counters:
        """The same."""
        return self._counters

    def capture(self, *, baseline: bool = False) -> Any:  # noqa: ANN401 - as much as is asked
        """A reading with these ranges."""
        del baseline
        return SimpleNamespace(snapshot=lambda: self._snapshot)

    def open_peak(self) -> int:
        """Any token."""
        return 0

    def close_peak(self, token: int) -> Peak:
        """What a test says."""
        del token
        return self._peak


class Pool(Allocator):
    """An allocator that says what a test says."""

    def __init__(
        self,
        name: str,
        said: AllocatorStatistics | Exception | None = None,
        why: str | None = None,
    ) -> None:
        self.name = name
        self._said = said
        self._why = why

    def statistics(self) -> AllocatorStatistics | None:
        """What a test says."""
        if isinstance(self._said, Exception):
            raise self._said
        return self._said

    def why_unavailable(self) -> str | None:
        """What a test says."""
        return self._why


def only(findings: Iterable[Finding]) -> Finding:
    """The one finding there is."""
    (found,) = findings
    return found


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    """The findings by their names."""
    return {one.name: one for one in findings}


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """A Linux on which these files cannot be read."""

    def linux(problems: dict[str, str]) -> None:
        monkeypatch.setattr(machine, "is_linux", lambda: True)
        monkeypatch.setattr(
            machine, "unreadable", lambda paths: {k: v for k, v in problems.items() if k in paths}
        )

    return linux


def test_a_linux_that_shows_everything(linux: Callable[[dict[str, str]], None]) -> None:
    """Nothing is less than it could be."""
    linux({})
    instruments = Instruments(Memory())
    looks = (
        readings.probe,
        readings.footprint,
        readings.peak,
        readings.layout,
        readings.outside,
        readings.economy,
    )
    found = [one for look in looks for one in look(instruments)]
    assert {one.state for one in found} == {"good"}
    assert [one.name for one in found] == [
        *("probe", "footprint", "peak", "layout", "outside", "economy", "settling"),
    ]


def test_another_probe_is_named() -> None:
    """That of a test double, for one."""
    assert only(readings.probe(Instruments(Memory("scripted")))).text == "scripted"


def test_procfs_is_hidden(linux: Callable[[dict[str, str]], None]) -> None:
    """The portable probe serves, and the file in the way is named."""
    linux({"/proc/self/smaps": "Permission denied"})
    found = only(readings.probe(Instruments(Memory("portable"))))
    assert found.state == "limited"
    assert "since procfs cannot be read (/proc/self/smaps: Permission denied)" in found.text
    assert found.remedy is not None
    assert "mount" in found.remedy


def test_the_portable_probe_was_asked_for(linux: Callable[[dict[str, str]], None]) -> None:
    """Then the way out is not to ask for it."""
    linux({})
    found = only(readings.probe(Instruments(Memory("portable"))))
    assert "as it was asked for" in found.text
    assert found.remedy == "memreturn_probe = auto"


def test_no_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere nothing finer is to be had."""
    monkeypatch.setattr(machine, "is_linux", lambda: False)
    found = only(readings.probe(Instruments(Memory("portable"))))
    assert "since this is no Linux" in found.text
    assert found.remedy == "run the tests on Linux for the rest"


def test_what_the_portable_probe_lacks() -> None:
    """Each of them with the same way out."""
    memory = Memory("portable", peak="process", activity=None, ranges=())
    instruments = Instruments(memory)
    for look in (readings.peak, readings.layout, readings.outside):
        found = only(look(instruments))
        assert (found.state, found.remedy) == ("limited", readings.LINUX_PROBE)
    economy, settling = readings.economy(instruments)
    assert (economy.state, economy.remedy) == ("limited", readings.LINUX_PROBE)
    assert settling.state == "good"


def test_counters_that_are_off() -> None:
    """As exact, and dearer: the verdict is taken from the page tables."""
    found = only(readings.footprint(Instruments(Memory(error_bytes=256 * KIB))))
    assert found.state == "limited"
    assert "off by 256.0 KiB" in found.text


def test_a_mark_that_cannot_be_reset() -> None:
    """Where procfs is mounted for reading only."""
    found = only(readings.peak(Instruments(Memory(peak="at-least"))))
    assert found.state == "limited"
    assert found.text.startswith("at-least: ")
    assert "/proc/self/clear_refs" in str(found.remedy)


def test_nobody_counts_what_is_freed_lazily(linux: Callable[[dict[str, str]], None]) -> None:
    """Each test costs more; and a thread's sleep cannot be seen everywhere."""
    linux({"/proc/self/syscall": "Operation not permitted"})
    memory = Memory(activity=Activity(0, None))
    economy, settling = readings.economy(Instruments(memory, motion=lambda: Motion(threads=3)))
    assert (economy.state, economy.remedy) == ("limited", "let the tests read /proc/vmstat")
    assert settling.state == "limited"
    assert settling.text.startswith("3 threads now; /proc/self/syscall: Operation not permitted")


def test_allocators() -> None:
    """Those that answer, those that serve and are silent, those that are not in use."""
    pools = (
        Pool("malloc", AllocatorStatistics("malloc", 3 * MIB, 4 * MIB)),
        Pool("pyarrow", AllocatorStatistics("pyarrow", MIB)),
        Pool("python", why="it exports no statistics"),
        Pool("torch"),
        Pool("cupy"),
        Pool("mine", OSError("gone")),
        Pool("quiet", AllocatorStatistics("quiet", 0, 0, is_silent=True)),
    )
    found = by_name(allocators.allocators(Instruments(Memory(), pools)))
    assert found["malloc"] == Finding(
        "allocators", "malloc", "answers: 3.0 MiB live of 4.0 MiB held"
    )
    assert found["pyarrow"].text == "answers: 1.0 MiB live"
    assert found["python"].state == "limited"
    assert found["python"].text == "serves and is silent: it exports no statistics"
    assert found["not in use"].text.startswith("torch, cupy: ")
    assert (found["mine"].state, found["mine"].text) == (
        "unjudged",
        "allocator mine: OSError: gone",
    )
    assert found["quiet"].state == "limited"
    assert "tracemalloc" in found["quiet"].text


def test_a_malloc_that_says_nothing() -> None:
    """That of musl, for one."""
    found = only(allocators.allocators(Instruments(Memory())))
    assert (found.name, found.state) == ("malloc", "limited")


@pytest.mark.parametrize(("has_trim", "state"), [(True, "good"), (False, "limited")])
def test_whether_malloc_can_be_trimmed(
    monkeypatch: pytest.MonkeyPatch, state: str, *, has_trim: bool
) -> None:
    """Where it cannot, the gate trim is no other."""
    monkeypatch.setattr(psutil, "heap_trim", lambda: None, raising=False)
    if not has_trim:
        monkeypatch.delattr(psutil, "heap_trim")
    assert only(allocators.trim()).state == state


FACTS: dict[str, Any] = {
    "kernel": "Linux 6.18.0",
    "libc": "glibc 2.36",
    "page_size": 4096,
    "huge_pages": "madvise",
    "variables": {},
    "versions": {"pytest": "9.0.0", "pytest-memreturn": None},
    "implementation": "cpython",
    "python": "3.13.0",
}


def test_the_machine() -> None:
    """What decides how memory behaves, each in words."""
    found = by_name(of_machine.system(FACTS))
    assert {one.state for one in found.values()} == {"good"}
    assert found["versions"].text == "pytest 9.0.0"
    assert found["huge pages"].text.startswith("madvise: only where")
    assert found["variables"].text == "none that tunes an allocator"
    other = {**FACTS, "libc": None, "huge_pages": None, "variables": {"LD_PRELOAD": "x.so"}}
    found = by_name(of_machine.system(other))
    assert found["libc"].state == "limited"
    assert found["libc"].text.startswith("not known, not glibc")
    assert found["huge pages"].text == "the kernel has no such setting"
    assert found["variables"].text == "LD_PRELOAD=x.so"


@pytest.mark.parametrize(
    ("free_threaded", "is_on", "words"),
    [
        (0, True, "with the GIL"),
        (1, True, "a free-threaded build with the GIL on"),
        (1, False, "a free-threaded build with the GIL off"),
    ],
)
def test_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, free_threaded: int, words: str, *, is_on: bool
) -> None:
    """Its lock, and the allocator it was told to take."""
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": free_threaded}.get)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: is_on, raising=False)
    monkeypatch.setitem(sys.modules, "tracemalloc", SimpleNamespace(is_tracing=lambda: False))
    found = only(of_machine.interpreter(FACTS))
    assert found.text == f"CPython 3.13.0, {words}, PYTHONMALLOC not set"


def test_tracemalloc_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it keeps is the process's."""
    monkeypatch.setitem(sys.modules, "tracemalloc", SimpleNamespace(is_tracing=lambda: True))
    asked = {**FACTS, "variables": {"PYTHONMALLOC": "malloc"}, "implementation": "pypy"}
    python, tracemalloc = of_machine.interpreter(asked)
    assert python.text.startswith("pypy 3.13.0")
    assert python.text.endswith("PYTHONMALLOC malloc")
    assert tracemalloc.state == "limited"


def test_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that were pushed out are not returned."""
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(8 * MIB, 4 * MIB, 0, 0))
    assert [one.text for one in of_machine.memory()] == [
        "8.0 MiB, 4.0 MiB of it available",
        "none",
    ]
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(8 * MIB, 4 * MIB, MIB, KIB))
    assert list(of_machine.memory())[1].text == (
        "1.0 MiB, 1.0 KiB of it in use: pages there count as retained"
    )


def played(*scripts: Script) -> Instruments:
    """Instruments that play these scripts, a window each, the last one for ever."""
    return ScriptedProbe(scripts).instruments()


def test_empty_windows() -> None:
    """How much is read where nothing happens, and what that costs."""
    ends = (BASE, BASE + 4096, BASE + 12288, BASE - 4096)
    found = trials.empty_windows(played(*(Script(BASE, end) for end in ends)), "call", 4)
    assert isinstance(found, Noise)
    assert dataclasses.astuple(found.retained_bytes) == (-4096, 0, 12288)
    finding = trials.noise_finding("a test", found)
    assert finding.state == "good"
    assert finding.text.startswith(
        "4 empty windows retained 0 B (median; least -4.0 KiB, most 12.0 KiB), and cost "
    )


def test_windows_that_are_noisy() -> None:
    """Something allocates beside the tests: an allowance has to let it pass."""
    found = trials.empty_windows(played(Script(BASE, BASE + MIB)), "block", 3)
    finding = trials.noise_finding("a block", found)
    assert finding.state == "limited"
    assert str(finding.remedy).startswith("allow no less than 1.0 MiB")


def test_windows_that_cannot_be_judged() -> None:
    """The reason is that of a test."""
    instruments = played(Script(BASE, unreadable="end"))
    found = trials.empty_windows(instruments, "call", 2)
    assert found == "the script has no reading at end"
    finding = trials.noise_finding("a test", found)
    assert (finding.state, finding.text) == ("unjudged", f"unjudged: {found}")
    assert {one.state for one in trials.known_amounts(instruments)} == {"unjudged"}


def test_known_amounts() -> None:
    """What was kept is read, and what was given back is not."""
    gone = Script(BASE, peak_rss_bytes=BASE + 8 * MIB)
    kept = Script(BASE, BASE + 8 * MIB)
    returned, held = trials.known_amounts(played(gone, kept))
    assert returned.state == "good"
    assert returned.text == "8.0 MiB given back were read as 0 B, with a peak of 8.0 MiB"
    # Scripted readings have no survivors, so that nobody can say who has it.
    assert held.state == "limited"
    assert "8.0 MiB kept were read as 8.0 MiB, cause unexplained" in held.text


def test_known_amounts_that_are_read_wrong() -> None:
    """Something else happened meanwhile, or an allocator does not give back."""
    stays = Script(BASE, BASE + 8 * MIB)
    little = Script(BASE, BASE + MIB)
    returned, held = trials.known_amounts(played(stays, little))
    assert (returned.state, held.state) == ("limited", "limited")
    assert "were read as 8.0 MiB" in returned.text
    assert held.text == "8.0 MiB kept were read as 1.0 MiB"


def test_a_cause_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's object is found."""
    judged = trials._judged(played(Script(BASE, BASE + 8 * MIB)), "call", lambda: None)
    record = dataclasses.replace(judged, cause="live-python")
    monkeypatch.setattr(trials, "_judged", lambda *_, **__: record)
    _, held = trials.known_amounts(Instruments(Memory()))
    assert held.state == "good"


def walk(*, proven: bool, heaps: int = 1) -> heap_walk.HeapWalk:
    """A walk through so many heaps."""
    chunks: Any = None
    heap: Any = None
    one = heap_walk.WalkedHeap(heap, chunks)
    return heap_walk.HeapWalk(
        (one,) * heaps, MIB, proven=proven, partial=False, reason=None if proven else "why not"
    )


@pytest.mark.parametrize(
    ("problem", "walked", "state", "text"),
    [
        ("Permission denied", None, "limited", "/proc/self/mem: Permission denied: "),
        (None, None, "limited", "none of glibc's malloc is in use"),
        (None, walk(proven=False), "limited", "inconclusive: why not"),
        (None, walk(proven=True), "good", "proven: 1.0 MiB live in 1 heap, as malloc says"),
        (None, walk(proven=True, heaps=2), "good", "proven: 1.0 MiB live in 2 heaps, as"),
    ],
)
def test_heaps(
    monkeypatch: pytest.MonkeyPatch,
    problem: str | None,
    walked: heap_walk.HeapWalk | None,
    state: str,
    text: str,
) -> None:
    """Whether they can be read, and whether what is found there is true."""
    monkeypatch.setattr(machine, "own_memory_problem", lambda: problem)
    monkeypatch.setattr(heap_walk, "walk_heaps", lambda: walked)
    found = only(explaining.heap_walk())
    assert found.state == state
    assert found.text.startswith(text)


def test_fresh_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts them, and what they can try."""
    monkeypatch.setattr(sys, "executable", "/bin/python")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/tmp")  # noqa: S108 - only named
    monkeypatch.setattr(explaining, "preloadable", lambda: {"jemalloc": "libjemalloc.so.2"})
    assert [one.text for one in explaining.reruns()] == [
        "by /bin/python, with files in /tmp",
        "jemalloc can be tried in place of malloc",
    ]


def test_no_fresh_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to start, nowhere to write, nothing to try."""
    monkeypatch.setattr(explaining, "preloadable", dict)
    monkeypatch.setattr(explaining, "has_glibc", lambda: True)
    monkeypatch.setattr(sys, "executable", "")
    reruns, remedies = explaining.reruns()
    assert (reruns.state, remedies.state) == ("limited", "optional")

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(explaining, "has_glibc", lambda: False)
    found = only(explaining.reruns())
    assert found.text == "no folder for temporary files: No usable temporary directory"


def test_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that the package names, whether it is there, and how to have it."""
    needed = [
        "psutil>=7.2",
        "memray; extra == 'memray'",
        "Jinja2>=3 ; extra == 'html'",
        "thing; extra == 'other'",
    ]

    def version(name: str) -> str:
        if name == "Jinja2":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(importlib.metadata, "requires", lambda _: needed)
    monkeypatch.setattr(importlib.metadata, "version", version)
    reports, *found = explaining.extras()
    assert reports.text.startswith("table, json")
    assert [(one.name, one.state) for one in found] == [
        ("memray", "good"),
        ("html", "optional"),
        ("other", "good"),
    ]
    assert found[1].remedy == "pip install pytest-memreturn[html]"


def test_extras_of_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what is needed."""

    def missing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    _, found = explaining.extras()
    assert found.state == "optional"
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: None)
    assert len(list(explaining.extras())) == 1


def examined(make: Callable[[], Instruments]) -> Checkup:
    """What is found with these instruments."""
    return examination.examine(make)


def test_an_examination() -> None:
    """Every topic, and the noise as numbers."""
    found = examined(lambda: played(Script(BASE)))
    topics = dict.fromkeys(one.topic for one in found.findings)
    assert list(topics) == [
        *("machine", "allocators", "readings", "noise", "explaining", "extras"),
    ]
    assert found.judges
    assert found.noise.keys() == {"call", "block"}
    assert found.environment["probe"] == "scripted"


def test_no_instruments() -> None:
    """Nothing can be judged; what is known all the same is said."""

    def none() -> Instruments:
        raise ReadingUnavailableError("psutil cannot read")

    found = examined(none)
    assert not found.judges
    assert (
        Finding("readings", "probe", "none: psutil cannot read", "unjudged", readings.MOUNT)
        in found.findings
    )
    assert found.findings[0].topic == "machine"
    assert found.noise == {}

    def wordless() -> Instruments:
        raise OSError

    assert "none: OSError" in {one.text for one in examined(wordless).findings}


class Hidden:
    """A folder of shared memory that cannot be looked into."""

    def begin(self) -> object:
        """It is not to be had."""
        raise ReadingUnavailableError("cannot read /dev/shm")

    def since(self, state: object, *, peak_growth_bytes: int) -> Outside:
        """Nobody comes this far."""
        del state, peak_growth_bytes
        raise AssertionError


def test_a_look_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a finding, and the next look is taken."""

    def broken(*_: object) -> list[Finding]:
        raise RuntimeError

    def told(*_: object) -> list[Finding]:
        raise RuntimeError("told")

    monkeypatch.setattr(of_machine, "memory", broken)
    monkeypatch.setattr(readings, "economy", told)
    instruments = dataclasses.replace(played(Script(BASE)), outside=Hidden())
    found = by_name(examined(lambda: instruments).findings)
    assert found["memory"].text == "could not be found out: RuntimeError"
    assert found["memory"].state == "limited"
    assert found["economy"].text == "could not be found out: RuntimeError: told"
    assert found["outside"].text == "could not be found out: cannot read /dev/shm"
    assert found["outside"].state == "unjudged"
    assert found["a test"].text == "unjudged: cannot read /dev/shm"
    assert not found.keys() & {"a block", "kept"}


def test_windows_that_are_unjudged_have_no_noise() -> None:
    """Their reason stands among the findings."""
    found = examined(lambda: played(Script(BASE, unreadable="end")))
    assert not found.judges
    assert found.noise == {}


def test_an_allocator_that_cannot_say_why() -> None:
    """The environment is told without it."""

    class Odd(Pool):
        def why_unavailable(self) -> str | None:
            """Not even that."""
            raise OSError("odd")

    instruments = dataclasses.replace(played(Script(BASE)), allocators=(Odd("odd"),))
    found = examined(lambda: instruments)
    assert found.environment["unavailable"] == {}
    assert by_name(found.findings)["odd"].state == "unjudged"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """With the system's own words; those that can are left out."""
    readable = tmp_path / "file"
    readable.touch()
    missing = tmp_path / "missing"
    assert machine.unreadable([str(readable), str(missing)]) == {
        str(missing): "No such file or directory"
    }


def test_the_machine_is_really_asked() -> None:
    """Memory there is everywhere."""
    found = machine.memory()
    assert found.total_bytes >= found.available_bytes > 0
    assert machine.is_linux() == (sys.platform == "linux")


@pytest.mark.parametrize("error", [None, OSError(13, "Permission denied")])
def test_own_memory(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
    """Whether the kernel lets this process read itself."""

    class Reader:
        def __init__(self, size: int) -> None:
            del size

        def __enter__(self) -> None:
            if error is not None:
                raise error

        def __exit__(self, *_: object) -> None:
            return

    monkeypatch.setattr(own_memory, "OwnMemory", Reader)
    assert machine.own_memory_problem() == (None if error is None else "Permission denied")
