"""Isolated tests beside other plugins: each does its part once, on one side or on the other."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import coverage
import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]

ISOLATE = ("--memreturn", "--memreturn-isolate")


def test_xdist(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """In a worker: the test is told which, and what comes of it reaches the controller."""
    pytester.makepyfile(
        """
        import os
        def test_a(worker_id, testrun_uid):
            assert worker_id in ("gw0", "gw1")
            assert testrun_uid == os.environ["PYTEST_XDIST_TESTRUNUID"]
        def test_b_keeps_20(worker_id): 0
        def test_c(): os.abort()
        def test_d(): 0
        """
    )

    result = run(*ISOLATE, "-p", "xdist.plugin", "-n2")

    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["the interpreter of this isolated test was killed by SIGABRT*"])
    found = {
        name: (one["verdict"], one["isolation"] is not None) for name, one in records().items()
    }
    assert found == {
        "test_a": ("returned", True),
        "test_b_keeps_20": ("retained", True),
        "test_c": ("unjudged", True),
        "test_d": ("returned", True),
    }
    assert {one["worker"] for one in records().values()} <= {"gw0", "gw1"}


def test_groups_of_xdist(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Before pytest 9 the name of a test in a worker has its group behind it."""
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.xdist_group("red")
        def test_x_keeps_20(): 0
        @pytest.mark.xdist_group("red")
        def test_y(): 0
        """
    )

    result = run(*ISOLATE, "-p", "xdist.plugin", "-n2", "--dist=loadgroup")

    result.assert_outcomes(passed=1, failed=1)
    assert {one["isolation"] is not None for one in records().values()} == {True}
    result.stdout.no_fnmatch_line("UNJUDGED *")


@pytest.mark.parametrize("method", ["signal", "thread"])
@pytest.mark.parametrize("where", ["mark", "command line"])
def test_timeout(pytester: pytest.Pytester, run: Run, method: str, where: str) -> None:
    """The timer is that of the test's process; the run goes on, whichever way it ends the test."""
    mark = f"@pytest.mark.timeout(1, method={method!r})" if where == "mark" else ""
    pytester.makepyfile(
        f"import pytest, time\n{mark}\ndef test_x():\n    print('said')\n    time.sleep(600)\n"
        "def test_y(): 0"
    )
    arguments = [] if mark else ["--timeout=1", f"--timeout-method={method}"]

    result = run(*ISOLATE, "-p", "pytest_timeout", *arguments)

    result.assert_outcomes(failed=1, passed=1)
    told = {
        "signal": "E * Timeout (>1.0s) from pytest-timeout.",
        "thread": "the interpreter of this isolated test ended without a report*",
    }
    result.stdout.fnmatch_lines([told[method]])
    result.stdout.fnmatch_lines(["*time.sleep(600)*"])
    assert "said" in result.outlines


def test_a_timer_of_the_run_does_not_fire(pytester: pytest.Pytester, run: Run) -> None:
    """What the fresh interpreter takes to start is not the test's time."""
    pytester.makepyfile("def test_x(): pass")
    pytester.makeconftest("import time\ndef pytest_sessionstart(): time.sleep(0.5)")

    run(*ISOLATE, "-p", "pytest_timeout", "--timeout=0.4").assert_outcomes(passed=1)


def test_rerunfailures(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Each attempt has an interpreter of its own, and the last one counts."""
    pytester.makepyfile(
        """
        from pathlib import Path
        TRIES = []
        def test_x():
            TRIES.append(1)
            with Path("tries").open("a") as file:
                file.write("x")
            assert len(TRIES) == 1
            assert len(Path("tries").read_text()) == 3
        """
    )

    result = run(*ISOLATE, "-p", "pytest_rerunfailures", "--reruns=5")

    assert result.parseoutcomes() == {"passed": 1, "rerun": 2}
    assert (pytester.path / "tries").read_text() == "xxx"
    assert records()["test_x"]["verdict"] == "returned"
    assert len(records()["test_x"]["earlier_attempts"]) == 2


def test_randomly_and_repeat(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """The seed is that of the run, and each repetition is a test of its own."""
    pytester.makepyfile(
        """
        import random
        from pathlib import Path
        def test_x(request):
            with Path("seen").open("a") as file:
                file.write(f"{request.config.option.randomly_seed} {random.random()}\\n")
        """
    )

    plugins = ("-p", "pytest_randomly", "-p", "pytest_repeat", "--count=3")
    result = run(*ISOLATE, *plugins)

    result.assert_outcomes(passed=3)
    assert len(records()) == 3
    seen = pytester.path / "seen"
    isolated = sorted(seen.read_text().splitlines())
    seed = isolated[0].split()[0]
    result.stdout.fnmatch_lines([f"Using --randomly-seed={seed}"])
    seen.unlink()
    run(*plugins, f"--randomly-seed={seed}").assert_outcomes(passed=3)
    assert sorted(seen.read_text().splitlines()) == isolated


@pytest.mark.parametrize("program", ["coverage", "pytest-cov"])
def test_coverage(
    pytester: pytest.Pytester,
    scripted: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
) -> None:
    """With ``patch = subprocess`` lines count that only an isolated test has run."""
    for name in [one for one in os.environ if one.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)
    (pytester.path / ".coveragerc").write_text(
        "[run]\npatch = subprocess\nsource = .\nparallel = true\n"
    )
    pytester.makepyfile(
        mine="def there():\n    return 1\n\ndef nowhere():\n    return 2\n",
        test_app="import mine\n\ndef test_x():\n    assert mine.there() == 1\n",
    )
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{os.environ['PYTHONPATH']}")
    if program == "coverage":
        command = ["-m", "coverage", "run", "-m", "pytest", *ISOLATE]
        assert pytester.run(sys.executable, *command).ret == 0
        assert pytester.run(sys.executable, "-m", "coverage", "combine").ret == 0
    else:
        command = ["-m", "pytest", "-p", "pytest_cov", "--cov", "--cov-report=", *ISOLATE]
        assert pytester.run(sys.executable, *command).ret == 0

    data = coverage.CoverageData(str(pytester.path / ".coverage"))
    data.read()
    lines = {Path(file).name: data.lines(file) for file in data.measured_files()}
    assert sorted(lines["mine.py"] or ()) == [1, 2, 4]
    assert sorted(lines["test_app.py"] or ()) == [1, 3, 4]


@pytest.mark.parametrize("flags", [["-x"], ["--maxfail=1"]])
def test_the_first_failure_ends_the_run(
    pytester: pytest.Pytester, run: Run, flags: list[str]
) -> None:
    """And what it was is remembered."""
    pytester.makepyfile("def test_a(): 0\ndef test_b(): assert 0\ndef test_c(): 0")

    run(*ISOLATE, *flags).assert_outcomes(passed=1, failed=1)

    cached = pytester.path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    assert [*json.loads(cached.read_text())] == ["test_the_first_failure_ends_the_run.py::test_b"]
    result = run(*ISOLATE, "--lf")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["run-last-failure: rerun previous 1 failure"])
