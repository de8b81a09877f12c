"""How this run was started, as a fresh interpreter needs to know it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# What names files is given its place before a plugin of ours can take it back.
_COVERAGE, _CACHE, _TEMPORARY = "_cov", "cacheprovider", "tmpdir"

# Its file is named by the ini file as well, where only another value of the ini option beats it.
_LOGGING = "logging"

# Of an interpreter's own switches, those that decide what code does; by their names in sys.flags.
_SWITCHES = {
    "optimize": "O",
    "bytes_warning": "b",
    "dont_write_bytecode": "B",
    "no_user_site": "s",
    "no_site": "S",
    "ignore_environment": "E",
    "safe_path": "P",
    "isolated": "I",
}


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a run was started: interpreter, arguments, folder, variables.

    Taken before the first test: a test may change the folder and the variables.
    """

    interpreter: tuple[str, ...]
    args: tuple[str, ...]
    folder: str
    variables: Mapping[str, str]
    keeps_first_path: bool
    no_cov: bool
    has_cache: bool
    has_temporary: bool = True
    has_log: bool = False

    def arguments(self, temporary: Path, cache: Path | None = None) -> tuple[str, ...]:
        """Those of pytest, with what keeps a fresh interpreter's hands off the files of the run.

        The files and folders that were named stay: they tell pytest the root folder, and which
        ``conftest.py`` files come first. The plugin over there puts the one test in their place.
        `temporary`: where its temporary folders are to be made. `cache`: where it shall have a
        cache of its own.
        """
        own = ["-o", "memreturn_report="]
        if self.has_temporary:
            own.append(f"--basetemp={temporary}")
        if self.has_log:
            own += ["-o", "log_file="]
        if self.no_cov:
            own.append("--no-cov")
        if self.has_cache and cache is not None:
            own += ["-o", f"cache_dir={cache}"]
        return (*self.args, *own)


def invocation_of(config: pytest.Config) -> Invocation:
    """How the run of `config` was started; in a worker of pytest-xdist, its own arguments."""
    folder = str(config.invocation_params.dir)
    has_plugin = config.pluginmanager.has_plugin
    return Invocation(
        interpreter=(sys.executable, *_switches()),
        args=tuple(str(one) for one in config.invocation_params.args),
        folder=folder,
        variables=dict(os.environ),
        # Only where it may be put there at all is there something to take away.
        keeps_first_path=sys.flags.safe_path or "" in sys.path or folder in sys.path,
        no_cov=has_plugin(_COVERAGE),
        has_cache=has_plugin(_CACHE),
        has_temporary=has_plugin(_TEMPORARY),
        has_log=has_plugin(_LOGGING),
    )


def _switches() -> list[str]:
    """What the interpreter was started with, as far as it decides what code does."""
    found = [
        f"-{letter}" for name, letter in _SWITCHES.items() for _ in range(getattr(sys.flags, name))
    ]
    # Those of PYTHONWARNINGS are among them, in their order, and count as often as they like.
    found += [f"-W{one}" for one in sys.warnoptions]
    options = sys._xoptions  # noqa: SLF001 - documented under this name
    # A tracer's tables would be judged with the test.
    named = [(name, value) for name, value in options.items() if name != "tracemalloc"]
    return found + [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in named]
