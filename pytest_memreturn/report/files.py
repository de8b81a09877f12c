"""Report files: where they go, checked early, and written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pytest_memreturn.report.formats import FORMATS
from pytest_memreturn.report.markdown_report import OPENING

# The table goes to the terminal; every other format to a file.
TABLE = "table"
# In GitHub Actions, the file in which every command of a step leaves what it has to say.
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
_BY_SUFFIX = {one.suffix: name for name, one in FORMATS.items()}


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """A report that was asked for; `path` is ``None`` for the table."""

    format: str
    path: Path | None


def parse_target(text: str) -> ReportTarget:
    """A target from ``table``, ``PATH`` or ``FORMAT:PATH``; or a `ValueError` with the way out."""
    if text == TABLE:
        return ReportTarget(TABLE, None)
    prefix, separator, rest = text.partition(":")
    if prefix in FORMATS and rest:
        return _target(text, prefix, Path(rest))
    # Neither a node id (test_x.py::test_y) nor a drive of Windows (C:) is meant as a format.
    if separator and len(prefix) > 1 and prefix.isalpha() and not rest.startswith(":"):
        msg = f"{text!r} is no report file: the formats are {', '.join(FORMATS)}, as in json:PATH"
        raise ValueError(msg)
    path = Path(text)
    if path.suffix not in _BY_SUFFIX:
        known = ", ".join(_BY_SUFFIX)
        msg = (
            f"{text!r} is no report file (known suffixes: {known}). "
            f"For the table, write the option last: 'pytest {text} --memreturn-report'"
        )
        # What is there, such as a file of tests, nobody wants to see written over.
        # Unlike that of a Path, this takes any text.
        if not os.path.exists(text.partition("::")[0]):  # noqa: PTH110
            option = f"--memreturn-report=json:{text}"
            msg += f". For a file of another name, name its format: '{option}'"
        raise ValueError(msg)
    target = _target(text, _BY_SUFFIX[path.suffix], path)
    if target.format == "md" and _is_somebody_elses(path):
        msg = (
            f"{text!r} is there, and no report of an earlier run. To replace it: "
            f"'--memreturn-report=md:{text}'. "
            f"For the table, write the option last: 'pytest {text} --memreturn-report'"
        )
        raise ValueError(msg)
    return target


def _target(text: str, name: str, path: Path) -> ReportTarget:
    if (problem := FORMATS[name].missing(name)) is not None:
        msg = f"{text!r} {problem}"
        raise ValueError(msg)
    return ReportTarget(name, path)


def _is_somebody_elses(path: Path) -> bool:
    """A README that a bare option before it would swallow is worth more than a report."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(len(OPENING)) not in {"", OPENING}
    except OSError:
        return False  # whether a file can be written there is another question


def check_writable(path: Path) -> None:
    """Raise `OSError` now rather than after a long run. Makes missing folders, and no file."""
    path = path.resolve()  # a link stays, and leads to the new report
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        is_file = True  # it will be one
    if not is_file:
        msg = "there is something that is no regular file"
        raise OSError(msg)
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def write_report(target: ReportTarget, pieces: Iterable[str]) -> None:
    """Write the file of a target, in place of an older one.

    Only the summary of a step in GitHub Actions is kept, with the report behind it: other
    commands of the step write there, too.
    """
    assert target.path is not None
    if target.format == "md" and _is_step_summary(target.path):
        pieces = chain(_kept(target.path), pieces)
    write_whole(target.path, pieces)


def _is_step_summary(path: Path) -> bool:
    summary = os.environ.get(_STEP_SUMMARY, "")
    return summary != "" and path.resolve() == Path(summary).resolve()


def _kept(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    if text:
        # With a blank line, so that the report begins a block of its own.
        yield text.rstrip("\n") + "\n\n"


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Put a text at `path` in one step: a reader sees the old file or the new one, whole."""
    path = path.resolve()
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".memreturn-", text=True)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(pieces)
        # mkstemp makes files private; a report is as public as any file its user makes.
        Path(draft).chmod(0o666 & ~_umask())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
