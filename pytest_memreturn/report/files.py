"""Report files: where they go, checked early, and written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_memreturn.report.formats import FORMATS

# The table goes to the terminal; every other format to a file.
TABLE = "table"
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
            f"For the table, write the option last: 'pytest {text} --memreturn-report'. "
            f"For a file of another name, name its format: '--memreturn-report=json:{text}'"
        )
        raise ValueError(msg)
    return _target(text, _BY_SUFFIX[path.suffix], path)


def _target(text: str, name: str, path: Path) -> ReportTarget:
    needed = FORMATS[name].needs
    # Found and not imported: what a judged test is the first to import is for that test to pay.
    if needed is not None and find_spec(needed) is None:
        msg = f"{text!r} needs {needed}: pip install pytest-memreturn[{name}]"
        raise ValueError(msg)
    return ReportTarget(name, path)


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
