"""How this run was started, as a re-run needs to know it."""

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
_COVERAGE, _CACHE = "_cov", "cacheprovider"


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

    def arguments(self, scratch: Path) -> tuple[str, ...]:
        """Those of pytest, with what keeps a re-run's hands off the files of the run.

        The files and folders that were named stay: they tell pytest the root folder, and which
        ``conftest.py`` files come first. The plugin in the re-run puts the one test in their place.
        """
        own = ["-o", "memreturn_report=", f"--basetemp={scratch / 'temporary'}"]
        if self.no_cov:
            own.append("--no-cov")
        if self.has_cache:
            own += ["-o", f"cache_dir={scratch / 'cache'}"]
        return (*self.args, *own)


def invocation_of(config: pytest.Config) -> Invocation:
    """How the run of `config` was started; in a worker of pytest-xdist, its own arguments."""
    folder = str(config.invocation_params.dir)
    options = [
        f"-X{name}" if value is True else f"-X{name}={value}" for name, value in _x_options()
    ]
    return Invocation(
        interpreter=(sys.executable, *["-O"] * sys.flags.optimize, *options),
        args=tuple(str(one) for one in config.invocation_params.args),
        folder=folder,
        variables=dict(os.environ),
        keeps_first_path="" in sys.path or folder in sys.path,
        no_cov=config.pluginmanager.has_plugin(_COVERAGE),
        has_cache=config.pluginmanager.has_plugin(_CACHE),
    )


def _x_options() -> list[tuple[str, str | bool]]:
    # A tracer's tables would be judged with the test.
    found = sys._xoptions  # noqa: SLF001 - documented under this name
    return [(name, value) for name, value in found.items() if name != "tracemalloc"]
