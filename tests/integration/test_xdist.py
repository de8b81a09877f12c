"""The same run alone and spread over processes: same verdicts, same report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]

_SUITE = """
import pytest
pytestmark = pytest.mark.returns_memory

@pytest.mark.parametrize("n", range(6))
def test_returns(n): pass
def test_keeps_30(): pass
def test_keeps_9(): pass
@pytest.mark.returns_memory(trim=True)
def test_holds_30(): pass
def test_unreadable(): pass
def test_fails(): assert 0
def test_skips(): pytest.skip("not today")
@pytest.mark.xfail
def test_keeps_40(): pass
@pytest.mark.returns_memory(min_returned="120%")
def test_wrong(): pass
@pytest.mark.returns_memory(enabled=False)
def test_block_keeps_20(memreturn):
    with memreturn("25 MiB", label="inner"): pass
@pytest.mark.returns_memory(enabled=False)
def test_block_keeps_21(memreturn):
    with memreturn(): pass
"""

_OUTCOMES = {"passed": 9, "failed": 4, "skipped": 1, "xfailed": 1, "errors": 1}
_COUNTS = "12 judged: 8 returned, 4 retained (100.0 MiB), 4 unjudged"
_WAYS = {"alone": (), "-n0": ("-p", "xdist", "-n0"), "-n2": ("-p", "xdist", "-n2")}


def _records(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], set[str | None]]:
    report = json.loads((path / "report.json").read_text(encoding="utf-8"))
    workers = {one.pop("worker") for one in report["tests"]}
    tests = sorted(report["tests"], key=lambda one: (one["nodeid"], one["label"] or ""))
    return report["summary"], tests, workers


def test_same_verdicts_on_every_way(pytester: pytest.Pytester, run: Run) -> None:
    """Outcomes, exit status, counts and records don't depend on who runs the tests."""
    pytester.makepyfile(test_app=_SUITE)
    summaries, records, workers, messages = {}, {}, {}, {}
    for way, arguments in _WAYS.items():
        result = run(*arguments, "--memreturn-report")
        result.assert_outcomes(**_OUTCOMES)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines([_COUNTS])
        summaries[way], records[way], workers[way] = _records(pytester.path)
        messages[way] = sorted(line for line in result.outlines if line.startswith("kept "))

    assert summaries["alone"] == summaries["-n0"] == summaries["-n2"]
    assert records["alone"] == records["-n0"] == records["-n2"]
    assert messages["alone"] == messages["-n0"] == messages["-n2"]
    assert workers == {"alone": {None}, "-n0": {None}, "-n2": {"gw0", "gw1"}}


def test_a_label_that_is_no_text(pytester: pytest.Pytester, run: Run) -> None:
    """A block's name that no encoding knows is shown written out, from a worker as from here."""
    pytester.makepyfile(
        test_app="""
        def test_keeps_30(memreturn):
            with memreturn(label="\\udcff"): pass
        """
    )
    for way in _WAYS.values():
        result = run(*way)
        result.assert_outcomes(failed=1)
        _, (record,), _ = _records(pytester.path)
        assert (record["label"], record["verdict"]) == ("\udcff", "retained")


def test_exitfirst_over_processes(pytester: pytest.Pytester, run: Run) -> None:
    """``-x`` under xdist ends early, and the report has the test that ended it."""
    pytester.makepyfile(test_app=_SUITE)

    result = run("-p", "xdist", "-n1", "-x", "-k", "keeps_30 or keeps_9")

    assert result.ret != pytest.ExitCode.OK
    _, tests, _ = _records(pytester.path)
    assert "test_app.py::test_keeps_30" in {one["nodeid"] for one in tests}
    assert _partial(pytester.path)["reason"].startswith("stopping after 1 failures")


def test_wrong_option_is_said_once(pytester: pytest.Pytester, run: Run) -> None:
    """A wrong value is refused by the controller, before any worker starts."""
    pytester.makepyfile(test_app=_SUITE)

    result = run("-p", "xdist", "-n2", "--memreturn-max-retained=much")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if "much" in line]
    assert len(errors) == 1


_WORKERS = ("--tx", "2*popen")


@pytest.mark.extended
@pytest.mark.parametrize(
    "arguments",
    [
        ("-n2", "--dist=loadscope"),
        ("-n2", "--dist=loadfile"),
        ("-n2", "--dist=loadgroup"),
        ("-n2", "--dist=worksteal"),
        ("--dist=load", "--tx", f"2*popen//python={Path(sys.executable).resolve()}"),
    ],
    ids=["loadscope", "loadfile", "loadgroup", "worksteal", "another interpreter"],
)
def test_however_they_are_spread(
    pytester: pytest.Pytester,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    """No verdict depends on which worker runs a test, nor on whose interpreter that is."""
    # What an interpreter without packages of its own needs to run the tests.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], *sys.path]))
    pytester.makepyfile(test_app=_SUITE)
    run()
    alone = _records(pytester.path)

    result = run("-p", "xdist", *arguments, "--memreturn-report")

    result.assert_outcomes(**_OUTCOMES)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([_COUNTS])
    spread = _records(pytester.path)
    assert spread[:2] == alone[:2]
    assert spread[2] <= {"gw0", "gw1"}
    assert _partial(pytester.path) is None


def test_each_worker_runs_every_test(pytester: pytest.Pytester, run: Run) -> None:
    """Every test has a record from each, which says which, and all are counted."""
    pytester.makepyfile(test_app=_SUITE)
    run()
    summary, alone, _ = _records(pytester.path)

    result = run("-p", "xdist", "--dist=each", *_WORKERS)

    result.assert_outcomes(**{outcome: 2 * count for outcome, count in _OUTCOMES.items()})
    report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    assert report["summary"] == {name: 2 * count for name, count in summary.items()}
    assert report["partial"] is None
    for worker in ("gw0", "gw1"):
        of_worker = [one for one in report["tests"] if one["worker"] == worker]
        assert {(one["nodeid"], one["label"], one["verdict"]) for one in of_worker} == {
            (one["nodeid"], one["label"], one["verdict"]) for one in alone
        }


def _partial(path: Path) -> Any:  # noqa: ANN401 - as JSON is
    return json.loads((path / "report.json").read_text(encoding="utf-8"))["partial"]


_DYING = """
import os, pytest, signal
pytestmark = pytest.mark.returns_memory

@pytest.fixture
def dies_before(): os.kill(os.getpid(), signal.SIGKILL)

@pytest.fixture
def dies_after():
    yield
    os.kill(os.getpid(), signal.SIGKILL)

def test_keeps_30(): pass
{test}
def test_returns(): pass
"""
_BODY = "def test_dies(): os.kill(os.getpid(), signal.SIGKILL)"
_DIES = "test_app.py::test_dies"
_OTHERS = {"test_keeps_30": "retained", "test_returns": "returned"}
_LOST = {"verdict": "unjudged", "reason": "worker gw0 died while it ran", "own_outcome": "failed"}


def _verdicts(path: Path) -> dict[str, str]:
    return {one["nodeid"].partition("::")[2]: one["verdict"] for one in _records(path)[1]}


@pytest.mark.parametrize("workers", ["-n1", "-n2"])
def test_worker_that_dies(pytester: pytest.Pytester, run: Run, workers: str) -> None:
    """Its test is unjudged, and says why; nothing else is lost, since another takes its place."""
    pytester.makepyfile(test_app=_DYING.format(test=_BODY))

    result = run("-p", "xdist", workers, "--memreturn-report")

    result.assert_outcomes(passed=1, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert _verdicts(pytester.path) == {**_OTHERS, "test_dies": "unjudged"}
    report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    (lost,) = (one for one in report["tests"] if one["nodeid"] == _DIES)
    worker = lost["worker"]
    reason = f"worker {worker} died"
    assert lost | {**_LOST, "reason": f"{reason} while it ran"} == lost
    assert report["partial"] == {"reason": reason, "running": [_DIES]}
    result.stdout.fnmatch_lines([f"PARTIAL {reason}"])
    assert f"UNJUDGED {_DIES}" not in result.stdout.str()  # it failed, and is shown as that


def test_worker_without_a_successor(pytester: pytest.Pytester, run: Run) -> None:
    """Where none takes its place, the report counts what nobody has run."""
    pytester.makepyfile(test_app=_DYING.format(test=_BODY))

    result = run("-p", "xdist", "-n1", "--max-worker-restart=0")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert _verdicts(pytester.path) == {"test_keeps_30": "retained", "test_dies": "unjudged"}
    assert _partial(pytester.path) == {
        "reason": "worker gw0 died; 1 of 3 tests were not reached",
        "running": [_DIES],
    }


@pytest.mark.parametrize(
    ("test", "arguments", "verdict"),
    [
        # Where only marks say what is judged, nobody has seen them when the worker dies.
        ("def test_dies(dies_before): pass", (), None),
        ("def test_dies(dies_before): pass", ("--memreturn",), "unjudged"),
        ("def test_dies(dies_after): pass", ("--memreturn",), "returned"),
        ("@pytest.mark.returns_memory(enabled=False)\n" + _BODY, (), None),
    ],
    ids=["set-up", "set-up, all judged", "tear-down", "not judged"],
)
def test_worker_that_dies_around_a_body(
    pytester: pytest.Pytester,
    run: Run,
    test: str,
    arguments: tuple[str, ...],
    verdict: str | None,
) -> None:
    """A verdict that was taken stays; the report names the test in any case."""
    pytester.makepyfile(test_app=_DYING.format(test=test))

    result = run("-p", "xdist", "-n1", *arguments)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    expected = _OTHERS if verdict is None else {**_OTHERS, "test_dies": verdict}
    assert _verdicts(pytester.path) == expected
    assert _partial(pytester.path) == {"reason": "worker gw0 died", "running": [_DIES]}


def test_worker_that_dies_in_a_test_of_all(pytester: pytest.Pytester, run: Run) -> None:
    """The verdict that the other worker came to stands beside the one that is missing."""
    pytester.makepyfile(
        test_app=_DYING.format(
            test="def test_dies():\n"
            "    if os.environ['PYTEST_XDIST_WORKER'] == 'gw1':\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
        )
    )

    run("-p", "xdist", "--dist=each", *_WORKERS, "--max-worker-restart=0")

    report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    found = {(one["nodeid"], one["worker"]): one["verdict"] for one in report["tests"]}
    assert found == {
        ("test_app.py::test_keeps_30", "gw0"): "retained",
        ("test_app.py::test_keeps_30", "gw1"): "retained",
        (_DIES, "gw0"): "returned",
        (_DIES, "gw1"): "unjudged",
        ("test_app.py::test_returns", "gw0"): "returned",
    }
    assert report["partial"] == {"reason": "worker gw1 died", "running": [_DIES]}


def test_a_crashed_test_that_another_plugin_runs_again(pytester: pytest.Pytester, run: Run) -> None:
    """The verdict of the second time counts, and nothing runs any more at the end."""
    pytester.makepyfile(
        test_app=_DYING.format(
            test="def test_dies():\n"
            "    if not os.path.exists('died'):\n"
            "        open('died', 'w').close()\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
        )
    )
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\n@pytest.hookimpl(optionalhook=True)\n"
            "def pytest_handlecrashitem(crashitem, report, sched):\n"
            "    sched.mark_test_pending(crashitem)\n"
            "    report.outcome = 'rerun'\n"
        )

    run("-p", "xdist", "-n1")

    assert _verdicts(pytester.path) == {**_OTHERS, "test_dies": "returned"}
    assert _partial(pytester.path) == {"reason": "worker gw0 died", "running": []}


def test_worker_that_is_interrupted(pytester: pytest.Pytester, run: Run) -> None:
    """It ends the run, and the report says which it was."""
    pytester.makepyfile(test_app=_DYING.format(test="def test_dies(): raise KeyboardInterrupt"))

    result = run("-p", "xdist", "-n1")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert _partial(pytester.path) == {
        "reason": "worker gw0 was interrupted; 1 of 3 tests were not reached",
        "running": [_DIES],
    }
    assert _verdicts(pytester.path) == {"test_keeps_30": "retained", "test_dies": "unjudged"}


def test_controller_that_is_interrupted(pytester: pytest.Pytester, scripted: Path) -> None:
    """Ctrl-C leaves a whole report of what had reached the controller by then."""
    pytester.makepyfile(
        test_app=_DYING.format(test="def test_stops(): os.kill(os.getppid(), signal.SIGINT)")
    )

    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", "-n1"),
            "--memreturn-report=report.json",
        ],
        cwd=pytester.path,
        capture_output=True,
        check=False,
        timeout=120,
    )

    assert ended.returncode == pytest.ExitCode.INTERRUPTED
    assert _partial(pytester.path)["reason"].startswith("KeyboardInterrupt")
    assert set(_verdicts(pytester.path)) <= {"test_keeps_30", "test_stops", "test_returns"}
