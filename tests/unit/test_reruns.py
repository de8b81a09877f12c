"""Re-runs of a test that retained: what is asked, what is told, what is made of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_memreturn._explanation import Explanation, Line, Remedy
from pytest_memreturn._progress import Progress
from pytest_memreturn._record import Record, Rounds
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.fresh.command import _SWITCHES, Invocation, invocation_of
from pytest_memreturn.fresh.tie import tie_to
from pytest_memreturn.reruns import child, installed, native
from pytest_memreturn.reruns._contract import Answer, Order, RemedyCandidate, Task, parse_answer
from pytest_memreturn.reruns.findings import (
    collected,
    explained_by_reruns,
    incomplete,
    is_one_time,
)
from pytest_memreturn.reruns.lines import (
    Trace,
    is_library,
    is_runner,
    largest_lines,
    with_native,
)
from pytest_memreturn.reruns.remedies import attempts, best_first
from pytest_memreturn.reruns.run import Runner
from pytest_memreturn.reruns.sampler import MOST_POINTS, Sampler, thinned

KEPT = Record(
    "t.py::test_x",
    "retained",
    "collect",
    retained_bytes=30 * MIB,
    allowed_bytes=2 * MIB,
    readings={"baseline": 50 * MIB, "end": 85 * MIB, "collect": 80 * MIB, "trim": 79 * MIB},
    ledger={"malloc-live": 28 * MIB, "malloc-free": MIB, "unexplained": MIB},
    explanation=Explanation(released={"malloc": MIB}),
)
GONE = replace(KEPT, verdict="returned", retained_bytes=100 * KIB, ledger=None, explanation=None)
UNJUDGED = Record("t.py::test_x", "unjudged", "collect", reason="the test failed by itself")


def told(*records: Record, **what: Any) -> Answer:  # noqa: ANN401 - whatever it has
    """An answer with these records."""
    return Answer(found=1, records=records, **what)


def test_an_order_survives_its_file() -> None:
    """What is written is what is read."""
    order = Order(
        *("t.py::x", "/t.py", ("-q",), "/a", "/f"),
        keeps_first_path=True,
        look="twice",
        release=("malloc",),
        remedy="mine",
    )
    assert Order.from_json(order.to_json()) == order


def test_an_answer_is_read_as_far_as_it_came() -> None:
    """Each line is an object; one that was cut is passed over."""
    line = Line("t.py", 3, 5 * MIB, "x = 1")
    lines = [
        json.dumps({"found": 1}),
        json.dumps({"record": KEPT.to_dict()}),
        json.dumps({"live_bytes": 7}),
        json.dumps({"lines": [{"file": "t.py", "line": 3, "bytes": 5 * MIB, "source": "x = 1"}]}),
        json.dumps({"timeline": [[0.0, 1], [0.5, 2]]}),
        '{"record": {"nodeid"',
    ]
    assert parse_answer(iter(lines), None) == told(
        KEPT, live_bytes=(7,), lines=(line,), timeline=((0.0, 1), (0.5, 2))
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (told(KEPT), None),
        (told(KEPT, ended="too late"), None),
        (told(KEPT, problem="it broke"), "it broke"),
        (told(UNJUDGED), "the test failed by itself"),
        (told(replace(UNJUDGED, reason=None)), "no reason known"),
        (told(), "the test was not judged"),
        (told(ended="too late"), "too late"),
        (Answer(), "the test was not found again: its id may change from run to run"),
    ],
)
def test_why_an_answer_tells_nothing(answer: Answer, reason: str | None) -> None:
    """What went wrong first is said."""
    assert answer.reason() == reason


def run_of(*plugins: str) -> pytest.Config:
    """A run in this folder, with these plugins."""
    manager = SimpleNamespace(has_plugin=plugins.__contains__)
    invocation = SimpleNamespace(dir=Path.cwd(), args=("-q", Path("tests")))
    return cast(
        "pytest.Config", SimpleNamespace(invocation_params=invocation, pluginmanager=manager)
    )


def _flags(**changed: int) -> SimpleNamespace:
    """The flags of an interpreter that was started without any, but for these."""
    return SimpleNamespace(**{**dict.fromkeys((*_SWITCHES, "safe_path"), 0), **changed})


def test_an_invocation_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its interpreter with its options but for a tracer, its arguments, folder and variables."""
    monkeypatch.setattr(sys, "_xoptions", {"dev": True, "utf8": "1", "tracemalloc": "5"})
    monkeypatch.setattr(sys, "flags", _flags(optimize=2))
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    monkeypatch.setenv("SOME_VARIABLE", "some value")

    found = invocation_of(run_of())

    assert found.interpreter == (sys.executable, "-O", "-O", "-Xdev", "-Xutf8=1")
    assert found.args == ("-q", "tests")
    assert found.folder == str(Path.cwd())
    assert found.variables["SOME_VARIABLE"] == "some value"
    assert not found.keeps_first_path
    monkeypatch.setattr(sys, "path", ["/elsewhere", str(Path.cwd())])
    assert invocation_of(run_of()).keeps_first_path


@pytest.mark.parametrize(
    ("plugins", "more"),
    [
        (("tmpdir",), ["--basetemp=/scratch/temporary"]),
        (("_cov",), ["--no-cov"]),
        (("cacheprovider",), ["-o", "cache_dir=/scratch/cache"]),
    ],
)
def test_a_re_run_writes_to_a_folder_of_its_own(plugins: tuple[str, ...], more: list[str]) -> None:
    """Only options that are there are given."""
    own = ["-o", "memreturn_report="]
    found = invocation_of(run_of(*plugins)).arguments(
        Path("/scratch/temporary"), Path("/scratch/cache")
    )
    assert list(found) == ["-q", "tests", *own, *more]


def test_what_is_tried() -> None:
    """Simplest first; nothing that the run has already, nothing that gave nothing back."""
    added = [RemedyCandidate("mine", "do", env={"A": "1"}), RemedyCandidate("call", "do", call=str)]
    found = attempts(
        {"malloc": 0, "pyarrow": MIB, "my-pool": 5, "jemalloc": 0},
        {"MALLOC_ARENA_MAX": "1", "LD_PRELOAD": "libmimalloc.so.2 libown.so"},
        has_glibc=True,
        preloads={"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.2"},
        added=added,
    )
    assert {one.name: one.task for one in found} == {
        "malloc_trim(0)": Task(release=("malloc",)),
        "pyarrow.default_memory_pool().release_unused()": Task(release=("pyarrow",)),
        "the release of my-pool": Task(release=("my-pool",)),
        "MALLOC_TRIM_THRESHOLD_=131072": Task(env={"MALLOC_TRIM_THRESHOLD_": "131072"}),
        "MALLOC_MMAP_THRESHOLD_=131072": Task(env={"MALLOC_MMAP_THRESHOLD_": "131072"}),
        "PYTHONMALLOC=malloc": Task(env={"PYTHONMALLOC": "malloc"}),
        "LD_PRELOAD=libjemalloc.so.2": Task(
            env={"LD_PRELOAD": "libjemalloc.so.2:libmimalloc.so.2 libown.so"}
        ),
        "mine": Task(env={"A": "1"}),
        "call": Task(remedy="call"),
        "the work in a child process that ends": Task("child"),
    }
    assert all(one.how for one in found)


def test_what_is_tried_without_glibc() -> None:
    """Its variables and its trim mean nothing elsewhere."""
    found = attempts({}, {}, has_glibc=False, preloads={"jemalloc": "libj.so"}, added=[])
    assert [one.name for one in found] == [
        "PYTHONMALLOC=malloc",
        "LD_PRELOAD=libj.so",
        "the work in a child process that ends",
    ]
    assert found[1].task.env == {"LD_PRELOAD": "libj.so"}


def test_the_best_remedy_comes_first() -> None:
    """Those that are about alike stay in order, and what is not known comes last."""
    names = ["unknown", "much", "little", "about as little", "least"]
    sizes = [None, 80 * MIB, 4 * MIB, 3 * MIB, -MIB]
    given = [Remedy(name, "", size, size) for name, size in zip(names, sizes, strict=True)]
    found = [one.name for one in best_first(given, 100 * MIB)]
    assert found == ["little", "about as little", "least", "much", "unknown"]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (told(KEPT, GONE, live_bytes=(5, 6)), (True, None)),
        (told(KEPT, KEPT, live_bytes=(5, 6)), (False, None)),
        (told(KEPT, GONE, live_bytes=(0, 30 * MIB)), (False, None)),
        (told(KEPT, replace(GONE, retained_bytes=None), live_bytes=(5, 6)), (True, None)),
        # Free memory that is used again is no cache.
        (
            told(replace(KEPT, ledger={"malloc-free": 30 * MIB}), GONE, live_bytes=(5, 6)),
            (None, None),
        ),
        (told(replace(KEPT, ledger={"mapped": 20 * MIB}), GONE, live_bytes=(5, 6)), (True, None)),
        (told(replace(KEPT, ledger=None), GONE, live_bytes=(5, 6)), (None, None)),
        (
            told(KEPT, replace(GONE, rounds=Rounds(20, 20, 0, exceeds=True)), live_bytes=(5, 6)),
            (False, None),
        ),
        (told(KEPT, replace(GONE, rounds=Rounds(20, 20, 0)), live_bytes=(5, 6)), (True, None)),
        (told(KEPT, live_bytes=(5,)), (None, "the second call was not judged")),
        (told(KEPT, live_bytes=(5,), ended="too late"), (None, "too late")),
        (told(KEPT, UNJUDGED, live_bytes=(5, 5)), (None, "the test failed by itself")),
    ],
)
def test_what_is_kept_once(answer: Answer, found: tuple[bool | None, str | None]) -> None:
    """The second call keeps nothing, nothing alive grows, and what the first kept is alive."""
    assert is_one_time(answer) == found


@pytest.mark.parametrize(
    ("record", "retained", "returns"),
    [
        (KEPT, 30 * MIB, 5 * MIB),
        (replace(KEPT, gate="trim", retained_bytes=29 * MIB), 30 * MIB, 5 * MIB),
        (replace(KEPT, readings=None), 30 * MIB, 0),
    ],
)
def test_what_a_collection_returns(record: Record, retained: int, returns: int) -> None:
    """The ladder of the run alone tells it."""
    found = collected(record)
    assert (found.retained_bytes, found.returns_bytes) == (retained, returns)


def test_re_runs_put_together() -> None:
    """Each in turn, and what one of them does not tell is said."""
    line, points = Line("t.py", 3, 5), ((0.0, 1), (1.0, 2))
    answers = {
        "twice": told(KEPT, KEPT, live_bytes=(5, 6)),
        "lines": told(KEPT, lines=(line,)),
        "timeline": told(UNJUDGED, timeline=points),
        "nothing": told(GONE),
        "child": told(UNJUDGED),
    }
    steps: list[str] = []
    tried = attempts(
        {},
        {"PYTHONMALLOC": "malloc"},
        has_glibc=False,
        preloads={},
        added=[RemedyCandidate("mine", "do", call=str)],
    )

    record = explained_by_reruns(KEPT, tried, lambda task: answers[task.look], steps.append)

    found = record.explanation
    assert found is not None
    assert found.released == {"malloc": MIB}
    assert found.one_time is False
    assert (found.lines, found.timeline) == ((line,), points)
    assert found.incomplete == ("timeline: the test failed by itself",)
    assert [
        (one.name, one.retained_bytes, one.returns_bytes, one.reason) for one in found.remedies
    ] == [
        ("mine", 100 * KIB, 30 * MIB - 100 * KIB, None),
        ("gc.collect()", 30 * MIB, 5 * MIB, None),
        ("the work in a child process that ends", None, None, "the test failed by itself"),
    ]
    assert steps == [
        "re-runs it: alone, twice (1 of 5)",
        "re-runs it: lines (2 of 5)",
        "re-runs it: footprint over time (3 of 5)",
        "re-runs it: mine (4 of 5)",
        "re-runs it: the work in a child process that ends (5 of 5)",
    ]


def test_of_what_rounds_keep_alive_only_the_lines_are_looked_for() -> None:
    """Rounds have told the rest, and nothing gives back what is alive."""
    steps: list[str] = []
    kept = replace(KEPT, rounds=Rounds(200, 152, 0, exceeds=True), cause="live-native")
    line = Line("a.py", 1, MIB)

    record = explained_by_reruns(
        kept, [], lambda _: replace(told(KEPT), lines=(line,)), steps.append
    )

    assert record.explanation is not None
    assert (record.explanation.lines, record.explanation.remedies) == ((line,), ())
    assert record.explanation.incomplete == (
        "native lines: memray is not installed (the extra `memray`)",
    )
    assert steps == ["re-runs it: lines (1 of 1)"]


def test_a_second_call_that_fails_is_said() -> None:
    """The first one is the reference all the same."""
    record = explained_by_reruns(
        replace(KEPT, explanation=None), [], lambda _: told(KEPT), lambda _: None
    )
    assert record.explanation is not None
    assert record.explanation.incomplete == ("run twice: the second call was not judged",)
    assert len(record.explanation.remedies) == 1


@pytest.mark.parametrize("record", [KEPT, replace(KEPT, explanation=None)])
def test_what_kept_re_runs_from_telling_is_kept(record: Record) -> None:
    """With what is known already."""
    found = incomplete(record, "no reason").explanation
    assert found == replace(record.explanation or Explanation(), incomplete=("no reason",))


def test_lines_are_the_users_own(tmp_path: Path) -> None:
    """Innermost of the user's, outermost of a library's where there is none; runners' never."""
    file = str(tmp_path / "app.py")
    Path(file).write_text("a = 1\n  b = 2\n", encoding="utf-8")
    traces = [
        Trace(5 * KIB, [("runner", 1), (file, 1), (file, 2), ("library", 9)]),
        Trace(2 * KIB, [("runner", 1), (file, 2)]),
        Trace(3 * KIB, [("runner", 1), ("library", 7), ("library", 8)]),
        Trace(9 * KIB, [("runner", 1)]),
        Trace(KIB - 1, [(file, 1)]),
        *(Trace(size * KIB, [(f"other-{size}", 1)]) for size in range(10, 15)),
    ]

    def of(file: str) -> object:
        found = largest_lines(
            [one for one in traces if file in [name for name, _ in one.frames]],
            is_runner="runner".__eq__,
            is_library="library".__eq__,
        )
        return [(one.file, one.line, one.bytes, one.source) for one in found]

    assert of(file) == [(file, 2, 7 * KIB, "b = 2")]
    assert of("library") == [(file, 2, 5 * KIB, "b = 2"), ("library", 7, 3 * KIB, None)]
    assert len(largest_lines(traces, is_runner="runner".__eq__, is_library="library".__eq__)) == 5


def test_what_native_code_took_beside_what_python_did() -> None:
    """Largest first; not twice what a tracer of Python's was told of."""
    of_numpy = Line("t.py", 1, 9 * MIB, None, native="npy_alloc")
    of_lxml = Line("t.py", 2, 5 * MIB, None, native="xmlNewDoc")
    mixed = Line("t.py", 3, 7 * MIB, None, native="parse")
    lines = [Line("t.py", 1, 8 * MIB), Line("t.py", 3, 3 * MIB), Line("t.py", 4, 1 * MIB)]
    assert with_native(lines, [of_numpy, mixed, of_lxml]) == (
        lines[0],
        mixed,
        of_lxml,
        lines[1],
        lines[2],
    )
    assert len(with_native([Line("t.py", at, 1) for at in range(5)], [of_lxml])) == 5


def test_a_line_names_the_native_function_that_took_most() -> None:
    """Of all that are called from there."""
    traces = [
        Trace(5 * KIB, [("t.py", 1)], "little"),
        Trace(4 * KIB, [("t.py", 1)]),
        Trace(9 * KIB, [("t.py", 1)], "much"),
        Trace(2 * KIB, [("t.py", 2)]),
    ]
    found = largest_lines(traces, is_runner="r".__eq__, is_library="l".__eq__)
    assert [(one.bytes, one.native) for one in found] == [(18 * KIB, "much"), (2 * KIB, None)]


@pytest.mark.parametrize(
    ("causes", "traces_native", "said"),
    [
        ({"live-native": MIB}, False, "native lines: memray is not installed (the extra `memray`)"),
        ({"live-native": MIB}, True, "native lines: the test failed by itself"),
        ({"live-python": MIB}, False, None),
    ],
)
def test_native_lines_need_a_tracer(
    causes: dict[str, int], said: str | None, *, traces_native: bool
) -> None:
    """Where there is none and it matters, that is said."""

    def run(task: Task) -> Answer:
        return told(UNJUDGED if task.look == "native" else KEPT)

    found = explained_by_reruns(
        replace(KEPT, causes=causes), [], run, lambda _: None, traces_native=traces_native
    ).explanation
    assert found is not None
    assert [one for one in found.incomplete if "native" in one] == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("file", "runner", "library"),
    [
        (child.__file__, True, False),
        (pytest.__file__, True, True),
        (json.__file__, False, True),
        ("<frozen importlib._bootstrap>", False, True),
        ("/project/tests/test_app.py", False, False),
    ],
)
def test_whose_a_frame_is(file: str, *, runner: bool, library: bool) -> None:
    """By the folder it is in."""
    assert is_runner(file) == runner
    assert runner or is_library(file) == library


def test_the_sampler_reads_until_it_is_stopped() -> None:
    """At both ends in any case; a long test at greater distances."""
    ticks = iter(range(100_000))
    waits: list[float] = []
    enough = threading.Event()

    def wait(over: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 2_500:
            enough.set()
            return over.wait()
        return False

    sampler = Sampler(lambda: 7, lambda: float(next(ticks)), wait)
    sampler.start()
    enough.wait()
    points = sampler.stop()

    assert points[0] == (1.0, 7)
    assert points[-1][0] == 2_501
    assert len(points) <= MOST_POINTS
    assert waits[-1] > waits[0]


@pytest.mark.parametrize("count", [0, 1, MOST_POINTS, MOST_POINTS + 1, 999])
def test_thinned_points_keep_their_ends(count: int) -> None:
    """The first and the last are there, and no more than can be drawn."""
    points = [(float(at), at) for at in range(count)]
    found = thinned(points)
    assert len(found) == min(count, MOST_POINTS)
    assert [*found[:1], *found[-1:]] == [*points[:1], *points[-1:]]


LISTING = """2 libs found in cache `/etc/ld.so.cache'
\tlibtcmalloc_minimal_debug.so.4 (libc6,x86-64) => /lib/libtcmalloc_minimal_debug.so.4
\tlibtcmalloc_minimal.so.4 (libc6,x86-64) => /lib/libtcmalloc_minimal.so.4
\tlibtcmalloc.so.4 (libc6,x86-64) => /lib/libtcmalloc.so.4
\tlibjemalloc.so.1 (libc6,x86-64) => /lib/libjemalloc.so.1
\tlibjemalloc.so.2 (libc6,x86-64) => /lib/libjemalloc.so.2
"""


def test_allocators_that_could_serve() -> None:
    """The newest version of each, by what the loader lists."""
    assert installed.preloadable(LISTING) == {
        "jemalloc": "libjemalloc.so.2",
        "tcmalloc": "libtcmalloc_minimal.so.4",
    }


@pytest.mark.parametrize("problem", ["none", "missing", "failing"])
def test_what_the_loader_lists(monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    """Nothing where it can't be asked."""

    def run(command: list[str], **_: object) -> object:
        assert command == ["/sbin/ldconfig", "-p"]
        if problem == "failing":
            raise subprocess.TimeoutExpired("ldconfig", 1)
        return SimpleNamespace(stdout=LISTING)

    def which(_: str, path: str | None = None) -> str | None:
        return "/sbin/ldconfig" if path is not None and problem != "missing" else None

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("shutil.which", which)
    assert bool(installed.preloadable()) == (problem == "none")


@pytest.mark.parametrize(("libc", "is_it"), [("glibc", True), ("", False)])
def test_which_c_library(monkeypatch: pytest.MonkeyPatch, libc: str, *, is_it: bool) -> None:
    """Variables of glibc's are tried on glibc."""
    monkeypatch.setattr("platform.libc_ver", lambda: (libc, "2.36"))
    assert installed.has_glibc() == is_it


class Reporter:
    """A terminal reporter that writes to a text."""

    def __init__(self, *, isatty: bool = True) -> None:
        self.isatty = isatty
        self.shown = io.StringIO()

    def ensure_newline(self) -> None:
        """The line is a new one already."""

    def rewrite(self, text: str, *, erase: bool) -> None:
        """Write it over."""
        assert erase
        self.shown.write(text + "\r")

    def write(self, text: str) -> None:
        """Go on with it."""
        self.shown.write(text)

    def flush(self) -> None:
        """Nothing waits."""


class Capture:
    """Notes when output is not captured."""

    def __init__(self) -> None:
        self.asked = 0

    def global_and_fixture_disabled(self) -> AbstractContextManager[None]:
        """For as long as a line is written."""
        self.asked += 1
        return nullcontext()


@pytest.mark.parametrize("captured", [True, False])
def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *, captured: bool) -> None:
    """One line, no longer than the terminal is wide, and gone in the end."""
    monkeypatch.setenv("COLUMNS", "40")
    reporter, capture = Reporter(), Capture()
    plugins = {"terminalreporter": reporter, "capturemanager": capture if captured else None}
    progress = Progress(
        cast(
            "pytest.Config", SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=plugins.get))
        )
    )
    progress("looks into the heaps and then goes on")
    progress("")
    progress("")
    assert reporter.shown.getvalue() == "memreturn: looks into the heaps and the\r\r\r"
    assert capture.asked == 2 * captured


def test_a_terminal_that_fails_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was to be said is not worth a verdict."""
    reporter = Reporter()
    monkeypatch.setattr(reporter, "flush", lambda: 1 / 0)
    manager = SimpleNamespace(get_plugin={"terminalreporter": reporter}.get)
    Progress(cast("pytest.Config", SimpleNamespace(pluginmanager=manager)))("looks into the heaps")
    assert reporter.shown.getvalue()


@pytest.mark.parametrize("reporter", [None, Reporter(isatty=False)])
def test_no_progress_without_a_terminal(reporter: Reporter | None) -> None:
    """Neither in a log nor in a worker."""
    plugins = {"terminalreporter": reporter}
    progress = Progress(
        cast(
            "pytest.Config", SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=plugins.get))
        )
    )
    progress("looks into the heaps and then goes on")
    progress("")
    progress("")
    assert reporter is None or not reporter.shown.getvalue()


def runner(interpreter: tuple[str, ...]) -> Runner:
    """One that starts this instead of an interpreter."""
    invocation = Invocation(
        *(interpreter, (), "/", dict(os.environ)),
        keeps_first_path=True,
        no_cov=False,
        has_cache=False,
    )
    return Runner(invocation, "t.py::test_x", "/t.py", 60)


def test_an_interpreter_that_is_gone_is_said() -> None:
    """Nothing is raised for it."""
    found = runner(("/no/such/interpreter",))(Task())
    assert found.reason() == "it could not be started: No such file or directory"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "it ended with status 3"),
        ("first\\nERROR: no\\nlast\\n", "it ended with status 3: ERROR: no"),
        ("first\\n== last ==\\n\\n", "it ended with status 3: last"),
    ],
)
def test_what_a_process_said_last_is_told(said: str, reason: str) -> None:
    """The last error, where it shows one."""
    script = f"import sys; print(b'{said}'.decode(), end=''); sys.exit(3)"
    assert runner((sys.executable, "-c", script))(Task()).reason() == reason


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_the_lifeline_is_tied(
    monkeypatch: pytest.MonkeyPatch, *, closed: bool, known: bool
) -> None:
    """Where the kernel can; one that is closed already ends the process at once."""
    import fcntl

    reading, writing = os.pipe()
    asked: list[tuple[object, ...]] = []

    def note(*args: object) -> int:
        asked.append(args)
        return 0

    monkeypatch.setattr(fcntl, "fcntl", note)
    if not known:
        monkeypatch.delattr(fcntl, "F_SETSIG")
    if closed:
        os.close(writing)
    with pytest.raises(SystemExit) if closed and known else nullcontext():
        tie_to(reading)
    assert len(asked) == (4 if known else 0)
    os.close(reading)
    if not closed:
        os.close(writing)


def test_the_first_path_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is looked at first once the test is to be loaded, and not before."""
    monkeypatch.chdir(tmp_path)
    seen: list[list[str]] = []

    def run(args: list[str], plugins: list[object]) -> int:
        assert (args, len(plugins)) == (["-q"], 1)
        seen.append(list(sys.path))
        return 0

    monkeypatch.setattr(child, "tie_to", lambda _: None)
    monkeypatch.setattr(pytest, "main", run)
    for keeps in (True, False):
        monkeypatch.setattr(sys, "path", ["there"])
        order = Order(
            *("x", "/x", ("-q",), "/a", "/f"),
            keeps_first_path=keeps,
            look="nothing",
            release=(),
            remedy=None,
        )
        (tmp_path / "order").write_text(order.to_json(), encoding="utf-8")
        assert child.main(str(tmp_path / "order"), "3") == 0
    assert seen == [[str(tmp_path), "there"], ["there"]]


@pytest.mark.parametrize(
    ("stack", "asker"),
    [
        ([("malloc", "", 0), ("xmlNewNode", "a.c", 1), ("parse", "a.py", 2)], "xmlNewNode"),
        ([("operator new(unsigned long)", "", 0), ("<unknown>", "", 0), ("grow", "", 0)], "grow"),
        ([("malloc", "", 0), ("parse", "a.py", 2), ("run", "b.c", 1)], None),
        ([("malloc", "", 0)], None),
    ],
)
def test_which_native_function_asked_for_memory(
    stack: list[tuple[str, str, int]], asker: str | None
) -> None:
    """The innermost with a name; nobody's where Python is nearer."""
    record = SimpleNamespace(hybrid_stack_trace=lambda _: stack)
    assert native._asker(record, {"parse"}) == asker


def test_a_test_may_fail_in_a_child_process(capfd: pytest.CaptureFixture[str]) -> None:
    """Then nobody knows what it keeps; what it raised is shown."""

    def fails() -> None:
        raise LookupError("only there")

    item = SimpleNamespace(runtest=fails)
    child.in_child(cast("pytest.Item", item))
    with pytest.raises(RuntimeError, match=r"ended with status 1$"):
        item.runtest()
    assert "LookupError: only there" in capfd.readouterr().err


def test_rounds_have_a_child_process_each(tmp_path: Path) -> None:
    """Whatever stands in the place of the body goes on here."""
    seen = tmp_path / "seen"

    class Repeated:
        def run_once(self) -> None:
            with seen.open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")

        def run_all(self) -> None:
            self.run_once()
            self.run_once()

    item = SimpleNamespace(runtest=Repeated().run_all)
    child.in_child(cast("pytest.Item", item))
    item.runtest()
    processes = seen.read_text("utf-8").split()
    assert len(set(processes)) == 2
    assert str(os.getpid()) not in processes
