"""Which Python runs in another process, and whether it runs, from procfs."""

from __future__ import annotations

import re

from pytest_memreturn.probes._files import read_by_lines, read_small

# As names of executables, of libpython and of extension modules tell it.
_PYTHON = re.compile(rb"(?:python|cpython-)3\.?(\d{1,2})(?!\d)")
_SWITCHES = re.compile(rb"^(?:non)?voluntary_ctxt_switches:\t(\d{1,20})$", re.MULTILINE)


def python_of(pid: int, proc: str = "/proc") -> str:
    """The version of the Python in a process, in words, as far as the files it maps tell."""
    try:
        for lines in read_by_lines(f"{proc}/{pid}/maps"):
            if found := _PYTHON.search(lines):
                return f"Python 3.{found[1].decode()}"
    except OSError:
        return "not to be looked into"
    return "no Python as far as its files tell"


def switches_of(pid: int, proc: str = "/proc") -> int | None:
    """How often the main thread of a process has begun and ceased to run; ``None``: unknown."""
    try:
        status = read_small(f"{proc}/{pid}/task/{pid}/status")
    except OSError:
        return None
    return sum(int(count) for count in _SWITCHES.findall(status))
