"""What a run of the benchmarks ran on."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

DISTRIBUTIONS = (
    *("pytest", "psutil", "pytest-memray", "memray", "psleak", "pandas", "scikit-learn"),
    *("attrs", "Jinja2", "networkx"),
)


def processor() -> str:
    """The model of the processor, as the kernel names it."""
    named = re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return named[1] if named else platform.machine()


def memory_bytes(name: str) -> int:
    """One figure of ``/proc/meminfo``."""
    line = re.search(rf"^{name}:\s+(\d+) kB$", _text("/proc/meminfo"), re.MULTILINE)
    assert line is not None, f"every Linux has {name}"
    return int(line[1]) * 1024


def version_of(distribution: str) -> str | None:
    """The version that is installed here, if any is."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def lines() -> Iterator[str]:
    """The machine and the versions, as a list in Markdown."""
    date = dt.datetime.now(tz=dt.UTC).date()
    gibibytes = memory_bytes("MemTotal") / 2**30
    release = platform.release().partition("-")[0]
    versions = (f"{name} {version_of(name) or 'not installed'}" for name in DISTRIBUTIONS)
    huge_pages = re.search(r"\[(\w+)\]", _text("/sys/kernel/mm/transparent_hugepage/enabled"))
    yield f"- Measured on {date}"
    yield f"- {processor()}, {os.cpu_count()} cores, {gibibytes:.0f} GiB of memory"
    yield f"- {platform.system()} {release}, {' '.join(platform.libc_ver())}"
    yield f"- transparent huge pages: {huge_pages[1] if huge_pages else 'unknown'}"
    yield f"- CPython {platform.python_version()}"
    yield f"- {', '.join(versions)}"
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"- load of the machine when the run began (1, 5, 15 minutes): {load}"


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError:
        return ""
