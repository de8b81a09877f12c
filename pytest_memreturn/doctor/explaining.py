"""What can be found out here about a test that retains memory, and which extras are installed."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tempfile
from collections.abc import Iterator

from pytest_memreturn._checkup import Finding
from pytest_memreturn._sizes import format_size
from pytest_memreturn.probes import machine
from pytest_memreturn.report.formats import FORMATS
from pytest_memreturn.reruns.installed import has_glibc, preloadable

TOPIC = "explaining"
EXTRAS = "extras"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_PACKAGE = "pytest-memreturn"
_GIVES = {
    "memray": "lines of native code under --memreturn-explain",
    "html": "reports in HTML",
}


def heap_walk() -> Iterator[Finding]:
    """Whether malloc's heaps can be read block by block."""
    problem = machine.own_memory_problem()
    if problem is not None:
        yield Finding(
            TOPIC,
            "heap walk",
            f"/proc/self/mem: {problem}: what pins free memory is not named, and no heap is drawn",
            "limited",
            "let the process read its own memory (ptrace access: seccomp, AppArmor, hidepid)",
        )
        return
    # Only where there is such a file: elsewhere this module cannot be loaded.
    from pytest_memreturn.explain.heap_walk import walk_heaps

    walk = walk_heaps()
    if walk is None:
        text = "none of glibc's malloc is in use: no heap is drawn"
        yield Finding(TOPIC, "heap walk", text, "limited", "run with glibc's own malloc")
    elif walk.proven:
        size = format_size(walk.live_bytes)
        text = f"proven: {size} live in {len(walk.heaps)} heap{'s' * (len(walk.heaps) != 1)}"
        yield Finding(TOPIC, "heap walk", f"{text}, as malloc says")
    else:
        text = f"inconclusive: {walk.reason}"
        yield Finding(TOPIC, "heap walk", text, "limited", "fewer threads at work beside it")


def reruns() -> Iterator[Finding]:
    """Whether fresh interpreters can be started for --memreturn-explain, and what they can try."""
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        text = f"no folder for temporary files: {error.strerror or error}"
        yield Finding(TOPIC, "re-runs", text, "limited", "set TMPDIR to one that can be written to")
    else:
        if sys.executable:
            yield Finding(TOPIC, "re-runs", f"by {sys.executable}, with files in {folder}")
        else:
            text = "Python does not know by which program it was started"
            yield Finding(TOPIC, "re-runs", text, "limited", "start Python by its path")
    found = preloadable()
    if found:
        names = f"{', '.join(found)} can be tried in place of malloc"
        yield Finding(TOPIC, "remedies", names)
    elif has_glibc():
        text = "no other malloc is installed to be tried in place of glibc's"
        yield Finding(TOPIC, "remedies", text, "optional", "install jemalloc, tcmalloc or mimalloc")


def extras() -> Iterator[Finding]:
    """What can be installed beside the package, and whether it is."""
    yield Finding(EXTRAS, "reports", f"table, {', '.join(FORMATS)}")
    try:
        needed = importlib.metadata.requires(_PACKAGE) or ()
    except importlib.metadata.PackageNotFoundError:
        yield Finding(EXTRAS, "package", f"{_PACKAGE} is not installed, only imported", "optional")
        return
    for requirement in needed:
        extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
        if extra is not None and name is not None:
            yield _extra(extra[1], name[0])


def _extra(extra: str, name: str) -> Finding:
    gives = _GIVES.get(extra, "more")
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        remedy = f"pip install {_PACKAGE}[{extra}]"
        return Finding(EXTRAS, extra, f"{name} is not installed: no {gives}", "optional", remedy)
    return Finding(EXTRAS, extra, f"{name} {version}: {gives}")
