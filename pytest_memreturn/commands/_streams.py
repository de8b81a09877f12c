"""Reports in and text out, for every command alike."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_memreturn.report.files import check_writable, write_whole
from pytest_memreturn.report.saved import SavedReportError, parse_report, read_report

if TYPE_CHECKING:
    from pytest_memreturn.report.run import Run

# Written for standard input or output, where the name of a file may stand.
DASH = "-"
STDIN = "standard input"

# Without a terminal nothing has to fit, and a node id that is cut can't be searched for.
_COLUMNS_WITHOUT_TERMINAL = 120
_LEAST_COLUMNS = 40


class CommandError(Exception):
    """What keeps a command from its work; the text is for the user, and says what to do."""


def read(name: str) -> Run:
    """The report in the file of that name, or on standard input; raises `CommandError`."""
    try:
        if name == DASH:
            return parse_report(sys.stdin.buffer.read(), STDIN)
        return read_report(Path(name))
    except (SavedReportError, OSError) as error:
        raise CommandError(str(error)) from None


def read_all(names: Iterable[str]) -> list[tuple[str, Run]]:
    """Every report with its name; standard input can be read only once."""
    found = list(names)
    if found.count(DASH) > 1:
        raise CommandError(f"{STDIN} can be read only once")
    return [(STDIN if name == DASH else name, read(name)) for name in found]


def write(pieces: Iterable[str], output: str | None) -> None:
    """The text, to a file or to standard output; a file is written whole or not at all."""
    if output is None or output == DASH:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What a terminal or a pipe has no character for is written out.
            sys.stdout.reconfigure(errors="backslashreplace")
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
        return
    path = Path(output)
    try:
        check_writable(path)
        write_whole(path, pieces)
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror or error}") from None


def lines(texts: Iterable[str]) -> Iterable[str]:
    """Lines as pieces of a text."""
    return (f"{text}\n" for text in texts)


def add_width(parser: argparse.ArgumentParser) -> None:
    """Let the columns be chosen."""
    parser.add_argument(
        "--width",
        metavar="COLUMNS",
        type=_columns,
        help="columns of the text; by default those of the terminal, without one "
        f"{_COLUMNS_WITHOUT_TERMINAL}",
    )


def width_of(arguments: argparse.Namespace) -> int:
    """The columns to keep to."""
    asked: int | None = arguments.width
    found = shutil.get_terminal_size((_COLUMNS_WITHOUT_TERMINAL, 24)).columns
    return max(_LEAST_COLUMNS, found) if asked is None else asked


def _columns(text: str) -> int:
    if not text.isdecimal() or int(text) < _LEAST_COLUMNS:
        msg = f"{text!r} is no number of columns: {_LEAST_COLUMNS} or more"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
