"""Isolated tests: what a fresh interpreter tells comes back as if the test had run here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]

MIB = 1024 * 1024

ISOLATE = ("--memreturn", "--memreturn-isolate")


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Whatever a test here does: no process that it started is there afterwards, and no file."""
    monkeypatch.setenv("STARTED_BY", str(tmp_path))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield
    assert not [*started_by(tmp_path)]
    assert [one.name for one in scratch.iterdir() if one.name.startswith("memreturn-")] == []


def started_by(tmp_path: Path) -> Iterator[psutil.Process]:
    """The processes that a test has started, and that are still there."""
    for one in psutil.process_iter():
        try:
            found = one.environ().get("STARTED_BY")
        except psutil.Error:
            continue
        if found == str(tmp_path) and one.pid != os.getpid():
            yield one


def test_reports_come_back(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Every outcome with its text, its captured output, its properties, its warnings."""
    pytester.makepyfile(
        test_app="""
        import os, sys, warnings
        import pytest

        THERE = "PYTEST_MEMRETURN_ISOLATED" in os.environ

        @pytest.fixture
        def thing():
            print("made")
            yield 1
            print("unmade")

        def test_returns(thing, record_property):
            print("said by the body")
            record_property("mine", 7)
            warnings.warn("take care", FutureWarning)
            assert THERE

        def test_keeps_20(thing):
            print("said by the body", file=sys.stderr)

        def test_fails(thing):
            assert not THERE, "it is"

        @pytest.fixture
        def broken():
            raise LookupError("no such thing")

        def test_has_no_set_up(broken): pass

        @pytest.fixture
        def ends_badly():
            yield
            raise LookupError("no such end")

        def test_has_no_tear_down(ends_badly): pass

        def test_skips():
            pytest.skip("not today")

        @pytest.mark.skipif(THERE, reason="only here")
        def test_is_skipped_there(): pass

        @pytest.mark.xfail(THERE, reason="known")
        def test_fails_as_expected():
            assert not THERE

        @pytest.mark.xfail(THERE, reason="known")
        def test_passes_unexpectedly(): pass

        @pytest.mark.xfail(reason="known", strict=True)
        def test_passes_strictly(): pass

        @pytest.mark.xfail(run=False, reason="never")
        def test_is_not_run(): pass
        """
    )

    result = run(*ISOLATE, "-ra", "--junitxml=junit.xml", "-p", "no:randomly")

    result.assert_outcomes(
        passed=2, failed=3, errors=2, skipped=2, xfailed=2, xpassed=1, warnings=1
    )
    result.stdout.fnmatch_lines(
        [
            "E       LookupError: no such thing",
            "E       LookupError: no such end",
            "kept 20.0 MiB (allowed 2.0 MiB, default)",
            "test_app.py:*: MemoryNotReturned",
            "*Captured stdout setup*",
            "made",
            "*Captured stderr call*",
            "said by the body",
            "*Captured stdout teardown*",
            "unmade",
            "E       AssertionError: it is",
            "[[]XPASS(strict)] known",
            "test_app.py::test_returns",
            "  */test_app.py:15: FutureWarning: take care",
            "    warnings.warn(*take care*, FutureWarning)",
            "SKIPPED [[]1] test_app.py:*: not today",
            "SKIPPED [[]1] test_app.py:*: only here",
            "XFAIL test_app.py::test_fails_as_expected - known",
            "XFAIL *test_app.py::test_is_not_run - *[[]NOTRUN] never",
            "XPASS test_app.py::test_passes_unexpectedly - known",
        ]
    )
    found = {name: (one["verdict"], one["reason"]) for name, one in records().items()}
    assert found == {
        "test_returns": ("returned", None),
        "test_keeps_20": ("retained", None),
        "test_fails": ("unjudged", "the test failed by itself"),
        "test_has_no_set_up": ("unjudged", "the test ended with an error in set-up"),
        "test_has_no_tear_down": ("returned", None),
        "test_skips": ("unjudged", "the test was skipped by itself"),
        "test_is_skipped_there": ("unjudged", "the test was skipped in set-up"),
        "test_fails_as_expected": ("unjudged", "the test failed as expected by itself"),
        "test_passes_unexpectedly": ("returned", None),
        "test_passes_strictly": ("returned", None),
        "test_is_not_run": ("unjudged", "the test failed as expected in set-up"),
    }
    isolation = records()["test_returns"]["isolation"]
    assert isolation["overhead_seconds"] > 0
    assert (isolation["env"], isolation["allocator"]) == ({}, None)
    junit = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert junit.count("<testcase ") == 11
    assert '<property name="mine" value="7" />' in junit
    assert junit.count('<property name="memreturn_verdict" value="retained" />') == 1


# What each of them does in its body, and what is said of it.
_HOSTILE = {
    "segfault": (
        "import ctypes; print('last words', flush=True); ctypes.string_at(0)",
        [
            (
                "the interpreter of this isolated test was killed by SIGSEGV (Segmentation fault) "
                "(in its body)"
            ),
            "Fatal Python error: Segmentation fault",
            "  File */test_app.py*, line * in test_segfault",
            "*Captured stdout call*",
            "last words",
        ],
    ),
    "killed": (
        "print('last words'); os.kill(os.getpid(), 9)",
        ["the interpreter of this isolated test was killed by SIGKILL (Killed)*", "last words"],
    ),
    "exits": (
        "print('last words'); os._exit(0)",
        [
            (
                "the interpreter of this isolated test ended without a report, with exit status 0 "
                "(in its body)"
            ),
            "last words",
        ],
    ),
    "exits_with_3": (
        "os._exit(3)",
        ["the interpreter of this isolated test ended without a report, with exit status 3 *"],
    ),
    "hangs": (
        "print('last words'); time.sleep(600)",
        [
            (
                "the interpreter of this isolated test had not ended within 3 s, and was ended "
                "(in its body)"
            ),
            "last words",
        ],
    ),
    "has_no_memory": (
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 30, 1 << 30)); bytearray(1 << 31)",
        ["E   MemoryError"],
    ),
    "talks": (
        "[print('x' * 99_999) for _ in range(500)]; print('last words', file=sys.stderr);assert 0",
        [
            "x*",
            "[[]memreturn: 39.7 MiB of output are left out here; -s shows all of it]",
            "*x",
            "*Captured stderr call*",
            "last words",
        ],
    ),
    "talks_and_exits": (
        "[print('x' * 99_999) for _ in range(500)]; print('last words'); os._exit(1)",
        ["[[]memreturn: 39.7 MiB of output are left out here; -s shows all of it]", "last words"],
    ),
    "leaves_processes": (
        "[subprocess.Popen(['sleep', '600'], start_new_session=own) for own in (False, True)]",
        [],
    ),
    "leaves_what_it_forked": (
        "os.fork() or (os.setsid(), time.sleep(600)); print('said', flush=True); os._exit(1)",
        ["said"],
    ),
    "ends_what_it_came_from": (
        "os.kill(os.getppid(), 9); time.sleep(600)",
        [
            (
                "the interpreter of this isolated test was ended, since the process that it comes "
                "from had ended (in its body)"
            )
        ],
    ),
    "has_no_descriptor_left": (
        "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (3, 3))",
        [],
    ),
    "ends_what_it_came_from_at_its_end": (
        "import atexit; atexit.register(os.kill, os.getppid(), 9)",
        [],
    ),
    "leaves_a_process_of_multiprocessing": (
        "import multiprocessing as m; m.Process(target=time.sleep, args=(600,)).start()",
        [],
    ),
    "leaves_an_executor_at_work": (
        "import concurrent.futures as c; c.ProcessPoolExecutor(1).submit(time.sleep, 600)",
        [],
    ),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_whatever_a_test_does(
    pytester: pytest.Pytester, run: Run, records: Records, name: str
) -> None:
    """It is told, nothing of it is left, and the next test runs."""
    body, said = _HOSTILE[name]
    pytester.makepyfile(
        test_app=f"import os, subprocess, sys, time\ndef test_{name}(): {body}\n"
        "def test_after(): pass"
    )

    began = time.monotonic()
    result = run(*ISOLATE, *(["--memreturn-isolate-timeout=3"] if name == "hangs" else []))

    fails = bool(said)
    result.assert_outcomes(failed=fails, passed=2 - fails)
    result.stdout.fnmatch_lines(said)
    assert time.monotonic() - began < 300
    assert sum(map(len, result.outlines)) < 10 * MIB
    found = records()
    assert found[f"test_{name}"]["verdict"] == ("unjudged" if fails else "returned")
    assert found[f"test_{name}"]["own_outcome"] == ("failed" if fails else None)
    assert found["test_after"]["verdict"] == "returned"


@pytest.mark.parametrize(
    ("source", "said", "outcomes"),
    [
        pytest.param(
            "import os, pytest\n@pytest.mark.parametrize('n', [os.getpid()])\ndef test_x(n): 0",
            "this test was not found again in a fresh interpreter: its id may change from run to*",
            {"errors": 1},
            id="unstable",
        ),
        pytest.param(
            "import os\nif 'PYTEST_MEMRETURN_ISOLATED' in os.environ: 1 / 0\ndef test_x(): 0",
            "E   ZeroDivisionError: division by zero",
            {"errors": 1},
            id="not collected",
        ),
        pytest.param(
            "import os\nif 'PYTEST_MEMRETURN_ISOLATED' in os.environ: os._exit(7)\ndef test_x(): 0",
            (
                "the interpreter of this isolated test ended without a report, with exit status 7 "
                "(before its set-up had ended)"
            ),
            {"errors": 1},
            id="ends",
        ),
        pytest.param(
            "import pytest\ndef test_x(): 0\ndef test_y(): 0\n"
            "def pytest_pycollect_makeitem(collector, name):\n"
            "    if name == 'test_x':\n"
            "        return [pytest.Function.from_parent(collector, name=name) for _ in 'ab']",
            "2 tests have this id: which of them is to be isolated can't be told",
            {"errors": 2, "passed": 1},
            id="not the only one",
        ),
        pytest.param(
            "import os, pytest\n@pytest.fixture\ndef f():\n    yield\n    os._exit(1)\n"
            "def test_x(f): 0",
            (
                "the interpreter of this isolated test ended without a report, with exit status 1 "
                "(in tear-down)"
            ),
            {"errors": 1, "passed": 1},
            id="ends in tear-down",
        ),
        pytest.param(
            "import atexit, os\ndef test_x(): atexit.register(os.abort)",
            "the interpreter of this isolated test was killed by SIGABRT (Aborted) (after its *",
            {"errors": 1, "passed": 1},
            id="crashes at the end",
        ),
        pytest.param(
            "import pytest, os\n@pytest.mark.xfail(reason='known')\ndef test_x(): os.abort()",
            "XFAIL test_app.py::test_x - known: the interpreter of this isolated test was killed*",
            {"xfailed": 1},
            id="expected",
        ),
        pytest.param(
            "import pytest, os\n@pytest.mark.xfail(raises=ValueError)\ndef test_x(): os.abort()",
            "the interpreter of this isolated test was killed by SIGABRT (Aborted) (in its body)",
            {"failed": 1},
            id="something else expected",
        ),
    ],
)
def test_why_there_is_no_report(
    pytester: pytest.Pytester,
    run: Run,
    source: str,
    said: str,
    outcomes: dict[str, int],
) -> None:
    """The reason is said, in the phase that is missing."""
    pytester.makepyfile(test_app=source)
    if "pytest_pycollect" in source:
        pytester.path.joinpath("conftest.py").write_text(source, encoding="utf-8")

    result = run(*ISOLATE, "-ra")

    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([said])


def test_settings_of_the_run_hold_there(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root folder, ini file, plugins, ``-p``, ``-o``, variables, and what warnings do."""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    pytester.makeini("[pytest]\ntmp_path_retention_count = 5\naddopts = -W error::FutureWarning")
    pytester.makepyfile(
        mine="def pytest_addoption(parser): parser.addoption('--mine', default='')",
        test_app="""
        import os, sys, warnings, pytest
        def test_x(request, tmp_path, pytestconfig):
            assert "PYTEST_MEMRETURN_ISOLATED" in os.environ
            assert os.environ["PYTHONHASHSEED"] == "7"
            assert request.config.getoption("--mine") == "yes"
            assert int(request.config.getini("tmp_path_retention_count")) == 5
            assert request.config.getini("console_output_style") == "classic"
            assert request.config.inipath.name == "tox.ini"
            assert sys.argv == ["one", "two"]
            (tmp_path / "file").touch()
            request.config.cache.set("mine/value", 3)
            with pytest.raises(FutureWarning):
                warnings.warn("no", FutureWarning)
        """,
    )
    pytester.syspathinsert()
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{os.environ['PYTHONPATH']}")
    monkeypatch.setattr(sys, "argv", ["one", "two"])
    own = pytester.path / "own"

    result = run(
        *ISOLATE,
        *("-p", "mine", "--mine=yes", "-o", "console_output_style=classic"),
        f"--basetemp={own}",
    )

    result.assert_outcomes(passed=1)
    assert [one.parent.name for one in own.rglob("file")] == ["test_x0"]
    cached = pytester.path / ".pytest_cache" / "v"
    assert (cached / "mine" / "value").read_text() == "3"


def test_only_judged_tests_are_isolated(pytester: pytest.Pytester, run: Run) -> None:
    """Marked ones, those with blocks; nothing of them is set up in the run itself."""
    pytester.makepyfile(
        """
        import os, pytest

        RUN = os.getpid()
        OPEN = []

        @pytest.fixture(scope="module", autouse=True)
        def shared():
            OPEN.append(os.getpid())
            yield
            assert OPEN == [os.getpid()]

        def test_plain():
            assert "PYTEST_MEMRETURN_ISOLATED" not in os.environ

        @pytest.mark.returns_memory
        def test_marked():
            assert "PYTEST_MEMRETURN_ISOLATED" in os.environ
            assert len(OPEN) == 1

        def test_with_a_block(memreturn):
            with memreturn():
                assert "PYTEST_MEMRETURN_ISOLATED" in os.environ

        @pytest.mark.returns_memory(isolate=False)
        def test_not_isolated():
            assert "PYTEST_MEMRETURN_ISOLATED" not in os.environ

        @pytest.mark.returns_memory(enabled=False)
        def test_not_judged():
            assert "PYTEST_MEMRETURN_ISOLATED" not in os.environ
        """
    )

    run("--memreturn-isolate").assert_outcomes(passed=5)


@pytest.mark.parametrize("level", ["ini", "mark", "off again"])
def test_where_it_can_be_said(pytester: pytest.Pytester, run: Run, level: str) -> None:
    """The closest wins, as with every setting."""
    mark = "@pytest.mark.returns_memory(isolate=True)\n" if level == "mark" else ""
    expected = level != "off again"
    pytester.makepyfile(
        f"import os, pytest\n{mark}def test_x():\n"
        f"    assert ('PYTEST_MEMRETURN_ISOLATED' in os.environ) == {expected}"
    )
    if level != "mark":
        pytester.makeini("[pytest]\nmemreturn = true\nmemreturn_isolate = true")

    run(*(["--no-memreturn-isolate"] if level == "off again" else [])).assert_outcomes(passed=1)


def test_variables(
    pytester: pytest.Pytester, run: Run, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are set, or taken away, before the interpreter starts; the report has them."""
    monkeypatch.setenv("GOES", "1")
    pytester.makepyfile(
        """
        import os, sys, pytest
        pytestmark = pytest.mark.returns_memory(env={"PYTHONOPTIMIZE": "1", "GOES": None})

        def test_all():
            if "GOES" in os.environ or sys.flags.optimize != 1: pytest.fail("not so")

        @pytest.mark.returns_memory(env={"MALLOC_ARENA_MAX": "1"})
        def test_closest():
            assert os.environ["GOES"] == os.environ["MALLOC_ARENA_MAX"] == "1"
            assert sys.flags.optimize == 0

        @pytest.mark.returns_memory(isolate=False)
        def test_none():
            assert os.environ["GOES"] == "1"
        """
    )

    run().assert_outcomes(passed=3)

    isolation = {name: one["isolation"] for name, one in records().items()}
    assert isolation["test_all"]["env"] == {"PYTHONOPTIMIZE": "1", "GOES": None}
    assert isolation["test_closest"]["env"] == {"MALLOC_ARENA_MAX": "1"}
    assert isolation["test_none"] is None


@pytest.mark.parametrize(
    ("mark", "problem"),
    [
        ("isolate=1", "isolate: 1 is not True or False"),
        ("env=5", "env: 5 is not a mapping *"),
        ("env={'A': 1}", "env: A=1 is not text *"),
        ("env={'A=B': '1'}", "env: 'A=B' is not a name of a variable"),
        ("allocator='malloc2'", "allocator: 'malloc2' is not one of malloc, jemalloc, *"),
        ("env={'A': '1'}, isolate=False", "env: goes with isolate=True only: *"),
    ],
)
def test_a_wrong_mark_is_an_error_of_its_test(
    pytester: pytest.Pytester, run: Run, mark: str, problem: str
) -> None:
    """At set-up, with its origin; the others run."""
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.returns_memory({mark})\ndef test_x(): 0\ndef test_y(): 0"
    )

    result = run()

    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([f"*marker on *::test_x: {problem}"])


@pytest.mark.parametrize("value", ["soon", "0"])
def test_a_wrong_time_limit_ends_the_run(run: Run, value: str) -> None:
    """Before the first test, with the origin and the value."""
    result = run(f"--memreturn-isolate-timeout={value}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --memreturn-isolate-timeout: {value!r} *"])


def test_a_mark_that_comes_with_a_fixture_comes_too_late(
    pytester: pytest.Pytester, run: Run
) -> None:
    """Its test has begun by then, and fails."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def marks(request):
            request.applymarker(pytest.mark.returns_memory(isolate=True))

        def test_x(marks): 0
        """
    )

    result = run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["marker on *::test_x: isolate: too late: *"])


def test_a_debugger_has_the_test_here(pytester: pytest.Pytester, run: Run) -> None:
    """It runs in the process that the terminal belongs to; what that can't have is an error."""
    pytester.makepyfile(
        """
        import os, pytest

        @pytest.mark.returns_memory(isolate=True)
        def test_x():
            assert "PYTEST_MEMRETURN_ISOLATED" not in os.environ

        @pytest.mark.returns_memory(env={"A": "1"})
        def test_y(): 0
        """
    )

    command = (sys.executable, "-m", "pytest", "--pdb")
    result = pytester.run(*command, stdin=b"")

    result.stdout.fnmatch_lines(
        ["* .F", "marker on *::test_y: isolate: under --pdb, --trace and the like tests run in *"]
    )
    assert run("--setup-plan").ret == 0


def test_an_allocator_that_is_not_installed(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its test says what to install."""
    from pytest_memreturn.isolation import variables

    monkeypatch.setattr(variables, "preloadable", dict)
    pytester.makepyfile(
        "import pytest\n@pytest.mark.returns_memory(allocator='jemalloc')\ndef test_x(): 0"
    )

    result = run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*::test_x: marker on *: allocator='jemalloc': *libjemalloc2*"])


def test_an_allocator_that_is_not_loaded(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader goes on without a file that it can't use; the test does not."""
    from pytest_memreturn.isolation import variables

    monkeypatch.setattr(variables, "preloadable", lambda: {"jemalloc": "libnone.so.7"})
    pytester.makepyfile(
        "import pytest\n@pytest.mark.returns_memory(allocator='jemalloc')\ndef test_x(): 0"
    )

    result = run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["LD_PRELOAD=libnone.so.7 was not loaded*"])


def test_with_no_capture_output_is_shown_as_it_comes(pytester: pytest.Pytester) -> None:
    """What the test says and what its process says, in the place of the run's own."""
    pytester.makepyfile("import os\ndef test_x(): print('from the body'); os.write(2, b'raw')")

    result = pytester.runpytest_subprocess(*ISOLATE, "-s")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*from the body"])
    result.stderr.fnmatch_lines(["raw*"])
    crash = pytester.makepyfile("import os\ndef test_x(): print('from the body'); os._exit(1)")
    result = pytester.runpytest_subprocess(*ISOLATE, "-s", crash)
    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("from the body'") == 0
    assert result.stdout.str().count("from the body") == 1


@pytest.mark.parametrize(
    ("body", "said", "status"),
    [
        ("pytest.exit('enough', returncode=9)", "*Exit: enough *", 9),
        ("raise KeyboardInterrupt", "* KeyboardInterrupt *", 2),
    ],
)
def test_a_test_may_end_the_run(
    pytester: pytest.Pytester, body: str, said: str, status: int
) -> None:
    """As it may where it is not isolated."""
    pytester.makepyfile(f"import pytest\ndef test_x(): {body}\ndef test_y(): 0")

    result = pytester.runpytest_subprocess(*ISOLATE)

    assert result.ret == status
    result.stdout.fnmatch_lines([f"!!{said}!!"])
    assert result.parseoutcomes() == {}


def test_ctrl_c(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """The test tears its fixtures down, the run ends as ever, and nothing is left."""
    pytester.makepyfile(
        """
        import os, pathlib, subprocess, time, pytest

        @pytest.fixture
        def server():
            subprocess.Popen(["sleep", "600"], start_new_session=True)
            yield
            pathlib.Path("unmade").touch()

        def test_x(server):
            pathlib.Path("begun").touch()
            time.sleep(600)
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *ISOLATE, "--memreturn-report=report.json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(pytester.path / "begun")

    run.send_signal(2)
    said, _ = run.communicate(timeout=60)

    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in said
    assert (pytester.path / "unmade").exists()
    assert "the run ended while it ran" in (pytester.path / "report.json").read_text()


def test_a_run_that_is_killed_takes_its_tests_along(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    """With no chance to end anything, its isolated tests end all the same."""
    pytester.makepyfile(
        """
        import pathlib, time
        def test_x():
            pathlib.Path("begun").touch()
            time.sleep(600)
        """
    )
    run = subprocess.Popen([sys.executable, "-m", "pytest", *ISOLATE], stdout=subprocess.DEVNULL)
    wait_for(pytester.path / "begun")

    run.kill()
    run.wait()

    psutil.wait_procs([*started_by(tmp_path)], timeout=60)
    for folder in (tmp_path / "scratch").glob("memreturn-*"):  # nobody was left to take it away
        folder.rename(folder.with_name(f"left-{folder.name}"))


def wait_for(file: Path) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("leaves", [False, True])
def test_shared_memory_that_is_left_is_removed(
    pytester: pytest.Pytester, run: Run, *, leaves: bool
) -> None:
    """By the tracker of multiprocessing, that has the time for it; processes may be left too."""
    pytester.makepyfile(
        f"""
        import multiprocessing, pathlib, time
        from multiprocessing.shared_memory import SharedMemory

        def test_x():
            pathlib.Path("name").write_text(SharedMemory(create=True, size=10).name)
            if {leaves}:
                multiprocessing.Process(target=time.sleep, args=(600,)).start()
        """
    )

    run(*ISOLATE).assert_outcomes(passed=1)

    name = (pytester.path / "name").read_text()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)


def test_a_run_that_was_started_with_children_ignored(pytester: pytest.Pytester) -> None:
    """As some supervisors do: how a test's process ended is known all the same."""
    pytester.makepyfile(
        """
        import os, signal
        def test_x():
            assert "PYTEST_MEMRETURN_ISOLATED" in os.environ
            assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
        def test_y():
            os._exit(7)
        """
    )
    start = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        "os.execv(sys.executable, [sys.executable, '-m', 'pytest', *sys.argv[1:]])"
    )

    result = pytester.run(sys.executable, "-c", start, *ISOLATE)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["* ended without a report, with exit status 7 (in its body)"])


def test_an_interpreter_that_takes_too_long_to_start(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is for that as well."""
    pytester.makepyfile(
        sitecustomize="""
        import os, time
        if "PYTEST_MEMRETURN_ISOLATED" in os.environ:
            os.write(1, b"wait for me")
            time.sleep(600)
        """,
        test_app="def test_x(): 0",
    )
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{os.environ['PYTHONPATH']}")

    result = run(*ISOLATE, "--memreturn-isolate-timeout=1")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            (
                "a fresh interpreter could not be started: the process they come from had not "
                "started within 1 s: wait for me"
            )
        ]
    )


def test_a_run_with_many_descriptors(pytester: pytest.Pytester) -> None:
    """Above those that `select` takes."""
    resource = pytest.importorskip("resource")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < 2048:
        pytest.skip("this user may not have so many")
    pytester.makeconftest(
        """
        import os, resource
        HELD = []

        def pytest_configure():
            if "PYTEST_MEMRETURN_ISOLATED" not in os.environ:
                hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
                resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
                HELD.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(1100))
        """
    )
    pytester.makepyfile("def test_x(): 0")

    pytester.runpytest_subprocess(*ISOLATE).assert_outcomes(passed=1)


@pytest.mark.parametrize("where", ["command line", "ini"])
def test_the_log_file_is_the_runs(pytester: pytest.Pytester, run: Run, where: str) -> None:
    """No isolated test empties it, or writes to it."""
    pytester.makepyfile(
        """
        import logging, pytest

        @pytest.mark.returns_memory(isolate=False)
        def test_a(): logging.warning("from the run")

        def test_b(): logging.warning("from elsewhere")
        """
    )
    if where == "ini":
        pytester.makeini("[pytest]\nlog_file = run.log")

    result = run(*ISOLATE, *(["--log-file=run.log"] if where == "command line" else []))

    result.assert_outcomes(passed=2)
    said = (pytester.path / "run.log").read_text()
    assert [line.split()[-1] for line in said.splitlines()] == ["run"]


def test_the_cache_is_cleared_once(pytester: pytest.Pytester, run: Run) -> None:
    """By the run, before its tests."""
    pytester.makepyfile(
        """
        def test_a(cache):
            assert cache.get("mine", 0) == 0
            cache.set("mine", 1)
        def test_b(cache): assert cache.get("mine", 0) == 1
        """
    )

    run(*ISOLATE, "--cache-clear").assert_outcomes(passed=2)
    run(*ISOLATE, "--cache-clear").assert_outcomes(passed=2)


def test_without_plugins_of_pytest(pytester: pytest.Pytester) -> None:
    """What is not there is not asked for."""
    pytester.makepyfile("def test_x(): 0")

    without = [f"-pno:{one}" for one in ("terminal", "logging", "cacheprovider", "tmpdir")]
    result = pytester.runpytest_subprocess(*ISOLATE, *without, "--memreturn-report=report.json")

    assert result.ret == 0
    assert '"test_x"' not in result.stderr.str()
    assert "::test_x" in (pytester.path / "report.json").read_text()


def test_properties_that_no_text_can_be_made_from(pytester: pytest.Pytester, run: Run) -> None:
    """The test has passed all the same."""
    pytester.makepyfile(
        """
        def test_x(record_property):
            around = []
            around.append(around)
            record_property("around", around)
        """
    )

    run(*ISOLATE).assert_outcomes(passed=1)


def test_modules_of_the_project_are_loaded_for_its_tests_only(pytester: pytest.Pytester) -> None:
    """Some have the names of others, which are needed before there is a test."""
    pytester.makepyfile(
        mine="",
        test_app="""
        import argparse, json, os, pathlib, sys
        import mine

        THERE = "PYTEST_MEMRETURN_ISOLATED" in os.environ
        if not THERE:
            for name in ("argparse", "json"):
                pathlib.Path(f"{name}.py").write_text("import os; os.abort()")

        def test_x():
            assert THERE
            assert sys.path.count(os.getcwd()) == 1
        """,
    )

    # Not by `pytester.run`, which has its folder in PYTHONPATH.
    command = [sys.executable, "-m", "pytest", *ISOLATE, "--import-mode=importlib"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert " 1 passed in " in ended.stdout, ended.stdout


def test_kinds_of_tests(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Methods, async tests, doctests, subtests, and parameters that no process could send."""
    pytester.makepyfile(
        test_app='''
        """
        >>> import os
        >>> "PYTEST_MEMRETURN_ISOLATED" in os.environ
        True
        """
        import os, threading, unittest
        import pytest

        def there():
            return "PYTEST_MEMRETURN_ISOLATED" in os.environ

        class TestCase(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.set_up = there()

            def test_method(self):
                self.assertTrue(self.set_up and there())

            def test_subtests(self):
                for n in (1, 2):
                    with self.subTest(n=n):
                        self.assertEqual(n, 1)

        @pytest.mark.anyio
        async def test_async(anyio_backend):
            assert there()

        @pytest.mark.parametrize("thing", [threading.Lock(), lambda: 1, open(os.devnull)])
        def test_parameters(thing):
            assert there()
        '''
    )

    result = run(*ISOLATE, "-p", "anyio", "--doctest-modules", "-k", "not trio")

    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1  # the subtest
    assert len(records()) == 7
    assert {one["isolation"] is not None for one in records().values()} == {True}
    result.stdout.fnmatch_lines(["*test_subtests*", "E * AssertionError: 2 != 1"])


def test_explained(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Under ``--memreturn-explain`` it runs again with the variables of its mark."""
    pytester.makepyfile(
        """
        import os, pytest
        KEPT = []

        @pytest.mark.returns_memory(env={"OWN": "1"})
        def test_keeps_20():
            assert os.environ["OWN"] == "1"
            KEPT.append(bytearray(3_000_000))
        """
    )

    run("--memreturn-explain").assert_outcomes(failed=1)

    found = records()["test_keeps_20"]["explanation"]
    assert found["incomplete"] == []
    assert [one["source"] for one in found["lines"]][:1] == ["KEPT.append(bytearray(3_000_000))"]


def test_the_ratchet(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """An isolated test is recorded, and held to what was recorded, by the run that has the file."""
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.returns_memory(env={"MALLOC_ARENA_MAX": "1"})
        def test_keeps_20(): 0
        """
    )

    run("--memreturn-save=ratchet.json").assert_outcomes(passed=1)
    assert "test_keeps_20" in (pytester.path / "ratchet.json").read_text()
    result = run("--memreturn-compare=ratchet.json")
    result.assert_outcomes(passed=1)
    assert records()["test_keeps_20"]["recorded_bytes"] == 20 * MIB


def test_what_was_said_before_a_crash(pytester: pytest.Pytester, run: Run) -> None:
    """In earlier phases as well, each under its own heading."""
    pytester.makepyfile(
        """
        import os, pytest

        @pytest.fixture
        def said():
            print("in set-up")

        def test_x(said):
            print("in the body")
            os.abort()
        """
    )

    result = run(*ISOLATE)

    result.stdout.fnmatch_lines(
        ["*Captured stdout setup*", "in set-up", "*Captured stdout call*", "in the body"]
    )


def test_a_conftest_that_fails_there(pytester: pytest.Pytester, run: Run) -> None:
    """What pytest says of it is told."""
    pytester.mkpydir("sub").joinpath("conftest.py").write_text(
        "import os\nif 'PYTEST_MEMRETURN_ISOLATED' in os.environ: raise LookupError('only there')"
    )
    pytester.path.joinpath("sub", "test_x.py").write_text("def test_x(): 0")

    for arguments in (["sub"], []):
        result = run(*ISOLATE, *arguments)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*LookupError: only there*"])


def test_an_interpreter_that_does_not_start(pytester: pytest.Pytester, run: Run) -> None:
    """Its tests say why; the others run."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.returns_memory(env={"PYTHONHOME": "/nowhere"})
        @pytest.mark.parametrize("n", range(2))
        def test_x(n): 0

        @pytest.mark.returns_memory(isolate=True)
        def test_y(): 0
        """
    )

    result = run()

    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(
        ["a fresh interpreter could not be started: the process they come from ended: *"]
    )


def test_many_kinds_of_interpreters(pytester: pytest.Pytester, run: Run) -> None:
    """Those that were used last are kept ready; the others are there when they are needed again."""
    pytester.makepyfile(
        """
        import os, pytest

        def kinds(n):
            return pytest.param(n, marks=pytest.mark.returns_memory(env={"KIND": str(n)}))

        @pytest.mark.parametrize("n", [kinds(n) for n in (*range(5), 0)])
        def test_x(n):
            assert os.environ["KIND"] == str(n)
        """
    )

    run().assert_outcomes(passed=6)


def test_what_the_process_says_besides_is_shown(pytester: pytest.Pytester, run: Run) -> None:
    """Beside a test that failed, or its tear-down."""
    pytester.makepyfile(
        """
        import atexit, os
        def test_x():
            atexit.register(os.write, 1, b"said at the end")
            assert 0
        def test_y():
            atexit.register(os.write, 1, b"said by the other")
        """
    )

    result = run(*ISOLATE, "-rP")

    result.stdout.fnmatch_lines(
        [
            "*Captured beside setup, call and teardown*",
            "said at the end",
            "*Captured beside setup, call and teardown*",
            "said by the other",
        ]
    )


def test_an_internal_error_there(pytester: pytest.Pytester, run: Run) -> None:
    """Of a plugin that fails only after the test: its tear-down is what is lost."""
    pytester.makepyfile("def test_x(): 0")
    pytester.makeconftest(
        "import os\ndef pytest_runtest_logfinish():\n"
        "    if 'PYTEST_MEMRETURN_ISOLATED' in os.environ: raise LookupError('a slip')"
    )

    result = run(*ISOLATE)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*LookupError: a slip*"])
