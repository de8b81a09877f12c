"""`memreturn.watch`: another process is judged inside a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Failures: TypeAlias = Callable[[pytest.RunResult], str]

_WORLD = """
import pytest
from pytest_memreturn._errors import UnwatchableError
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._session import WORLD
from pytest_memreturn._snapshot import KindUsage, Snapshot
from pytest_memreturn._watcher import World
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.remote.sender import Released

MIB = 1024 * 1024
SIZES = {1: 10}

class Processes:
    # Those of SIZES, each with so many MiB.
    def identify(self, pid):
        if pid not in SIZES:
            raise UnwatchableError(f"{pid} is no process that runs")
        return ProcessKey(pid, 1)

    def read(self, root, known=(), *, layout=False):
        self.identify(root.pid)
        return tuple(
            ProcessReading(
                ProcessKey(pid, 1), f"serve{pid}", f"serve --number {pid}",
                Snapshot(size * MIB, 0, kinds={"anonymous": KindUsage(size * MIB, size * MIB)}),
            )
            for pid, size in SIZES.items()
        )

    def motion(self, tree):
        return Motion()

    def release(self, commands):
        return Released(reasons={pid: f"process {pid} is too old" for pid in commands},
                        refused=set(commands))

@pytest.fixture(autouse=True)
def processes(request):
    found = World(Processes(), Processes())
    request.config.stash[WORLD] = lambda: found
    SIZES.clear()
    SIZES.update({1: 10, 2: 20})
    return SIZES
"""


@pytest.fixture
def module(pytester: pytest.Pytester) -> Callable[[str], None]:
    """Write a test module whose tests see the processes in ``processes``, by pid in MiB."""

    def module(source: str) -> None:
        path = pytester.makepyfile(test_app=source)
        path.write_text(_WORLD + path.read_text(encoding="utf-8"), encoding="utf-8")

    return module


Module: TypeAlias = Callable[[str], None]


def test_a_server_that_returns(run: Run, module: Module, records: Records) -> None:
    """Its record is in the report, with every process."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1, "5 MiB") as m:
                processes[2] += 3
            assert (m.verdict, m.retained_bytes) == ("returned", 3 * MIB)
            assert m.ledger["mapped"] == 3 * MIB
    """)

    run().assert_outcomes(passed=1)

    record = records()["test_it watch 1"]
    assert (record["window"], record["gate"], record["label"]) == ("watch", "end", "watch 1")
    assert record["processes"] == [
        {
            "pid": pid,
            "name": f"serve{pid}",
            "command": f"serve --number {pid}",
            "before_bytes": before * 1024 * 1024,
            "after_bytes": after * 1024 * 1024,
            "not_released": None,
        }
        for pid, before, after in ((2, 20, 23), (1, 10, 10))
    ]


def test_a_server_that_retains(
    run: Run, module: Module, failures: Failures, records: Records
) -> None:
    """The test fails, and the message says which process kept how much."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1, "5 MiB", settle=0, label="server"):
                processes[2] += 30
                processes[3] = 15
                del processes[1]
                processes[1] = 10
    """)

    result = run("--memreturn-report")

    assert result.ret == 1
    lines = [line.removeprefix("E         ") for line in failures(result).splitlines()]
    assert any(
        "server: kept 45.0 MiB (allowed 5.0 MiB, memreturn.watch() in" in one for one in lines
    )
    assert [one for one in lines if one.startswith(("footprint ", "process ", "more "))] == [
        "footprint  30.0 → end 75.0 MiB",
        "process    pid 2 +30.0 MiB (20.0 → 50.0 MiB) serve2: serve --number 2",
        "process    pid 3 +15.0 MiB (new) serve3: serve --number 3",
        "more       1 more process: +0 B (-vv names them)",
    ]
    result.stdout.fnmatch_lines(["*45.0*45.0*5.0  mapped*test_app.py::test_it [[]server[]]"])
    assert records()["test_it server"]["verdict"] == "retained"


def test_a_process_that_is_not_there(run: Run, module: Module, failures: Failures) -> None:
    """The test fails at the line that names it; others run."""
    module("""
        def test_it(memreturn):
            with memreturn.watch(77, "5 MiB"):
                pass

        def test_other():
            pass
    """)

    result = run()

    result.assert_outcomes(failed=1, passed=1)
    assert "memreturn.watch() in test_app.py::test_it: pid: 77 is no process that runs" in failures(
        result
    )
    assert "_session.py" not in failures(result)


def test_a_process_that_ends_inside(run: Run, module: Module, records: Records) -> None:
    """The test passes unless that is forbidden, and the run says so at its end."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1, "5 MiB"):
                processes.clear()
    """)

    result = run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["UNJUDGED test_app.py::test_it [[]watch 1[]] - process 1 is no process that runs"]
    )
    assert records()["test_it watch 1"]["verdict"] == "unjudged"

    assert run("--memreturn-strict").ret == 1


def test_a_release_that_cannot_be(run: Run, module: Module, failures: Failures) -> None:
    """It is an error that says what is needed."""
    module("""
        def test_it(memreturn):
            with memreturn.watch(1, release=True):
                pass
    """)

    result = run()

    assert result.ret == 1
    assert "release: process 1 is too old" in failures(result)


def test_the_mode_off(run: Run, module: Module, records: Records) -> None:
    """Nothing is read, of whatever process."""
    module("""
        def test_it(memreturn):
            with memreturn.watch(77) as m:
                pass
            assert m.verdict == "unjudged"
    """)

    run("--memreturn-mode=off").assert_outcomes(passed=1)
    assert records() == {}


def test_the_mode_warn(run: Run, module: Module) -> None:
    """What is kept is a warning."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1, settle=0):
                processes[1] += 30
    """)

    result = run("--memreturn-mode=warn")

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*MemoryNotReturnedWarning: *watch 1: kept 30.0 MiB*"])


def test_the_command_line_sets_what_is_left_out(run: Run, module: Module) -> None:
    """As for a block; what the call says is closer."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1) as m:
                processes[1] += 3
            assert m.record.allowed_origin == "--memreturn-max-retained"
            with memreturn.watch(1, "4 MiB", label="two") as m:
                processes[1] += 3
            assert m.record.allowed_bytes == 4 * MIB
    """)

    run("--memreturn-max-retained=20 MiB").assert_outcomes(passed=1)


def test_the_ratchet(run: Run, module: Module, records: Records) -> None:
    """What a server keeps today is recorded, and may stay."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1, settle=0):
                processes[1] += 30
    """)

    assert run("--memreturn-save=m.json").ret == 0
    assert run("--memreturn-compare=m.json").ret == 0
    record = records()["test_it watch 1"]
    assert (record["verdict"], record["recorded_bytes"]) == ("returned", 30 * 1024 * 1024)


def test_the_html_page(pytester: pytest.Pytester, run: Run, module: Module) -> None:
    """It names each process."""
    module("""
        def test_it(memreturn, processes):
            with memreturn.watch(1, settle=0):
                processes[2] += 30
                del processes[1]
                processes[1] = 10
                processes[3] = 15
    """)

    run("--memreturn-report=report.html")

    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert "Processes that were watched" in page
    assert "serve3 (pid 3, new)" in page
    assert "with nothing forced" not in page  # that is said of what was returned
