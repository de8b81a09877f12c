"""The machine and the interpreter, as far as they decide how memory behaves."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_memreturn._checkup import Finding
from pytest_memreturn._sizes import format_size
from pytest_memreturn.probes import machine

TOPIC = "machine"

_HUGE_PAGES = {
    "always": "always: a byte written may make 2 MiB resident; zeros they fill up are let pass",
    "madvise": "madvise: only where a program asks for them, as numpy does for large arrays",
    "never": "never",
}


def system(environment: Mapping[str, Any]) -> Iterator[Finding]:
    """The kernel, the C library, pages and variables."""
    yield Finding(TOPIC, "kernel", environment["kernel"])
    libc = environment["libc"]
    if str(libc).startswith("glibc"):
        yield Finding(TOPIC, "libc", libc)
    else:
        yield Finding(
            TOPIC,
            "libc",
            f"{libc or 'not known'}, not glibc: its malloc tells nothing of itself and cannot be "
            "trimmed, and what it holds is mapped or unexplained",
            "limited",
            "run the tests where the C library is glibc",
        )
    versions = environment["versions"].items()
    yield Finding(TOPIC, "versions", ", ".join(f"{name} {one}" for name, one in versions if one))
    yield Finding(TOPIC, "page size", format_size(environment["page_size"]))
    word = environment["huge_pages"]
    huge_pages = _HUGE_PAGES.get(word, word or "the kernel has no such setting")
    yield Finding(TOPIC, "huge pages", huge_pages)
    variables = [f"{name}={value}" for name, value in environment["variables"].items()]
    yield Finding(TOPIC, "variables", ", ".join(variables) or "none that tunes an allocator")


def interpreter(environment: Mapping[str, Any]) -> Iterator[Finding]:
    """Which Python it is, and which allocator it was told to take."""
    name = {"cpython": "CPython"}.get(environment["implementation"], environment["implementation"])
    text = f"{name} {environment['python']}, {_lock()}"
    asked = environment["variables"].get("PYTHONMALLOC")
    yield Finding(TOPIC, "python", f"{text}, PYTHONMALLOC {'not set' if asked is None else asked}")
    # Asked of a module that is there already: importing it would change nothing, and tell nothing.
    tracemalloc = sys.modules.get("tracemalloc")
    if tracemalloc is not None and tracemalloc.is_tracing():
        yield Finding(
            TOPIC,
            "tracemalloc",
            "runs: its tables count as retained, and who has memory is told less well",
            "limited",
            "run without -X tracemalloc and PYTHONTRACEMALLOC",
        )


def memory() -> Iterator[Finding]:
    """How much there is, and whether pages can be pushed out."""
    found = machine.memory()
    total, available = format_size(found.total_bytes), format_size(found.available_bytes)
    yield Finding(TOPIC, "memory", f"{total}, {available} of it available")
    if not found.swap_bytes:
        yield Finding(TOPIC, "swap", "none")
        return
    size, used = format_size(found.swap_bytes), format_size(found.swap_used_bytes)
    yield Finding(TOPIC, "swap", f"{size}, {used} of it in use: pages there count as retained")


def _lock() -> str:
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "with the GIL"
    is_on = getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"a free-threaded build with the GIL {'on' if is_on else 'off'}"
