"""Which lines of code memory grew by: what a tracer saw, put on the user's own lines."""

from __future__ import annotations

import functools
import linecache
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_memreturn._explanation import Line
from pytest_memreturn._sizes import KIB

# A test's line lies that deep, at most, below what a parser does for it, or an import of imports.
FRAMES = 25
_MOST_LINES = 5

Frame = tuple[str, int]

_OWN = str(Path(__file__).parents[1])
_RUNNERS = ("_pytest", "pytest", "pluggy", "tracemalloc.py", "memray")


@dataclass(frozen=True, slots=True)
class Trace:
    """Bytes that were allocated and not freed; `frames` of Python, the innermost last.

    `native`: the function of native code that asked for them, where such code did.
    """

    bytes: int
    frames: Sequence[Frame]
    native: str | None = None


def largest_lines(
    traces: Iterable[Trace],
    *,
    is_runner: Callable[[str], bool],
    is_library: Callable[[str], bool],
) -> tuple[Line, ...]:
    """The lines with most bytes.

    Each size goes to the innermost line of the user's own; where there is none, to the outermost
    of a library, which is as near to it as the frames reach. What only the test runner has done is
    nobody's, and less than 1 KiB is nothing.
    """
    sizes: Counter[Frame] = Counter()
    natives: dict[Frame, Counter[str]] = {}
    for trace in traces:
        known = [one for one in reversed(trace.frames) if not is_runner(one[0])]
        if not known:
            continue
        line = next((one for one in known if not is_library(one[0])), known[-1])
        sizes[line] += trace.bytes
        if trace.native is not None:
            natives.setdefault(line, Counter())[trace.native] += trace.bytes
    return tuple(
        Line(
            file,
            line,
            size,
            linecache.getline(file, line).strip() or None,
            native=natives[file, line].most_common(1)[0][0] if (file, line) in natives else None,
        )
        for (file, line), size in sizes.most_common(_MOST_LINES)
        if size >= KIB
    )


def with_native(lines: Sequence[Line], natives: Sequence[Line]) -> tuple[Line, ...]:
    """Both, largest first. A library such as numpy tells a tracer of Python's what it takes."""
    told = {(one.file, one.line): one.bytes for one in lines}
    untold = [one for one in natives if 2 * told.get((one.file, one.line), 0) < one.bytes]
    return tuple(sorted((*lines, *untold), key=lambda one: -one.bytes)[:_MOST_LINES])


@functools.cache
def is_runner(file: str) -> bool:
    """Whether a frame is of pytest, or of this package."""
    if file.startswith(_OWN):
        return True
    parts = Path(file).parts
    return any(name in parts for name in _RUNNERS)


@functools.cache
def is_library(file: str) -> bool:
    """Whether a frame is of the standard library, or of something that was installed."""
    if file.startswith("<"):
        return True
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_paths()[name] for name in names]
    return any(file.startswith(folder) for folder in (*folders, sys.base_prefix + "/lib/python"))
