"""``--memreturn-report``: the table at the end, and where report files go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]
Text: TypeAlias = Callable[[str], str]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """Tests of every verdict, one of them with a name too long for a narrow terminal."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory("5 MiB")
        def test_keeps_3(): pass
        def test_keeps_30(): pass
        def test_keeps_9_which_is_said_at_some_length_and_does_not_fit(): pass
        def test_unreadable(): pass
        def test_skips(): pytest.skip("not today")
        def test_returns(): pass
        """
    )


@pytest.fixture
def bare(pytester: pytest.Pytester, scripted: Path) -> Run:
    """Run without any report but those that the arguments name."""
    return pytester.runpytest_inprocess


def _section(result: pytest.RunResult) -> str:
    lines = result.outlines
    start = next(n for n, line in enumerate(lines) if "memory returned to the operating" in line)
    end = next(n for n, line in enumerate(lines) if n > start and line.startswith("=="))
    return "\n".join(lines[start + 1 : end]).rstrip()


def test_table(bare: Run, text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most retained first, then what was not judged; then the counts. 120 columns hold it all."""
    monkeypatch.setenv("COLUMNS", "120")

    result = bare("--memreturn-report")

    assert _section(result) == text("""
        retained   peak  allowed  cause or verdict  test
            30.0  100.0      5.0  unexplained       test_app.py::test_keeps_30
             9.0  100.0      5.0  unexplained       test_app.py::test_keeps_9_which_is_said_at_some_length_and_does_not_fit
             3.0  100.0      5.0  returned          test_app.py::test_keeps_3
             0.0  100.0      5.0  returned          test_app.py::test_returns
               -      -        -  unjudged          test_app.py::test_unreadable
               -      -        -  skipped           test_app.py::test_skips
        UNJUDGED test_app.py::test_unreadable - the script has no reading at end
        4 judged: 2 returned, 2 retained (39.0 MiB), 2 unjudged
    """)  # noqa: E501 - as wide as the terminal


def test_table_in_a_narrow_terminal(bare: Run, text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns a long name loses its beginning, and no line is wider."""
    monkeypatch.setenv("COLUMNS", "80")

    section = _section(bare("--memreturn-report"))

    rows = section.partition("UNJUDGED")[0].splitlines()
    assert len(rows) == 7
    assert max(len(line) for line in rows) == 80
    assert rows[2].endswith("  …aid_at_some_length_and_does_not_fit")


def test_table_word_on_the_command_line(bare: Run) -> None:
    """``=table`` says the same as no value, for where another argument follows."""
    assert _section(bare("--memreturn-report=table")) == _section(bare("--memreturn-report"))


def test_no_table_unless_asked(pytester: pytest.Pytester, bare: Run) -> None:
    """Without the option there is no table; with a path alone there is none either."""
    for arguments in ((), ("--memreturn-report=report.json",)):
        result = bare("-k", "test_returns or keeps_3", *arguments)

        result.stdout.no_fnmatch_line("*retained*peak*allowed*")


def test_table_of_nothing(bare: Run) -> None:
    """A run in which nothing was judged says so."""
    assert _section(bare("--memreturn-report", "--memreturn-mode=off")).endswith(
        "0 judged: 0 returned, 0 retained"
    )


def _tests(path: Path) -> int:
    return len(json.loads(path.read_text(encoding="utf-8"))["tests"])


def test_json_by_suffix_and_by_prefix(pytester: pytest.Pytester, bare: Run) -> None:
    """Reports may be repeated, in new folders too, along with the table."""
    result = bare(
        "--memreturn-report=a.json",
        "--memreturn-report=json:b.txt",
        "--memreturn-report=new/folder/c.json",
        "--memreturn-report",
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [_tests(pytester.path / name) for name in ("a.json", "b.txt", "new/folder/c.json")] == [
        6,
        6,
        6,
    ]
    assert "4 judged" in _section(result)


def test_markdown_by_suffix_and_by_prefix(pytester: pytest.Pytester, bare: Run) -> None:
    """For a pull request: the outcome first, who kept what, and the message of each."""
    result = bare("--memreturn-report=new/a.md", "--memreturn-report=md:b.txt")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    shown = (pytester.path / "new/a.md").read_text(encoding="utf-8")
    assert shown == (pytester.path / "b.txt").read_text(encoding="utf-8")
    assert (
        "Memory returned to the operating system: "
        "**2 retained** (39.0 MiB), **2 returned**, **2 unjudged**\n" in shown
    )
    assert "| `test_app.py::test_keeps_30` | 30.0 MiB | 5.0 MiB | `unexplained` |\n" in shown
    assert "kept 30.0 MiB (allowed 5.0 MiB, marker on test_app.py)\n" in shown
    assert "| `test_app.py::test_unreadable` | the script has no reading at end |\n" in shown


def test_markdown_for_the_summary_of_a_step(
    pytester: pytest.Pytester, bare: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other commands of the step have written stays, and so does an earlier run's report."""
    summary = pytester.path / "summary"
    summary.write_text("# Nightly\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    for keyword in ("test_returns", "keeps_30"):
        bare("-k", keyword, f"--memreturn-report=md:{summary}")

    lines = summary.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Nightly"
    outcomes = [line.partition(": ")[2] for line in lines if line.startswith("Memory returned")]
    assert outcomes == [
        "**0 retained**, **1 returned**",
        "**1 retained** (30.0 MiB), **0 returned**",
    ]


def test_readme_is_not_swallowed(pytester: pytest.Pytester, bare: Run) -> None:
    """A text that the bare option would take for its report stays, with the way out."""
    readme = pytester.path / "README.md"
    readme.write_text("# App\n", encoding="utf-8")

    result = bare("--doctest-glob=*.md", "--memreturn-report", "README.md")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --memreturn-report: 'README.md' is there*"])
    assert readme.read_text(encoding="utf-8") == "# App\n"


def test_ini_names_reports_line_by_line(pytester: pytest.Pytester, bare: Run) -> None:
    """The ini option counts without the flag; a flag replaces it."""
    pytester.makeini("[pytest]\nmemreturn_report =\n    table\n    ini.json")

    assert "4 judged" in _section(bare())
    assert _tests(pytester.path / "ini.json") == 6

    (pytester.path / "ini.json").unlink()
    bare("--memreturn-report=flag.json")
    assert not (pytester.path / "ini.json").exists()
    assert _tests(pytester.path / "flag.json") == 6


@pytest.mark.parametrize("swallowed", ["tests/", "test_app.py", "test_app.py::test_returns", "."])
def test_path_of_tests_is_not_swallowed(
    pytester: pytest.Pytester, bare: Run, swallowed: str
) -> None:
    """Tests after the bare option are no report: the error says what to write instead."""
    pytester.mkdir("tests")

    result = bare("-s", "--memreturn-report", swallowed)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --memreturn-report: {swallowed!r} is no report file*"])
    assert f"pytest {swallowed} --memreturn-report" in result.stderr.str()
    result.stdout.no_fnmatch_line("*passed*")


def test_advice_against_the_swallowed_path_works(bare: Run) -> None:
    """What the error tells to write does what was meant."""
    result = bare("test_app.py", "-k", "test_returns", "--memreturn-report")

    result.assert_outcomes(passed=1, deselected=5)
    assert "1 judged" in _section(result)


@pytest.mark.parametrize("origin", ["--memreturn-report", "ini option memreturn_report"])
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("a-file/report.json", "cannot write 'a-file/report.json'"),
        ("a-folder.json", "cannot write 'a-folder.json'"),
        ("report.xml", "'report.xml' is no report file"),
        ("yaml:report.yaml", "'yaml:report.yaml'"),
        ("json:", "'json:'"),
    ],
)
def test_report_that_cannot_be_written(
    pytester: pytest.Pytester, bare: Run, origin: str, path: str, problem: str
) -> None:
    """It is a usage error before the first test, and names option and value."""
    (pytester.path / "a-file").touch()
    (pytester.path / "a-folder.json").mkdir()
    arguments = [f"--memreturn-report={path}"]
    if origin.startswith("ini"):
        pytester.makeini(f"[pytest]\nmemreturn_report = {path}")
        arguments = []

    result = bare(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {origin}: {problem}*"])
    result.stdout.no_fnmatch_line("*collected*")
    assert not list((pytester.path / "a-folder.json").iterdir())


def test_checking_the_path_leaves_an_old_report_alone(pytester: pytest.Pytester, bare: Run) -> None:
    """A run that ends before its first test has not touched the last one's report."""
    (pytester.path / "report.json").write_text("old", encoding="utf-8")

    result = bare("--memreturn-report=report.json", "--memreturn-max-retained=much")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (pytester.path / "report.json").read_text(encoding="utf-8") == "old"


def test_report_goes_where_the_run_was_started(
    pytester: pytest.Pytester, bare: Run, verdicts: Verdicts
) -> None:
    """A test that changes the folder does not take the report with it."""
    pytester.makepyfile(
        test_app="""
        import os, pytest
        @pytest.mark.returns_memory
        def test_returns(tmp_path): os.chdir(tmp_path)
        """
    )

    bare("--memreturn-report=report.json")

    assert verdicts() == {"test_returns": "returned"}


def test_folder_that_vanishes_during_the_run(pytester: pytest.Pytester, bare: Run) -> None:
    """The run is reported in full all the same, says what could not be written, and fails."""
    pytester.makepyfile(
        test_app="""
        import os, pytest
        @pytest.mark.returns_memory
        def test_returns(): os.rmdir("reports")
        """
    )

    result = bare("--memreturn-report=reports/report.json", "--memreturn-report=other.json")

    result.assert_outcomes(passed=1)
    assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.USAGE_ERROR}
    result.stdout.fnmatch_lines(["*cannot write*reports*report.json*"])
    assert _tests(pytester.path / "other.json") == 1


def test_help_lists_every_option(bare: Run) -> None:
    """Flags and ini options are told by ``--help``."""
    shown = bare("--help").stdout.str()

    for name in (
        "--memreturn ",
        "--memreturn-report",
        "--memreturn-max-retained",
        "--memreturn-trim",
        "--no-memreturn-trim",
        "--memreturn-mode",
        "--memreturn-strict",
        "memreturn (bool)",
        "memreturn_report (linelist)",
        "memreturn_max_retained (string)",
        "memreturn_trim (bool)",
        "memreturn_mode (string)",
        "memreturn_strict (bool)",
        "memreturn_probe (string)",
    ):
        assert name in shown
