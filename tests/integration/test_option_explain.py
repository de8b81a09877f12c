"""``--memreturn-explain``: a test that retained runs again in fresh interpreters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]

MIB = 1024 * 1024

# 30 MiB are kept: always; unless a variable is set; or only in the run itself.
_PLAYED = """
import os, sys
import pytest
from pytest_memreturn import RemedyCandidate
from pytest_memreturn.testing import Script, play

MIB = 1024 * 1024
BASE = 50 * MIB
IN_A_RERUN = os.path.basename(sys.argv[0]) == "child.py"

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    kept = 30
    if "MALLOC_TRIM_THRESHOLD_" in os.environ or (IN_A_RERUN and "together" in item.name):
        kept = 1
    if "OWN" in os.environ:
        kept = 10
    play(item.config, [Script(BASE, end=BASE + (kept + 5) * MIB, collect=BASE + kept * MIB)])

def works():
    print("called")

def fails():
    raise LookupError("no such pool")

def pytest_memreturn_remedies():
    return [
        RemedyCandidate("my switch", "switch it on", env={"OWN": "1"}),
        RemedyCandidate("my call", "call it", call=works),
        RemedyCandidate("my mistake", "call it", call=fails),
    ]
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, scripted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose memory is played here and in re-runs."""
    pytester.makeconftest(_PLAYED)
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)


def explanation(records: Records, name: str) -> dict[str, Any]:
    """What is explained of a test."""
    found: dict[str, Any] = records()[name]["explanation"]
    return found


def test_remedies_lines_and_timeline(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Each remedy has a fresh interpreter; the message quotes what helped, with its bytes."""
    pytester.makepyfile(
        test_app="""
        import os
        KEPT = []
        START = os.getpid()

        def test_keeps(tmp_path, request):
            assert not request.config.option.memreturn_explain or os.getpid() == START
            KEPT.append(bytearray(3_000_000))
            (tmp_path / "file").touch(exist_ok=False)
        """
    )

    result = run(
        "--memreturn", "--memreturn-explain", "--junitxml=junit.xml", "-vv", "-k", "test_keeps"
    )

    found = explanation(records, "test_keeps")
    assert found["incomplete"] == []
    assert found["one_time"] is False
    (line, *_) = found["lines"]
    assert (line["file"], line["line"]) == ("test_app.py", 7)
    assert line["source"] == "KEPT.append(bytearray(3_000_000))"
    assert 3_000_000 <= line["bytes"] < 3_100_000
    assert [size for _, size in found["timeline"]][-1] == 85 * MIB
    remedies = {one["name"]: one for one in found["remedies"]}
    kept = {name: one["retained_bytes"] for name, one in remedies.items()}
    assert [*kept][:2] == ["MALLOC_TRIM_THRESHOLD_=131072", "my switch"]
    assert kept["MALLOC_TRIM_THRESHOLD_=131072"] == MIB
    assert kept["my switch"] == 10 * MIB
    assert kept["malloc_trim(0)"] == kept["my call"] == kept["PYTHONMALLOC=malloc"] == 30 * MIB
    assert kept["the work in a child process that ends"] == 30 * MIB
    assert remedies["gc.collect()"]["returns_bytes"] == 5 * MIB
    assert remedies["my mistake"]["reason"] == "LookupError: no such pool"
    assert remedies["my mistake"]["retained_bytes"] is None
    result.stdout.fnmatch_lines(
        [
            "  line       2.9 MiB test_app.py:7 KEPT.append(bytearray(3_000_000))",
            "  remedy     MALLOC_TRIM_THRESHOLD_=131072: keeps 1.0 MiB, returns +29.0 MiB: set *",
            "  remedy     my mistake: not known: LookupError: no such pool",
            "  try        MALLOC_TRIM_THRESHOLD_=131072 (tried: returns 29.0 MiB) ·",
            "             my switch (tried: returns 20.0 MiB)",
        ]
    )
    assert (pytester.path / "junit.xml").read_text(encoding="utf-8").count("<testcase") == 1


@pytest.mark.parametrize("switch", ["command line", "ini", "xdist"])
def test_alone_it_returns_its_memory(
    pytester: pytest.Pytester, run: Run, records: Records, switch: str
) -> None:
    """What only earlier tests bring about is said, and nothing is tried."""
    pytester.makepyfile("def test_together(tmp_path): (tmp_path / 'file').touch(exist_ok=False)")
    if switch == "ini":
        pytester.makeini("[pytest]\nmemreturn = true\nmemreturn_explain = true")
    flags = [] if switch == "ini" else ["--memreturn", "--memreturn-explain"]
    # No place of the run's own is written to again.
    own = [f"--basetemp={pytester.path / 'own'}"]
    if switch == "xdist":
        flags += ["-p", "xdist.plugin", "-n1"]

    run(*flags, *own).assert_outcomes(failed=1)

    found = explanation(records, "test_together")
    assert found["incomplete"] == [
        (
            "alone it returns its memory (it keeps 1.0 MiB): "
            "what earlier tests leave behind makes the difference, and isolate=True keeps it out"
        )
    ]
    assert found["remedies"] == []
    assert [*(pytester.path / "own").rglob("file")]


def test_a_test_with_its_fixtures_is_explained(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """As any other: it is what runs again."""
    # Played before the first window opens.
    pytester.makeconftest(
        """
        import os, sys
        from pytest_memreturn.testing import Script, play

        def pytest_collection_finish(session):
            is_a_rerun = os.path.basename(sys.argv[0]) == "child.py"
            kept = 1 if is_a_rerun else 30 * 1024 * 1024
            play(session.config, [Script(1000, end=1000 + kept)])
        """
    )
    pytester.makepyfile("def test_together(): pass")

    run("--memreturn", "--memreturn-explain", "--memreturn-window=test").assert_outcomes(
        passed=1, errors=1
    )

    (reason,) = explanation(records, "test_together")["incomplete"]
    assert reason.startswith("alone it returns its memory")


def test_without_the_option_nothing_runs_again(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """The explanation has what the process itself knows."""
    pytester.makepyfile("def test_keeps(): open('runs', 'a').write('x')")

    run("--memreturn").assert_outcomes(failed=1)

    assert (pytester.path / "runs").read_text(encoding="utf-8") == "x"
    assert explanation(records, "test_keeps")["remedies"] == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param(
            "import os, pytest\n@pytest.mark.parametrize('n', [os.getpid()])\ndef test_keeps(n): 0",
            "the test was not found again: its id may change from run to run",
            id="unstable",
        ),
        pytest.param(
            "import conftest\ndef test_keeps(): assert not conftest.IN_A_RERUN",
            "the test failed by itself",
            id="fails",
        ),
        pytest.param(
            "import time, conftest\ndef test_keeps(): time.sleep(600 * conftest.IN_A_RERUN)",
            "it had not ended within 2 s",
            id="hangs",
        ),
        pytest.param(
            "import os, conftest\nif conftest.IN_A_RERUN: os._exit(7)\ndef test_keeps(): 0",
            "it ended with status 7*",
            id="ends",
        ),
        pytest.param(
            "import conftest\nif conftest.IN_A_RERUN: 1 / 0\ndef test_keeps(): 0",
            "it ended with status 2: *",
            id="not collected",
        ),
        pytest.param(
            "import pytest, conftest\ndef test_keeps():\n"
            "    if conftest.IN_A_RERUN: pytest.skip('no')",
            "the test was skipped by itself",
            id="skips",
        ),
    ],
)
def test_why_a_re_run_tells_nothing(
    pytester: pytest.Pytester, run: Run, records: Records, source: str, reason: str
) -> None:
    """The reason is said, and the verdict stands."""
    pytester.makepyfile(test_app=source)

    result = run(
        *("--memreturn", "--memreturn-explain", "--import-mode=prepend"),
        *(["--memreturn-explain-timeout", "2 s"] if "sleep" in source else []),
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"  incomplete run alone: {reason}"])


def test_only_the_window_of_the_test_is_explained(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """What a block in it keeps is not taken for what the test keeps; re-runs have it, too."""
    pytester.makepyfile(
        """
        def test_keeps(memreturn):
            with memreturn("1 GiB"):
                pass
        """
    )

    run("--memreturn", "--memreturn-explain").assert_outcomes(failed=1)

    found = explanation(records, "test_keeps")
    assert found["incomplete"] == []
    assert {one["retained_bytes"] for one in found["remedies"]} > {MIB, 30 * MIB}


def test_hooks_must_give_remedies(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """What is none is named, and the verdict stands."""
    pytester.makeconftest(_PLAYED.replace("return [", "return [42]\n    return ["))
    pytester.makepyfile("def test_keeps(): pass")

    run("--memreturn", "--memreturn-explain").assert_outcomes(failed=1)

    assert explanation(records, "test_keeps")["incomplete"] == [
        "UsageError: pytest_memreturn_remedies: 42 is no pytest_memreturn.RemedyCandidate"
    ]


@pytest.mark.parametrize("value", ["soon", "-1", "0", ""])
@pytest.mark.parametrize("level", ["command line", "ini"])
def test_a_wrong_time_limit_ends_the_run(
    pytester: pytest.Pytester, run: Run, value: str, level: str
) -> None:
    """Before the first test, with the origin and the value."""
    if level == "ini":
        pytester.makeini(f"[pytest]\nmemreturn_explain_timeout = {value}")
        result, origin = run(), "ini option memreturn_explain_timeout"
    else:
        result, origin = run(f"--memreturn-explain-timeout={value}"), "--memreturn-explain-timeout"

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {origin}: {value!r} *"])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_whoever_ends_the_run_leaves_no_process(
    pytester: pytest.Pytester, end: signal.Signals
) -> None:
    """Neither the re-run nor what it has started is there any more."""
    pytester.makepyfile(
        test_app="""
        import os, pathlib, subprocess, time, conftest

        def test_keeps():
            if conftest.IN_A_RERUN:
                sleeper = subprocess.Popen(["sleep", "600"])
                pathlib.Path("new").write_text(f"{os.getpid()} {sleeper.pid}")
                os.rename("new", "pids")
                time.sleep(600)
        """
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=prepend"]
    process = subprocess.Popen(
        [*command, "--memreturn", "--memreturn-explain"],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
    )
    told = pytester.path / "pids"
    wait_for(told.exists)
    pids = [int(one) for one in told.read_text(encoding="utf-8").split()]

    process.send_signal(end)

    process.wait(60)
    wait_for(lambda: not any(is_alive(pid) for pid in pids))


def wait_for(what: Callable[[], bool]) -> None:
    """Until it is so; a minute is for machines that are very busy."""
    for _ in range(600):
        if what():
            return
        time.sleep(0.1)
    pytest.fail("waited for a minute")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z" and os.getpgid(pid) > 0
