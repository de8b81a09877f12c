"""Runs whose output pages show, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# As wide as a block on a page, so that nothing has to be scrolled.
COLUMNS = "92"
# What would make a run something else than an ordinary one with ordinary allocators.
_UNWANTED = ("GLIBC_TUNABLES", "MALLOC_", "PYTEST_", "PYTHONMALLOC", "CI", "BUILD_NUMBER")


def ended(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A run of Python that has ended, well or not."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_UNWANTED)}
    environment |= {
        "COLUMNS": COLUMNS,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "pytest_memreturn.plugin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def run(folder: Path, *command: str, **variables: str) -> str:
    """What a run prints, where it ends well, or as a run of pytest of which tests failed."""
    found = ended(folder, *command, **variables)
    if found.returncode not in ({0, 1} if "pytest" in command else {0}):
        raise RuntimeError(f"{command} ended with {found.returncode}: {found.stdout}{found.stderr}")
    return found.stdout


# -P, because the package that is installed is wanted, also where its source lies.
PYTEST = ("-P", "-m", "pytest", "-p", "no:cacheprovider")


def pytest(folder: Path, *arguments: str, **variables: str) -> str:
    """What a run of pytest prints."""
    return run(folder, *PYTEST, *arguments, **variables)


def cut(text: str, first: str, last: str) -> str:
    """The lines from the first that `first` matches to the next that `last` does."""
    lines = text.splitlines()
    begin = next((at for at, line in enumerate(lines) if re.search(first, line)), None)
    if begin is None:
        raise RuntimeError(f"no line has {first!r}: {text}")
    end = next((at for at in range(begin, len(lines)) if re.search(last, lines[at])), None)
    if end is None:
        raise RuntimeError(f"no line has {last!r} from there on: {text}")
    return "\n".join(line.rstrip() for line in lines[begin : end + 1])


def fenced(text: str, language: str = "text") -> str:
    """A block of Markdown."""
    return f"```{language}\n{text}\n```"
