"""Inner pytest runs with the doors closed and, unless a test says otherwise, scripted readings."""

from __future__ import annotations

import gc
import json
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import pytest_memreturn

# Loaded here so that an inner run in this process need not load it afresh each time.
import pytest_memreturn._measure
import pytest_memreturn.testing

Run: TypeAlias = Callable[..., pytest.RunResult]

# A test's name says what memory does while it runs, in MiB.
_SCRIPTED = '''
import re
import pytest
from pytest_memreturn.testing import Script, play

MIB = 1024 * 1024
BASE, PEAK = 50 * MIB, 150 * MIB

def script_for(name):
    """keeps_N for ever; holds_N until a trim; cycles_N until gc; unreadable; or gives back all."""
    found = re.search("(keeps|holds|cycles)_([0-9]+)", name)
    if "unreadable" in name:
        return Script(BASE, peak_rss_bytes=PEAK, unreadable="end")
    if found is None:
        return Script(BASE, peak_rss_bytes=PEAK)
    high = BASE + int(found[2]) * MIB
    return {
        "keeps": Script(BASE, high, peak_rss_bytes=PEAK),
        "holds": Script(BASE, high, trim=BASE, peak_rss_bytes=PEAK),
        "cycles": Script(BASE, high, collect=BASE, peak_rss_bytes=PEAK),
    }[found[1]]

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    play(item.config, [script_for(item.name)])
'''


@pytest.fixture(autouse=True)
def closed_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inner run sees this plugin, the neighbours it names, and a terminal of known width."""
    package = pytest_memreturn.__file__
    assert package is not None
    # A child process starts in another folder, where a relative path would lead nowhere.
    monkeypatch.setenv("PYTHONPATH", str(Path(package).parents[1]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_memreturn.plugin")
    monkeypatch.setenv("COLUMNS", "100")
    # CI lengthens pytest's short summary, and a worker's name tells who runs the outer tests.
    for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def quick_collections() -> Iterator[None]:
    """Leave the outer run's objects out of the collections that pytest ends every inner run with.

    Up to pytest 8.4 there are five of them, which took two thirds of the time of this folder.
    """
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def scripted(pytester: pytest.Pytester) -> Path:
    """The project folder, with a ``conftest.py`` that plays readings by the tests' names."""
    pytester.makeconftest(_SCRIPTED)
    return pytester.path


@pytest.fixture
def run(pytester: pytest.Pytester, scripted: Path) -> Run:
    """Run the project in this process with scripted readings, and write ``report.json``."""

    def run(*args: str) -> pytest.RunResult:
        with warnings.catch_warnings():
            # As in a process of its own: the outer run turns warnings into errors.
            warnings.resetwarnings()
            return pytester.runpytest_inprocess("--memreturn-report=report.json", *args)

    return run


@pytest.fixture
def records(pytester: pytest.Pytester) -> Callable[[], Mapping[str, dict[str, Any]]]:
    """The records in ``report.json``, by the last part of the node id and the block's label."""

    def records() -> Mapping[str, dict[str, Any]]:
        report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
        found = {}
        for one in report["tests"]:
            name = one["nodeid"].rpartition("::")[2]
            found[f"{name} {one['label']}" if one["label"] else name] = one
        assert len(found) == len(report["tests"])
        return found

    return records


@pytest.fixture
def verdicts(
    records: Callable[[], Mapping[str, dict[str, Any]]],
) -> Callable[[], Mapping[str, str]]:
    """The verdicts in ``report.json``, by the last part of the node id."""
    return lambda: {name: one["verdict"] for name, one in records().items()}


@pytest.fixture
def failures() -> Callable[[pytest.RunResult], str]:
    """What stands between the headings FAILURES (or ERRORS) and the one after it."""

    def failures(result: pytest.RunResult) -> str:
        lines = result.outlines
        start = next(
            number
            for number, line in enumerate(lines)
            if line.strip("= ") in {"FAILURES", "ERRORS"}
        )
        end = next(
            number for number, line in enumerate(lines) if number > start and line.startswith("==")
        )
        return "\n".join(lines[start + 1 : end])

    return failures


@pytest.fixture
def text() -> Callable[[str], str]:
    """Dedent what a test expects to see."""
    return lambda block: textwrap.dedent(block).strip("\n")


# A process whose memory is what tests say: live bytes of two allocators, mappings of nobody's, and
# free memory that a trim gives back. The headcount finds what came alive.
_TOLD_CONFTEST = """
import dataclasses
import pytest
import told
from pytest_memreturn._explanation import Survivors, SurvivorType
from pytest_memreturn._instruments import Examiner, Headcount, Instruments
from pytest_memreturn._release import Releaser
from pytest_memreturn._session import INSTRUMENTS
from pytest_memreturn._snapshot import Counters, KindUsage, Peak, Snapshot
from pytest_memreturn.testing import AllocatorStatistics
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn import Allocator

BASE = 50 * 2**20

class Captured:
    def __init__(self, read): self.read = read
    def lazy_free_bytes(self): return 0
    def footprint_bytes(self): return self.read.footprint_bytes
    def snapshot(self): return self.read

class Probe:
    name = "told"
    def counters(self):
        if told.unreadable:
            raise ReadingUnavailableError("the process is behind a curtain")
        whole = BASE + told.python + told.malloc + told.mapped + told.free + told.garbage
        return Counters(whole, whole, told.error)
    def exact(self): return dataclasses.replace(self.counters(), error_bytes=0)
    def activity(self): return None
    def capture(self, *, baseline=False):
        whole = self.counters().footprint_bytes
        held = told.malloc + told.free
        kinds = {"heap": KindUsage(held, held), "anonymous": KindUsage(whole - held, whole - held)}
        return Captured(Snapshot(whole, whole, kinds=kinds))
    def open_peak(self): return 0
    def close_peak(self, token): return Peak(self.counters().rss_bytes, "exact")

class Python(Allocator):
    name = "python"
    def statistics(self):
        live = told.python + told.garbage
        return AllocatorStatistics("python", live, BASE // 2 + live)

class Malloc(Allocator):
    name = "malloc"
    def statistics(self):
        return AllocatorStatistics(
            "malloc", told.malloc, told.malloc + told.free, live_by_kind={"heap": told.malloc}
        )

class Counted(Headcount):
    def begin(self, allocators):
        self.malloc = told.objects
        told.mapped += told.counting
    def end(self, allocators, least_count):
        if told.nobody_looks == "fails":
            raise RuntimeError("no time")
        if told.nobody_looks:
            return Survivors()
        came = told.objects - self.malloc
        return Survivors((SurvivorType("app.Row", 200, 99),), came)

class Looks(Examiner):
    def headcount(self): return Counted()

def collect():
    told.collections += 1
    told.garbage = 0

def trim():
    told.free = 0

RELEASER = Releaser(
    collect, collect, lambda: None, lambda: 0, lambda: 0, {"malloc": trim}, lambda: None
)

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    found = Instruments(
        Probe(), (Python(), Malloc()), releaser=RELEASER, examiner=Looks(), clock=lambda: 0.0,
        sleep=lambda _: None,
    )
    config.stash[INSTRUMENTS] = lambda: found
"""
_TOLD = """
python = malloc = mapped = free = garbage = objects = error = collections = counting = 0
unreadable = nobody_looks = False
"""


@pytest.fixture
def told_process(
    pytester: pytest.Pytester, scripted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose memory is what the tests in it say, by a module ``told``."""
    del scripted  # its file comes first, and is replaced
    pytester.makeconftest(_TOLD_CONFTEST)
    pytester.makepyfile(told=_TOLD)
    monkeypatch.syspath_prepend(pytester.path)


@pytest.fixture
def app(pytester: pytest.Pytester) -> Callable[[str], None]:
    """Write the tests of such a process."""

    def app(source: str) -> None:
        path = pytester.makepyfile(test_app=source)
        head = "import pytest, told\nmemory = pytest.mark.returns_memory\n"
        path.write_text(head + path.read_text("utf-8"), encoding="utf-8")

    return app
