"""Who is measured on the same work: no plugin, this one, and what else is used for the purpose."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.plan import Plan
from benchmarks.runs import PLUGIN, Run, place
from benchmarks.tables import Table

# Everything a subject does to a test stands in its file; the body is the same for all.
PARAMETRISED = """
import pytest
{imports}
{preamble}

{declaration}
@pytest.mark.parametrize("number", range({count}))
def test_work(number{fixture}):
    {body}
"""

# A marked function is no way to use psleak: its tests are methods that hand over a callable.
METHODS = """
import psleak
{imports}

def work():
    {body}

class TestWork(psleak.MemoryLeakTestCase):
    {declaration}

def execute(self):
    self.execute(work)

for number in range({count}):
    setattr(TestWork, f"test_work_{{number:05}}", execute)
"""

# What people write by hand, in the form in which it is found in many projects.
TRIM_FIXTURE = """
import ctypes, gc
import psutil

libc = ctypes.CDLL(None)
process = psutil.Process()

def resident():
    gc.collect()
    libc.malloc_trim(0)
    return process.memory_info().rss

@pytest.fixture
def returned():
    before = resident()
    yield
    assert resident() - before < 2 * 2**20
"""

TRACEMALLOC_FIXTURE = """
import gc, tracemalloc

@pytest.fixture
def returned():
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    yield
    gc.collect()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    assert sum(one.size_diff for one in after.compare_to(before, "filename")) < 2 * 2**20
"""


def why_missing(modules: Iterable[str]) -> str | None:
    """Which of these modules nobody can import here."""
    missing = [one for one in modules if importlib.util.find_spec(one) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@dataclass(frozen=True)
class Subject:
    """One way to run the same work."""

    name: str
    options: tuple[str, ...] = ()
    module: str = "pytest"
    template: str = PARAMETRISED
    preamble: str = ""
    # A mark over the test, or what stands in the class around it.
    declaration: str = ""
    fixture: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    checkout: Path | None = None

    def write(self, folder: Path, work: Work) -> Path:
        """A file of tests that do `work`."""
        text = self.template.format(
            imports="\n".join(f"import {one}" for one in work.modules),
            preamble="\n".join(one for one in (self.preamble, work.preamble) if one),
            declaration=self.declaration,
            fixture=self.fixture,
            count=work.count,
            body="\n    ".join(work.body),
        )
        stem = "".join(one if one.isalnum() else "_" for one in f"{self.name}_{work.count}")
        path = folder / f"test_{stem}.py"
        if not path.exists() or path.read_text("utf-8") != text:
            # A file that is newer than its bytecode would be compiled in every run.
            path.write_text(text, encoding="utf-8")
        return path


@dataclass(frozen=True)
class Work:
    """What each of so many tests does."""

    count: int
    body: Sequence[str] = ("pass",)
    modules: tuple[str, ...] = ()
    preamble: str = ""

    def run(self, subject: Subject, folder: Path) -> Run:
        """One run of these tests as `subject` would have them."""
        packages = place(folder, subject.checkout) if subject.checkout else place(folder)
        return packages.pytest(self._arguments(subject, folder), folder, subject.environment)

    def instructions(self, subject: Subject, folder: Path) -> int:
        """How many instructions one run of these tests takes."""
        return place(folder).instructions(self._arguments(subject, folder), folder)

    def _arguments(self, subject: Subject, folder: Path) -> tuple[str, ...]:
        return (*subject.options, subject.write(folder, self).name)


NOTHING = Subject("no plugin")
LOADED = Subject("pytest-memreturn, loaded", PLUGIN)
MARKED = Subject("pytest-memreturn, marked", PLUGIN, declaration="@pytest.mark.returns_memory")

# Neighbours a second apart, where whole runs are ten: the machine is about as fast for both.
EVERY_OTHER_MARKED = replace(
    MARKED,
    name="pytest-memreturn, every other test marked",
    declaration="",
    preamble="""
@pytest.fixture(autouse=True)
def every_other_marked(request, number):
    if number % 2:
        request.node.add_marker("returns_memory")
""",
)

MEMRAY = ("-p", "pytest_memray.plugin", "--memray")
PEERS = (
    Subject(
        "pytest-memray, limit_memory",
        MEMRAY,
        module="pytest_memray",
        declaration='@pytest.mark.limit_memory("1 GB")',
    ),
    Subject(
        "pytest-memray, limit_leaks",
        MEMRAY,
        module="pytest_memray",
        declaration='@pytest.mark.limit_leaks("1 GB")',
    ),
    Subject(
        "psleak",
        module="psleak",
        template=METHODS,
        declaration="pass",
        # It skips its tests without the first, and warns without the second.
        environment={"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"},
    ),
    Subject(
        "gc, malloc_trim and psutil by hand",
        module="psutil",
        preamble=TRIM_FIXTURE,
        fixture=", returned",
    ),
    Subject("tracemalloc by hand", preamble=TRACEMALLOC_FIXTURE, fixture=", returned"),
)


def marked(plan: Plan) -> list[Subject]:
    """The plugin on marked tests; with another checkout, that one's as well."""
    if plan.against is None:
        return [MARKED]
    other = replace(MARKED, name="the same, other checkout", checkout=plan.against)
    return [MARKED, other]


def peers(plan: Plan, table: Table) -> list[Subject]:
    """What is measured beside the plugin; `table` says of whom that could not be done."""
    found = []
    for peer in () if plan.alone else PEERS:
        reason = why_missing((peer.module,))
        if reason is None:
            found.append(peer)
        else:
            table.leave_out(peer.name, reason)
    return found
