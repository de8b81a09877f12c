"""``python -m pytest_memreturn``: what all commands have in common."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_memreturn.__main__ import COMMANDS, build_parser, main
from pytest_memreturn.commands import _streams
from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.run import Run
from pytest_memreturn.report.tally import Tally

EMPTY = "".join(json_report(Run((), Tally(), {})))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """An empty report."""
    path = tmp_path / "report.json"
    path.write_text(EMPTY, encoding="utf-8")
    return path


def test_run_as_a_module(report: Path) -> None:
    """In a process of its own, with the status of the command."""
    run = [sys.executable, "-m", "pytest_memreturn", "show"]
    shown = subprocess.run([*run, str(report)], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.endswith("0 judged: 0 returned, 0 retained\n")
    failed = subprocess.run([*run, "none.json"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == (
        "python -m pytest_memreturn show: cannot read none.json: No such file or directory\n"
    )


@pytest.mark.parametrize("command", [one.NAME for one in COMMANDS])
def test_help_says_what_each_status_means(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In lines that fit."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    statuses = lines[lines.index("exit status:") + 1 :]
    assert [line[2] for line in statuses if line[2] != " "] == ["0", "1", "2"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["shows"], "invalid choice: 'shows'"),
        (["show"], "the following arguments are required: REPORT"),
        (["show", "x", "--width", "39"], "'39' is no number of columns: 40 or more"),
        (["show", "x", "--width", "wide"], "'wide' is no number of columns: 40 or more"),
        (["compare", "x", "y", "--tolerance", "5k"], "'5k' is not a size: write KiB"),
        (["merge", "x", "--dup", "first"], "unrecognized arguments: --dup first"),
    ],
)
def test_wrong_usage(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and what is wrong with it."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "it is no JSON (Expecting value: line 1 column 1 (char 0))"),
        (EMPTY[:40].encode(), "it is no JSON ("),
        (b"[]", "it is no report of pytest-memreturn: it has no schema_version"),
        (b'{"schema_version": 99}', "it is of schema version 99, and this pytest-memreturn reads"),
        (b'{"schema_version": 1, "tests": {}}', "it is not as its schema says (tests is {}, and"),
    ],
)
@pytest.mark.parametrize("command", [("show",), ("compare", "{ok}"), ("merge", "{ok}")])
def test_files_that_are_no_reports(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    tmp_path: Path,
    report: Path,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    text: bytes,
    problem: str,
) -> None:
    """One line names the file and what is wrong, whatever was to be done with it."""
    path = tmp_path / "broken.json"
    path.write_bytes(text)
    assert main([*(one.format(ok=report) for one in command), str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(
        f"python -m pytest_memreturn {command[0]}: cannot read {path}: {problem}"
    )


def test_a_folder_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the system says it."""
    assert main(["show", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(f"cannot read {tmp_path}: Is a directory\n")


def test_names_of_files_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """A file may be called anything."""
    assert main(["show", "a\x1b[2J"]) == 2
    assert r"cannot read a\x1b[2J: No such" in capsys.readouterr().err


def test_a_reader_that_has_enough(report: Path) -> None:
    """As with ``| head``: no traceback, and the status that a shell gives a closed pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest_memreturn", "show", str(report)],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_interrupted(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it without a traceback."""

    def interrupted(_: str) -> Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(_streams, "read", interrupted)
    assert main(["show", str(report)]) == 130


def test_the_columns_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless others are asked for; where there is no terminal, 120; never fewer than 40."""
    monkeypatch.setenv("COLUMNS", "77")
    parse = build_parser().parse_args
    assert _streams.width_of(parse(["show", "x"])) == 77
    assert _streams.width_of(parse(["show", "x", "--width", "99"])) == 99
    monkeypatch.setenv("COLUMNS", "20")
    assert _streams.width_of(parse(["show", "x"])) == 40


def test_a_terminal_that_knows_few_characters(tmp_path: Path) -> None:
    """What it cannot show is written out."""
    path = tmp_path / "report.json"
    head = json.loads(EMPTY)
    head["partial"] = {"reason": "a worker → died", "running": []}
    path.write_text(json.dumps(head), encoding="utf-8")
    shown = subprocess.run(
        [sys.executable, "-m", "pytest_memreturn", "show", str(path)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert rb"a worker \u2192 died" in shown.stdout


def test_any_stream_will_do(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that a program has put in the place of standard output."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["show", str(report)]) == 0
    assert "0 judged" in stream.getvalue()


def test_reports_are_shown_without_measuring() -> None:
    """What reads memory is not even loaded."""
    found = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, pytest_memreturn.__main__; print('psutil' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "False\n"
