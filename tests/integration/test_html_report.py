"""``--memreturn-report=PATH.html``: the report as a page."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A test of each verdict."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory("5 MiB")
        def test_keeps_30(): pass
        def test_unreadable(): pass
        @pytest.mark.parametrize("text", ["<script>alert(1)</script>"])
        def test_returns(text): pass
        """
    )


def _words(path: Path) -> str:
    """The text of a page, without its elements."""
    return " ".join(re.sub("<[^>]*>", " ", path.read_text(encoding="utf-8")).split())


def test_html_by_suffix_and_by_prefix(pytester: pytest.Pytester, run: Run) -> None:
    """The same run as in the other formats, whatever the file is called."""
    result = run("--memreturn-report=a.html", "--memreturn-report=html:b.txt")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    first, second = _words(pytester.path / "a.html"), _words(pytester.path / "b.txt")
    for words in (first, second):
        assert "1 of 2 kept 30.0 MiB ." in words
        assert "30.0 100.0 5.0 unexplained test_app.py::test_keeps_30" in words
        assert "test_returns[&lt;script&gt;alert(1)&lt;/script&gt;]" in words
        assert "the script has no reading at end" in words
    assert (pytester.path / "report.json").exists()


def test_html_by_the_ini_file(pytester: pytest.Pytester, scripted: Path) -> None:
    """The ini option takes it as well."""
    pytester.makeini("[pytest]\nmemreturn_report = build/memory.html")

    pytester.runpytest_inprocess()

    assert "1 of 2 kept" in _words(pytester.path / "build" / "memory.html")


@pytest.mark.parametrize("origin", ["--memreturn-report", "ini option memreturn_report"])
@pytest.mark.parametrize("target", ["report.html", "html:report.txt"])
def test_without_jinja_it_is_refused_before_the_first_test(
    pytester: pytest.Pytester,
    scripted: Path,
    monkeypatch: pytest.MonkeyPatch,
    origin: str,
    target: str,
) -> None:
    """A usage error names the option, the value and what to install."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    arguments = [f"--memreturn-report={target}"]
    if origin.startswith("ini"):
        pytester.makeini(f"[pytest]\nmemreturn_report = {target}")
        arguments = []

    result = pytester.runpytest_inprocess(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: {origin}: '{target}' needs jinja2: pip install pytest-memreturn[[]html]"]
    )
    result.stdout.no_fnmatch_line("*collected*")
    assert not (pytester.path / "report.html").exists()


def test_without_jinja_other_formats_are_written(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who asks for a page needs it."""
    monkeypatch.setitem(sys.modules, "jinja2", None)

    run()

    assert (pytester.path / "report.json").exists()


@pytest.mark.parametrize("target", ["report.json", "report.html"])
def test_a_judged_test_is_still_the_first_to_import_jinja(
    pytester: pytest.Pytester, scripted: Path, target: str
) -> None:
    """What a test is the first to import is its own, under any report: the page is made late."""
    pytester.makepyfile(
        test_app="""
        import sys, pytest
        @pytest.mark.returns_memory
        def test_returns():
            assert not {name for name in sys.modules if "jinja" in name or "html_" in name}
        """
    )

    result = pytester.runpytest_subprocess(f"--memreturn-report={target}")

    result.assert_outcomes(passed=1)
    assert (pytester.path / target).exists()


def test_html_under_xdist(pytester: pytest.Pytester, scripted: Path) -> None:
    """The controller writes the page once, with the records of all workers."""
    pytester.runpytest_subprocess("-p", "xdist", "-n2", "--memreturn-report=report.html")

    words = _words(pytester.path / "report.html")
    assert "1 of 2 kept 30.0 MiB" in words
    assert re.search(r"\bgw[01]\b", words)
