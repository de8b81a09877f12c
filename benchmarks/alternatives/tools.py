"""How each tool is asked about a work-load, in the way that its own documentation has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.alternatives.cases import KIB, MIB, Case

PLUGIN = ("-p", "pytest_memreturn.plugin")
MEMRAY = ("-p", "pytest_memray.plugin", "--memray")

# What is put around the work stands in the file; the work is the same for all.
FUNCTION = """
import pytest
from work import {name}, prepare
{preamble}

prepare("{name}")

{declaration}
def test_work({fixture}):
    {name}({amount})
"""

# psleak calls a function again and again, so it is given one.
METHOD = """
import psleak
from work import {name}, prepare

prepare("{name}")

class TestWork(psleak.MemoryLeakTestCase):
    def test_work(self):
        self.execute({name}, {amount}{calls})
"""

# What people write by hand, in the two forms in which it is found most.
RSS = """
import psutil

process = psutil.Process()

@pytest.fixture
def returned():
    before = process.memory_info().rss
    yield
    grown = process.memory_info().rss - before
    if grown > {limit}:
        pytest.fail(f"ALARM: RSS grew by {{grown / 2**20:.1f}} MiB", pytrace=False)
"""

RSS_TRIMMED = """
import gc
import psutil

process = psutil.Process()

def resident():
    gc.collect()
    psutil.heap_trim()
    return process.memory_info().rss

@pytest.fixture
def returned():
    before = resident()
    yield
    grown = resident() - before
    if grown > {limit}:
        pytest.fail(f"ALARM: RSS grew by {{grown / 2**20:.1f}} MiB", pytrace=False)
"""

TRACEMALLOC = """
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
    grown = after.compare_to(before, "lineno")
    if sum(one.size_diff for one in grown) > {limit}:
        top = "\\n".join(str(one) for one in grown[:5])
        pytest.fail(f"ALARM: traced memory grew\\n{{top}}", pytrace=False)
"""

PYMPLER = """
import gc
from pympler import tracker

@pytest.fixture
def returned():
    watched = tracker.SummaryTracker()
    # The first two differences are those of the tracker itself.
    watched.diff(), watched.diff()
    gc.collect()
    yield
    gc.collect()
    grown = sorted(watched.diff(), key=lambda row: -row[2])
    if sum(size for _, _, size in grown) > {limit}:
        top = "\\n".join(f"{{name}} +{{more}}, {{size}} bytes" for name, more, size in grown[:5])
        pytest.fail(f"ALARM: objects grew\\n{{top}}", pytrace=False)
"""

OBJGRAPH = """
import gc
import objgraph

@pytest.fixture
def returned():
    gc.collect()
    objgraph.growth()
    yield
    gc.collect()
    grown = objgraph.growth(limit=5)
    if sum(more for _, _, more in grown) > 100:
        top = "\\n".join(f"{{name}} +{{more}}" for name, _, more in grown)
        pytest.fail(f"ALARM: objects grew in number\\n{{top}}", pytrace=False)
"""

# memray gives no verdicts. What somebody sees who looks at its report of leaks, and at its curve
# of the resident size, is taken for one where it is more than the limit.
# It waits before and after: memray reads the resident size every 10 ms, and the curve needs points.
PROFILED = """
import pathlib, time
import memray

@pytest.fixture
def returned(tmp_path):
    out = tmp_path / "out.bin"
    with memray.Tracker(out, native_traces=True, trace_python_allocators=True):
        time.sleep(0.1)
        yield
        time.sleep(0.1)
    reader = memray.FileReader(out)
    leaks = sorted(reader.get_leaked_allocation_records(), key=lambda one: -one.size)
    sizes = [one.rss for one in reader.get_memory_snapshots()]
    said = []
    if leaks and leaks[0].size > {limit}:
        said += [str(frame) for one in leaks[:5] for frame in one.hybrid_stack_trace()]
    # Nobody reads less than 2 MiB from a curve.
    if sizes[-1] - sizes[0] > max({limit}, 2 * 2**20):
        said.append("CURVE")
    if said:
        pytest.fail("ALARM: shown\\n" + "\\n".join(said), pytrace=False)
"""


@dataclass(frozen=True)
class Tool:
    """One way to have the work watched."""

    name: str
    title: str
    # What its output has if it raised the alarm, and nothing else went wrong.
    alarm: str
    module: str = "pytest"
    distribution: str = "pytest"
    options: tuple[str, ...] = ()
    template: str = FUNCTION
    preamble: str = ""
    fixture: str = ""
    declaration: Callable[[Case], str] = lambda _: ""
    # What its output has if it says whose the memory is; None: it never does.
    cause: Callable[[Case], str | None] = lambda _: None
    environment: Mapping[str, str] = field(default_factory=dict)
    # Made for tests: it fails them by itself, and nobody has to write a fixture.
    is_for_tests: bool = False

    def column(self) -> str:
        """What stands over its cells: of several ways to use one tool, what they differ in."""
        return self.title.rpartition(", ")[2]

    def text(self, case: Case) -> str:
        """The file of a test in which this tool watches the work."""
        calls = "".join(f", {name}={count}" for name, count in case.calls.items())
        return self.template.format(
            name=case.name,
            amount=case.call_bytes if self.template is METHOD else case.amount_bytes,
            calls=calls,
            preamble=self.preamble.format(limit=case.limit_bytes),
            declaration=self.declaration(case),
            fixture=self.fixture,
        )


def _our_cause(case: Case) -> str | None:
    return rf"^ *cause +{case.cause}:" if case.cause else None


def _size(size_bytes: int) -> str:
    return f"{size_bytes // MIB} MB" if size_bytes >= MIB else f"{size_bytes // KIB} KB"


def _marked(case: Case) -> str:
    return f"@pytest.mark.returns_memory({_quoted(case)})"


def _quoted(case: Case) -> str:
    # Where the limit of all the others is the default allowance, nobody writes it down.
    return "" if case.limit_bytes == 2 * MIB else f'"{case.limit_bytes // KIB} KiB"'


def _trimmed(case: Case) -> str:
    size = _quoted(case)
    return f"@pytest.mark.returns_memory({size + ', ' if size else ''}trim=True)"


# What a test costs without any of them.
NOTHING = Tool("nothing", "no tool", "ALARM")

TOOLS = (
    Tool(
        "memreturn",
        "pytest-memreturn",
        "MemoryNotReturned",
        "pytest_memreturn",
        "pytest-memreturn",
        PLUGIN,
        declaration=_marked,
        cause=_our_cause,
        is_for_tests=True,
    ),
    Tool(
        "memreturn-trim",
        "pytest-memreturn, `trim=True`",
        "MemoryNotReturned",
        "pytest_memreturn",
        "pytest-memreturn",
        PLUGIN,
        declaration=_trimmed,
        cause=_our_cause,
        is_for_tests=True,
    ),
    Tool(
        "memreturn-explain",
        "pytest-memreturn, `--memreturn-explain`",
        "MemoryNotReturned",
        "pytest_memreturn",
        "pytest-memreturn",
        (*PLUGIN, "-vv", "--memreturn-explain"),
        declaration=_marked,
        cause=_our_cause,
        is_for_tests=True,
    ),
    Tool(
        "limit-leaks",
        "pytest-memray, `limit_leaks`",
        "was allowed to leak",
        "pytest_memray",
        "pytest-memray",
        MEMRAY,
        declaration=lambda case: f'@pytest.mark.limit_leaks("{_size(case.limit_bytes)}")',
        is_for_tests=True,
    ),
    Tool(
        "limit-memory",
        "pytest-memray, `limit_memory`",
        "Test was limited to",
        "pytest_memray",
        "pytest-memray",
        MEMRAY,
        declaration=lambda case: (
            f'@pytest.mark.limit_memory("{_size(case.needs_bytes + case.limit_bytes)}")'
        ),
        is_for_tests=True,
    ),
    Tool(
        "memray",
        "memray",
        "ALARM",
        "memray",
        "memray",
        preamble=PROFILED,
        fixture="returned",
    ),
    Tool(
        "psleak",
        "psleak",
        r"psleak\.\w+Error",
        "psleak",
        "psleak",
        template=METHOD,
        cause=lambda case: r"heap=\+" if case.cause == "live-native" else None,
        # As its documentation says: without pymalloc, and without buffers.
        environment={"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"},
        is_for_tests=True,
    ),
    Tool(
        "tracemalloc",
        "tracemalloc",
        "ALARM",
        preamble=TRACEMALLOC,
        fixture="returned",
    ),
    Tool(
        "pympler",
        "Pympler",
        "ALARM",
        "pympler",
        "Pympler",
        preamble=PYMPLER,
        fixture="returned",
    ),
    Tool(
        "objgraph",
        "objgraph",
        "ALARM",
        "objgraph",
        "objgraph",
        preamble=OBJGRAPH,
        fixture="returned",
    ),
    Tool("rss", "RSS", "ALARM", "psutil", "psutil", preamble=RSS, fixture="returned"),
    Tool(
        "rss-trimmed",
        "RSS after gc and a trim",
        "ALARM",
        "psutil",
        "psutil",
        preamble=RSS_TRIMMED,
        fixture="returned",
    ),
)
