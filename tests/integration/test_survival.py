"""However a run ends, its reports are whole, and say what they have not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pytest_memreturn import _run_report
from pytest_memreturn.report.formats import FORMATS, Format
from pytest_memreturn.report.run import Run

_SUITE = """
import os, pytest, signal
pytestmark = pytest.mark.returns_memory
def test_keeps_30(): pass
def test_ends():
    {act}
def test_returns(): pass
"""

ENDS = "test_app.py::test_ends"


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    status: int
    out: str
    err: str


Here: TypeAlias = Callable[..., Ended]


@pytest.fixture
def suite(pytester: pytest.Pytester, scripted: Path) -> Path:
    """Three tests, with what the second does left open."""
    return pytester.path


def _write(folder: Path, act: str) -> None:
    (folder / "test_app.py").write_text(_SUITE.format(act=act), encoding="utf-8")


def _add_to_conftest(folder: Path, text: str) -> None:
    with (folder / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(text)


@pytest.fixture
def here(pytester: pytest.Pytester) -> Here:
    """Run the suite in this process."""

    def here(*arguments: str, report: str = "report.json") -> Ended:
        result = pytester.runpytest_inprocess(
            f"--memreturn-report={report}", *arguments, no_reraise_ctrlc=True
        )
        return Ended(int(result.ret), result.stdout.str(), result.stderr.str())

    return here


def _process(folder: Path, *arguments: str, report: str = "report.json") -> Ended:
    """The same in a process of its own, which may end; what it says goes into pipes."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            f"--memreturn-report={report}",
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def _report(folder: Path, name: str = "report.json") -> Any:  # noqa: ANN401 - as JSON is
    return json.loads((folder / name).read_text(encoding="utf-8"))


def _verdicts(report: Mapping[str, Any]) -> Mapping[str, str]:
    return {one["nodeid"].partition("::")[2]: one["verdict"] for one in report["tests"]}


def _drafts(folder: Path) -> list[Path]:
    return list(folder.glob(".memreturn-*"))


@pytest.mark.parametrize(
    ("act", "reason", "status"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 2),
        ("pytest.exit('enough')", "Exit: enough", 2),
        ("pytest.exit('enough', returncode=7)", "Exit: enough", 7),
    ],
)
def test_ends_in_a_test(suite: Path, here: Here, act: str, reason: str, status: int) -> None:
    """The report has every verdict that was taken, why there are no more, and what ran."""
    _write(suite, act)

    ended = here()

    assert ended.status == status
    report = _report(suite)
    assert report["partial"] == {
        "reason": f"{reason}; 1 of 3 tests were not reached",
        "running": [ENDS],
    }
    assert _verdicts(report) == {"test_keeps_30": "retained", "test_ends": "unjudged"}
    assert report["summary"]["unjudged"] == 1
    ended_early = report["tests"][1]
    assert ended_early["reason"] == f"the run ended while it ran: {reason}"
    assert ended_early["own_outcome"] is None
    if status == pytest.ExitCode.INTERRUPTED:  # pytest has no summary for a status of one's own
        assert f"\nUNJUDGED {ENDS} - the run ended while it ran: {reason}\n" in ended.out
        assert f"\nPARTIAL {reason}; 1 of 3 tests were not reached\n" in ended.out


def test_ctrl_c(suite: Path) -> None:
    """The same with the signal itself."""
    _write(suite, "os.kill(os.getpid(), signal.SIGINT)")

    ended = _process(suite)

    assert ended.status == pytest.ExitCode.INTERRUPTED
    report = _report(suite)
    assert report["partial"]["running"] == [ENDS]
    assert _verdicts(report) == {"test_keeps_30": "retained", "test_ends": "unjudged"}


@pytest.mark.parametrize("phase", ["set-up", "tear-down"])
def test_ends_in_a_fixture(suite: Path, here: Here, phase: str) -> None:
    """A verdict that was taken before the end stays; one that was still to come is unjudged."""
    _write(suite, "pass")
    acts = ["yield"]
    acts.insert(phase == "tear-down", "raise KeyboardInterrupt")
    _add_to_conftest(
        suite,
        "\n@pytest.fixture\ndef ends():\n    "
        + "\n    ".join(acts)
        + "\ndef pytest_collection_modifyitems(items):\n"
        + "    items[1].fixturenames.append('ends')\n",
    )

    here()

    report = _report(suite)
    assert report["partial"]["running"] == [ENDS]
    verdict = "unjudged" if phase == "set-up" else "returned"
    assert _verdicts(report) == {"test_keeps_30": "retained", "test_ends": verdict}


# What the test asks for, its fixture, its body; and how many verdicts of which kind there are.
_STOP = "raise KeyboardInterrupt"
_BEFORE: dict[str, tuple[str, str, str, dict[str, int]]] = {
    "a subtest": ("subtests", "pass", f"with subtests.test(): pass\n    {_STOP}", {"unjudged": 1}),
    "a failed subtest": (
        *("subtests", "pass", f"with subtests.test(): assert 0\n    {_STOP}"),
        {"unjudged": 1},
    ),
    "a block in a fixture": (
        *("memreturn", "with memreturn(): pass\n    yield", _STOP),
        {"returned": 1, "unjudged": 1},
    ),
    "a test that failed": ("request", f"yield\n    {_STOP}", "assert 0", {"unjudged": 1}),
    "a set-up that failed": (
        *("request", "request.addfinalizer(interrupt); assert 0", "pass"),
        {"unjudged": 1},
    ),
}


@pytest.mark.parametrize("case", _BEFORE.values(), ids=list(_BEFORE))
def test_ends_after(suite: Path, here: Here, case: tuple[str, str, str, Mapping[str, int]]) -> None:
    """A test has one record of its own, whatever else was reported of it before."""
    asks_for, setup, body, verdicts = case
    if asks_for == "subtests":
        pytest.importorskip("_pytest.subtests", reason="a part of pytest from 9.0 on")
    (suite / "test_app.py").write_text(
        f"""
import pytest
def interrupt(): {_STOP}
@pytest.fixture
def around({asks_for}):
    {setup}
@pytest.mark.returns_memory
def test_ends({asks_for}, around):
    {body}
""",
        encoding="utf-8",
    )

    here()

    report = _report(suite)
    assert report["partial"] == {"reason": "KeyboardInterrupt", "running": [ENDS]}
    found = [one["verdict"] for one in report["tests"]]
    assert {verdict: found.count(verdict) for verdict in found} == verdicts


def test_interrupted_twice(suite: Path) -> None:
    """A second Ctrl-C, while pytest tells of the first, is no way to lose the report."""
    _write(suite, "raise KeyboardInterrupt")
    _add_to_conftest(suite, "\ndef pytest_keyboard_interrupt(): raise KeyboardInterrupt\n")

    ended = _process(suite)

    assert ended.status not in {0, 1}
    assert _report(suite)["partial"]["reason"].startswith("KeyboardInterrupt; ")


def test_interrupted_without_any_report(suite: Path, here: Here, pytester: pytest.Pytester) -> None:
    """The summary says which verdict is missing."""
    _write(suite, "raise KeyboardInterrupt")

    ended = here(report="table")
    assert "PARTIAL KeyboardInterrupt; 1 of 3 tests were not reached" in ended.out

    shown = pytester.runpytest_inprocess(no_reraise_ctrlc=True).stdout.str()
    assert f"UNJUDGED {ENDS} - the run ended while it ran: KeyboardInterrupt" in shown
    assert "PARTIAL" not in shown


@pytest.mark.parametrize(
    ("arguments", "reason", "running"),
    [
        (["-x"], "stopping after 1 failures; 2 of 3 tests were not reached", []),
        (["--maxfail=2"], None, []),
        (
            ["--stepwise"],
            "Test failed, continuing from this test next run.; 2 of 3 tests were not reached",
            [],
        ),
    ],
)
def test_stops_by_itself(
    suite: Path, here: Here, arguments: list[str], reason: str | None, running: list[str]
) -> None:
    """A run that was told to stop early says so; one that did not come to that is whole."""
    _write(suite, "pass")

    here(*arguments)

    report = _report(suite)
    partial = {"reason": reason, "running": running} if reason else None
    assert report["partial"] == partial
    assert _verdicts(report)["test_keeps_30"] == "retained"


def test_a_limit_that_the_last_test_reaches(suite: Path, here: Here) -> None:
    """Nothing is missing, and the report does not say so."""
    _write(suite, "pass")
    here("-x", "-k", "keeps_30")
    assert _report(suite)["partial"] is None


def test_no_test_could_be_collected(suite: Path, here: Here) -> None:
    """A report without any record says why."""
    _write(suite, "pass")
    (suite / "test_broken.py").write_text("import no_such_module", encoding="utf-8")

    ended = here()

    assert ended.status == pytest.ExitCode.INTERRUPTED
    report = _report(suite)
    assert report["partial"]["reason"].startswith("1 error during collection; 3 of 3 tests")
    assert report["tests"] == []


def test_an_internal_error(suite: Path, here: Here) -> None:
    """Where pytest itself fails, what was judged until then is reported."""
    _write(suite, "pass")
    _add_to_conftest(
        suite,
        "\ndef pytest_runtest_teardown(item):\n"
        "    pass\n"
        "def pytest_runtest_logfinish(nodeid):\n"
        "    if 'ends' in nodeid: raise RuntimeError('broken\\nhook')\n",
    )

    ended = here()

    assert ended.status == pytest.ExitCode.INTERNAL_ERROR
    report = _report(suite)
    assert report["partial"]["reason"].startswith("internal error: RuntimeError: broken; 1 of 3")
    assert _verdicts(report) == {"test_keeps_30": "retained", "test_ends": "returned"}


@pytest.mark.parametrize("error", ["RuntimeError('broken')", "KeyboardInterrupt"])
def test_others_fail_at_the_end(suite: Path, error: str) -> None:
    """The report is written whatever the hooks and fixtures of others do when the run is over."""
    _write(suite, "pass")
    _add_to_conftest(suite, f"\ndef pytest_sessionfinish(): raise {error}\n")

    ended = _process(suite)

    assert ended.status != 0
    report = _report(suite)
    assert report["partial"] is None
    assert len(report["tests"]) == 3


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_signal_that_ends_the_process(suite: Path, name: str) -> None:
    """Nothing can be written then: the report of the run before stays as it is, and no draft."""
    _write(suite, f"os.kill(os.getpid(), signal.{name})")
    (suite / "report.json").write_text("of the run before", encoding="utf-8")

    ended = _process(suite)

    assert ended.status == -getattr(signal, name)
    assert (suite / "report.json").read_text(encoding="utf-8") == "of the run before"
    assert not _drafts(suite)


def test_sigterm_as_an_interrupt(suite: Path) -> None:
    """Whoever wants a report after SIGTERM gives it the handler of Ctrl-C."""
    _write(suite, "os.kill(os.getpid(), signal.SIGTERM)")
    _add_to_conftest(
        suite, "\nimport signal\nsignal.signal(signal.SIGTERM, signal.default_int_handler)\n"
    )

    ended = _process(suite)

    assert ended.status == pytest.ExitCode.INTERRUPTED
    assert _report(suite)["partial"]["running"] == [ENDS]


# -- where a report can't be written --


def test_a_full_disk(suite: Path) -> None:
    """The old report stays whole; the run says so in the end, and fails."""
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    (suite / "report.json").write_text("of the run before", encoding="utf-8")
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (9, resource.RLIM_INFINITY))"
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))"
    _write(suite, f"import resource; {limit}")

    ended = _process(suite, "--memreturn-report")

    assert ended.status == pytest.ExitCode.INTERNAL_ERROR
    assert "\ncannot write report.json: File too large\n" in ended.out
    # Records that found no room on the disk were kept, and are in the table.
    assert "\n3 judged: 2 returned, 1 retained (30.0 MiB)\n" in ended.out
    assert ended.out.count("test_app.py::test_returns") == 1
    assert (suite / "report.json").read_text(encoding="utf-8") == "of the run before"
    assert not _drafts(suite)


def test_a_device_is_no_report(suite: Path, here: Here) -> None:
    """A path that holds no file is refused before the first test."""
    _write(suite, "pass")

    ended = here(report="json:/dev/full")

    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "cannot write 'json:/dev/full': there is something that is no regular file" in ended.err
    assert "collected" not in ended.out


def _breaks(run: Run) -> Iterator[str]:
    yield "the beginning"
    raise LookupError("a\nbug")


def test_a_format_that_fails(
    suite: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other reports are written; the one that could not be is named, and fails the run."""
    _write(suite, "pass")
    (suite / "old.json").write_text("of the run before", encoding="utf-8")
    formats = {"json": Format(".json", _breaks)}
    monkeypatch.setattr(_run_report, "FORMATS", _FirstOf(formats))

    result = pytester.runpytest_inprocess(
        "--memreturn-report=old.json", "--memreturn-report=new.json"
    )

    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["cannot write old.json: LookupError: a bug"])
    assert (suite / "old.json").read_text(encoding="utf-8") == "of the run before"
    assert len(_report(suite, "new.json")["tests"]) == 3
    assert not _drafts(suite)


class _FirstOf(dict[str, Format]):
    """Gives each format once, and from then on the true one."""

    def __getitem__(self, name: str) -> Format:
        return self.pop(name, FORMATS[name])


@pytest.mark.parametrize("arguments", [["-p", "no:terminal"], []])
def test_where_there_is_no_summary(suite: Path, here: Here, arguments: list[str]) -> None:
    """Without one, as after an internal error, a lost report is told on the error stream."""
    _write(suite, "os.rmdir('reports')")
    if not arguments:
        _add_to_conftest(
            suite, "\ndef pytest_runtest_logfinish(nodeid): 'ends' in nodeid and 1 / 0\n"
        )

    ended = here(*arguments, report="reports/report.json")

    assert ended.status == pytest.ExitCode.INTERNAL_ERROR
    lost = f"memreturn: cannot write {Path('reports/report.json')}: No such file or directory"
    assert lost in ended.err
    assert "cannot write" not in ended.out


def test_two_runs_with_one_report(suite: Path, here: Here) -> None:
    """The later one counts, whole; whoever reads in between has the whole of the earlier."""
    other = suite / "other"
    other.mkdir()
    (other / "conftest.py").write_text((suite / "conftest.py").read_text(encoding="utf-8"), "utf-8")
    (other / "test_other.py").write_text(
        "import pytest\n@pytest.mark.returns_memory\ndef test_returns(): pass\n", "utf-8"
    )
    _write(
        suite,
        "import pathlib, subprocess, sys; subprocess.run([sys.executable, '-m', 'pytest', "
        "'-p', 'no:cacheprovider', '--memreturn-report=../report.json'], cwd='other', check=True); "
        "pathlib.Path('between.json').write_bytes(pathlib.Path('report.json').read_bytes())",
    )

    ended = here("test_app.py")

    assert ended.status == pytest.ExitCode.TESTS_FAILED
    assert list(_verdicts(_report(suite, "between.json"))) == ["test_returns"]
    assert len(_report(suite)["tests"]) == 3
    assert not _drafts(suite)
