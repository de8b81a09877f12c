"""``python -m pytest_memreturn show``: a saved report as text, or in another format."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from pytest_memreturn.__main__ import main
from pytest_memreturn.report import formats

Run: TypeAlias = Callable[..., pytest.RunResult]


@pytest.fixture
def report(pytester: pytest.Pytester, run: Run) -> Path:
    """The report of a run with every verdict, as pytest writes it."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory("5 MiB")
        def test_returns(): pass
        def test_keeps_30(): pass
        def test_unreadable(): pass
        def test_block_keeps_9(memreturn):
            with pytest.raises(AssertionError), memreturn("1 MiB", label="load"):
                pass
        """
    )
    run()
    return pytester.path / "report.json"


@pytest.fixture(autouse=True)
def _drained(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What pytest said when it wrote the report is no part of what is shown."""
    del report
    capsys.readouterr()


def test_the_table_then_the_messages(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then what could not be judged; status 0, however bad the verdicts are."""
    assert main(["show", str(report)]) == 0
    shown = capsys.readouterr().out
    table, _, rest = shown.partition("4 judged")
    assert "30.0" in table
    assert "test_app.py::test_keeps_30 (test_app.py:4)\nkept 30.0 MiB (allowed 5.0 MiB" in rest
    assert "load: kept 9.0 MiB (allowed 1.0 MiB" in rest
    assert shown.splitlines()[-1] == (
        "UNJUDGED test_app.py::test_unreadable - the script has no reading at end"
    )


def test_verbose(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As pytest shows it with -vv."""
    assert main(["show", "-v", str(report)]) == 0
    assert "exact      31,457,280 bytes kept" in capsys.readouterr().out


@pytest.mark.parametrize("substring", ["keeps_30", "load"])
def test_some_of_the_tests(
    report: Path, capsys: pytest.CaptureFixture[str], substring: str
) -> None:
    """By node id or label; the summary counts these alone."""
    assert main(["show", str(report), "--test", substring]) == 0
    assert "\n1 judged: 0 returned, 1 retained" in capsys.readouterr().out


def test_none_of_the_tests(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, as grep has it."""
    assert main(["show", str(report), "--test", "nothing"]) == 1
    assert "0 judged" in capsys.readouterr().out


def test_from_standard_input(
    report: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(report.read_bytes())))
    assert main(["show", "-"]) == 0
    assert "4 judged" in capsys.readouterr().out


def test_broken_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named as what it is."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{")))
    assert main(["show", "-"]) == 2
    assert "cannot read standard input: it is no JSON" in capsys.readouterr().err


def test_every_format_there_is(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each that a run writes can be had of its report."""
    for name, one in formats.FORMATS.items():
        path = report.with_name(f"again{one.suffix}")
        assert main(["show", str(report), "--output", str(path)]) == 0
        assert main(["show", str(report), "--format", name]) == 0
        assert capsys.readouterr().out == path.read_text(encoding="utf-8")


def test_the_same_again(report: Path) -> None:
    """As JSON it is what it was."""
    path = report.with_name("again.json")
    assert main(["show", str(report), "-o", str(path)]) == 0
    assert json.loads(path.read_text("utf-8")) == json.loads(report.read_text("utf-8"))


def test_text_to_a_file(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the suffix is none of a format; missing folders are made."""
    path = report.with_name("folder") / "report.txt"
    assert main(["show", str(report), "-o", str(path), "--width", "60"]) == 0
    assert capsys.readouterr().out == ""
    assert "4 judged" in path.read_text("utf-8")


def test_a_file_that_cannot_be_written(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and what is in the way."""
    folder = report.with_name("taken.json")
    folder.mkdir()
    assert main(["show", str(report), "-o", str(folder)]) == 2
    assert f"cannot write {folder}: " in capsys.readouterr().err


def test_a_format_that_needs_what_is_not_installed(
    report: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what to install, as pytest's option does; and writes nothing."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page = report.with_name("report.html")
    assert main(["show", str(report), "-o", str(page)]) == 2
    assert capsys.readouterr().err == (
        "python -m pytest_memreturn show: the format html needs jinja2: "
        "pip install pytest-memreturn[html]\n"
    )
    assert not page.exists()
