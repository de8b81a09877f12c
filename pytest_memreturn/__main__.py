"""The command line: ``python -m pytest_memreturn COMMAND``."""

from __future__ import annotations

import argparse
import os
import sys
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
            description=command.DESCRIPTION,
            epilog=_statuses(command.STATUSES),
            allow_abbrev=False,
        )
        command.declare(one)
        one.set_defaults(run=command.run)
    return parser


def _statuses(statuses: Mapping[int, str]) -> str:
    """In one paragraph, which argparse folds as it does the rest."""
    return f"exit status: {'; '.join(f'{number}: {text}' for number, text in statuses.items())}"


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
