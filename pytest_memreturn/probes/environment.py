"""Facts about this process and machine that decide how memory behaves here."""

from __future__ import annotations

import importlib.metadata
import mmap
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Variables that change which allocator serves, or how it behaves; read once, at process start.
_PREFIXES = ("MALLOC_", "PYTHONMALLOC", "MIMALLOC_", "JE_MALLOC", "_RJEM", "TCMALLOC_", "ARROW_")
_NAMES = ("GLIBC_TUNABLES", "LD_PRELOAD", "PYTHONDEVMODE", "OMP_NUM_THREADS")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def environment(
    probe: str | None, allocators: list[str], unavailable: Mapping[str, str]
) -> dict[str, Any]:
    """The ``environment`` object of a report.

    `allocators`: the names of those that answered. `unavailable`: why others did not, by name.
    """
    libc, libc_version = platform.libc_ver()
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "libc": f"{libc} {libc_version}".strip() or None,
        "allocators": allocators,
        "unavailable": dict(unavailable),
        "kernel": f"{platform.system()} {platform.release()}",
        "page_size": mmap.PAGESIZE,
        "huge_pages": _huge_pages(),
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_PREFIXES) or name in _NAMES
        },
        "probe": probe,
        "versions": {
            name: importlib.metadata.version(name) for name in ("pytest", "psutil", "pluggy")
        }
        | {"pytest-memreturn": _own_version()},
        # One run has one: only a merged report has more.
        "others": [],
    }


def _own_version() -> str | None:
    try:
        return importlib.metadata.version("pytest-memreturn")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return None


def _huge_pages() -> str | None:
    """The kernel's setting for transparent huge pages: the word it puts in brackets."""
    try:
        setting = _HUGE_PAGES.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return setting.partition("[")[2].partition("]")[0] or None
