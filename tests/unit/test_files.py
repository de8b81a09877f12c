"""Report files: where they go, and that they are whole."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_memreturn.report import files
from pytest_memreturn.report.files import (
    ReportTarget,
    check_writable,
    parse_target,
    write_report,
    write_whole,
)
from pytest_memreturn.report.formats import FORMATS
from pytest_memreturn.report.markdown_report import OPENING


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("table", ReportTarget("table", None)),
        ("out.json", ReportTarget("json", Path("out.json"))),
        ("a/b.c/out.json", ReportTarget("json", Path("a/b.c/out.json"))),
        ("json:out.txt", ReportTarget("json", Path("out.txt"))),
        ("out.html", ReportTarget("html", Path("out.html"))),
        ("html:out.txt", ReportTarget("html", Path("out.txt"))),
        ("json:out", ReportTarget("json", Path("out"))),
        ("json:out.json", ReportTarget("json", Path("out.json"))),
        ("json:table", ReportTarget("json", Path("table"))),
        ("out.md", ReportTarget("md", Path("out.md"))),
        ("md:out", ReportTarget("md", Path("out"))),
        ("./table.json", ReportTarget("json", Path("table.json"))),
        (r"C:\out.json", ReportTarget("json", Path(r"C:\out.json"))),
    ],
)
def test_a_report_is_asked_for_by_table_path_or_format(text: str, target: ReportTarget) -> None:
    """The suffix says the format, or a prefix does."""
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["json:", "xml:out.json", "JSON:out.json", "table:out.json"])
def test_an_unknown_format_is_refused(text: str) -> None:
    """Rather than to write a file of an odd name."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        parse_target(text)
    formats = ", ".join(FORMATS)
    assert str(caught.value).startswith(f"{text!r} is no report file: the formats are {formats}")


@pytest.mark.parametrize(
    "text",
    ["tests", "tests/test_x.py", "test_x.py::test_y", "out.JSON", "out.json.gz", ".json", ""],
)
def test_what_is_no_report_file_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path of tests after the option is the usual slip, and the message says the way out."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        parse_target(text)
    message = str(caught.value)
    assert message.startswith(f"{text!r} is no report file (known suffixes: .json")
    assert f"'pytest {text} --memreturn-report'" in message
    assert message.endswith(f"'--memreturn-report=json:{text}'")


def test_nobody_is_told_to_write_over_a_file_of_tests(tmp_path: Path) -> None:
    """Where the option comes before it, only the table can be meant."""
    tests = tmp_path / "test_app.py"
    tests.touch()
    for text in (str(tests), f"{tests}::test_it"):
        with pytest.raises(ValueError, match="write the option last") as told:
            parse_target(text)
        assert "json:" not in str(told.value)


@pytest.mark.parametrize("text", ["# README\n", "x"])
def test_a_text_that_is_no_report_is_not_replaced_by_suffix(text: str, tmp_path: Path) -> None:
    """A README after a bare option is meant to be read by doctest, not to be lost."""
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no report of an earlier run") as caught:
        parse_target(str(path))
    assert f"'--memreturn-report=md:{path}'" in str(caught.value)
    assert f"'pytest {path} --memreturn-report'" in str(caught.value)
    assert parse_target(f"md:{path}") == ReportTarget("md", path)


@pytest.mark.parametrize("text", ["", OPENING + "**0 retained**\n"])
def test_a_report_in_markdown_replaces_an_older_one(text: str, tmp_path: Path) -> None:
    """As every other report does."""
    path = tmp_path / "report.md"
    path.write_text(text, encoding="utf-8")
    assert parse_target(str(path)) == ReportTarget("md", path)


def test_a_folder_of_that_name_is_another_matter(tmp_path: Path) -> None:
    """It is refused by the check that every file passes."""
    (tmp_path / "a.md").mkdir()
    target = parse_target(str(tmp_path / "a.md"))
    assert target.path is not None
    with pytest.raises(OSError, match="no regular file"):
        check_writable(target.path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "new"),
        ("", "new"),
        ("# Step", "# Step\n\nnew"),
        ("# Step\n", "# Step\n\nnew"),
        ("# Step\n\n\n", "# Step\n\nnew"),
    ],
)
def test_the_summary_of_a_step_is_kept(
    before: str | None, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In GitHub Actions every command of a step adds to the same file."""
    path = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    if before is not None:
        path.write_text(before, encoding="utf-8")
    write_report(ReportTarget("md", path), ["n", "ew"])
    assert path.read_text(encoding="utf-8") == after
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("summary", [None, "", "another"])
@pytest.mark.parametrize("format_name", ["md", "json"])
def test_any_other_file_is_replaced(
    summary: str | None, format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report is that of one run; nor is JSON ever added to anything."""
    path = tmp_path / "report"
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    if summary is not None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", summary)
    if format_name == "json":
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    path.write_text("old", encoding="utf-8")
    write_report(ReportTarget(format_name, path), ["new"])
    assert path.read_text(encoding="utf-8") == "new"


def test_writable_is_checked_without_a_file(tmp_path: Path) -> None:
    """Missing folders are made, and nothing else."""
    path = tmp_path / "a" / "b" / "out.json"
    check_writable(path)
    check_writable(path)
    assert path.parent.is_dir()
    assert list(path.parent.iterdir()) == []


def test_an_old_report_survives_the_check(tmp_path: Path) -> None:
    """It is replaced at the end of the run, not at its start."""
    path = tmp_path / "out.json"
    path.write_text("old", encoding="utf-8")
    check_writable(path)
    assert path.read_text(encoding="utf-8") == "old"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Before the run, not after it."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        check_writable(tmp_path / "file" / "out.json")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A folder can't be a report, and a device or a pipe must not be replaced by one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(OSError, match="no regular file"):
            check_writable(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("old", [None, "old"])
def test_a_report_is_written_whole(old: str | None, tmp_path: Path) -> None:
    """In place of an older one, and with nothing left beside it."""
    path = tmp_path / "out.json"
    if old is not None:
        path.write_text(old, encoding="utf-8")
    write_whole(path, "größe\n")
    assert path.read_bytes() == "größe\n".encode()
    assert list(tmp_path.iterdir()) == [path]


# It cannot be written to its end: half of a surrogate pair has no UTF-8.
UNWRITABLE = "new" * 100_000 + "\udc80"


@pytest.mark.parametrize("old", [None, "old"])
def test_a_writing_that_fails_leaves_the_old_file(old: str | None, tmp_path: Path) -> None:
    """A reader sees the old file or the new one, never a half; and no draft stays."""
    path = tmp_path / "out.json"
    if old is not None:
        path.write_text(old, encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, UNWRITABLE)
    assert [one.read_text(encoding="utf-8") for one in tmp_path.iterdir()] == ([old] if old else [])


def test_a_replacement_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever interrupts the last step, too."""
    path = tmp_path / "out.json"
    path.write_text("old", encoding="utf-8")

    def interrupted(_draft: Path, _path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    monkeypatch.undo()
    assert [one.read_text(encoding="utf-8") for one in tmp_path.iterdir()] == ["old"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is the report."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    check_writable(link)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask for the test alone."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], indirect=True)
def test_a_report_is_as_public_as_any_file(umask: int, tmp_path: Path) -> None:
    """By the umask of whoever runs the tests, which stays as it is."""
    path = tmp_path / "out.json"
    write_whole(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert files._umask() == umask


@pytest.mark.parametrize("umask", [0o000], indirect=True)
def test_a_draft_is_private(umask: int, tmp_path: Path) -> None:
    """Whoever may list the folder reads nothing of a report before it is whole."""
    del umask
    modes: list[int] = []

    def pieces() -> Iterator[str]:
        yield "a"
        modes.extend(stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir())

    write_whole(tmp_path / "report.json", pieces())
    assert modes == [0o600]


def test_a_link_that_waits_in_the_folder_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft is a file that was not there: somebody else's link would lead it elsewhere."""
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    (tmp_path / ".memreturn-guessed").symlink_to(precious)
    names = iter(["guessed", "other"])
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: names)
    write_whole(tmp_path / "report.json", ["theirs"])
    assert precious.read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == "theirs"
