"""One work-load under one tool, in a fresh process: alarm or silence, and whom it named."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alternatives.cases import WORK, Case
from benchmarks.alternatives.tools import Tool

ROOT = Path(__file__).parents[2]
SHARED = Path("/dev/shm")  # noqa: S108 - the work-load leaves its segments there
PASSED, FAILED = 0, 1


class WentWrongError(Exception):
    """A run that ended neither well nor with the alarm of its tool."""


@dataclass(frozen=True)
class Finding:
    """What a tool said."""

    alarm: bool
    # Of `line`, `type`, `holder`, `cause`, what its message has; empty without an alarm.
    names: tuple[str, ...]
    cpu_seconds: float


def compile_library(folder: Path) -> Path:
    """The library of C that work-loads take native memory by."""
    library = folder / "libblock.so"
    source = Path(__file__).with_name("block.c")
    command = ["cc", "-O0", "-g", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library


def find(case: Case, tool: Tool, folder: Path, library: Path) -> Finding:
    """Run it in a new folder below `folder`; WentWrongError where memory was not all there was."""
    place = Path(tempfile.mkdtemp(prefix=f"{tool.name}-{case.name}-", dir=folder))
    shutil.copy(WORK, place)
    (place / "test_work.py").write_text(tool.text(case), encoding="utf-8")
    token = f"alternatives-{os.getpid()}-{tool.name}-{case.name}"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COVERAGE_", "MALLOC_", "PYTHONMALLOC"))
    } | {
        "ALTERNATIVES_LIBRARY": str(library),
        "ALTERNATIVES_TOKEN": token,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(ROOT),
        # One long line is one line.
        "COLUMNS": "300",
        **tool.environment,
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short"]
    said = place / "said.txt"
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [*command, *tool.options, "test_work.py"],
            cwd=place,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    clean_up(process.pid, token)
    return read(
        case,
        tool,
        process.returncode,
        said.read_text("utf-8", "replace"),
        usage.ru_utime + usage.ru_stime,
    )


def read(case: Case, tool: Tool, status: int, text: str, cpu_seconds: float) -> Finding:
    """What a run has said that ended with `status`."""
    if status == PASSED and re.search(r"^=+ 1 passed", text, re.MULTILINE):
        return Finding(alarm=False, names=(), cpu_seconds=cpu_seconds)
    if status != FAILED or not re.search(tool.alarm, text):
        msg = f"{tool.name} on {case.name} ended with {status}:\n{text[-3_000:]}"
        raise WentWrongError(msg)
    return Finding(alarm=True, names=names(case, tool, text), cpu_seconds=cpu_seconds)


def names(case: Case, tool: Tool, text: str) -> tuple[str, ...]:
    """Which of the things that help to find who has the memory a message has."""
    numbers = {int(one) for one in re.findall(r"work\.py(?:\", line |'?, |:)(\d+)", text)}
    cause = tool.cause(case)
    found = {
        "line": not numbers.isdisjoint(case.lines()),
        "type": bool(case.kept_type and re.search(rf"\b{case.kept_type}\b", text)),
        "holder": bool(re.search(case.holder, text)),
        "cause": bool(cause and re.search(cause, text, re.MULTILINE)),
        "curve": "CURVE" in text,
    }
    return tuple(name for name, is_there in found.items() if is_there)


def clean_up(group: int, token: str) -> None:
    """End what the work-load left running, and remove what it left lying about."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    for left in SHARED.glob(f"{token}*"):
        left.unlink()
