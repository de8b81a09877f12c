"""The command line: ``python -m pytest_memreturn COMMAND``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

from pytest_memreturn.commands import compare, doctor, merge, show
from pytest_memreturn.commands._streams import CommandError
from pytest_memreturn.report.printable import on_one_line

PROGRAM = "python -m pytest_memreturn"
COMMANDS = (doctor, show, compare, merge)

_USAGE = 2
# As a shell has it of a program that ended by a signal: interrupted, and a pipe that was closed.
_INTERRUPTED, _BROKEN_PIPE = 130, 141


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole, with one for each command."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="What this machine can measure; reports shown, compared and merged.",
        epilog="COMMAND --help tells what each takes, and its exit statuses.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        one = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=_folded(command.DESCRIPTION),
            epilog=_statuses(command.STATUSES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.declare(one)
        one.set_defaults(run=command.run)
    return parser


def _folded(text: str, *, rest: str = "") -> str:
    """As argparse would fold it, which leaves alone what has lines of its own below it."""
    columns = shutil.get_terminal_size().columns - 2
    return textwrap.fill(text, columns, subsequent_indent=rest)


def _statuses(statuses: Mapping[int, str]) -> str:
    lines = [_folded(f"  {number}  {text}", rest="     ") for number, text in statuses.items()]
    return "\n".join(["exit status:", *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; gives the exit status."""
    asked = build_parser().parse_args(arguments)
    try:
        status: int = asked.run(asked)
    except CommandError as error:
        sys.stderr.write(f"{PROGRAM} {asked.command}: {on_one_line(str(error))}\n")
        return _USAGE
    except BrokenPipeError:
        # Whoever read has enough. Python flushes once more at its end: to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main())
