"""CPython's small-object allocator, from the statistics it prints for debugging."""

from __future__ import annotations

import ctypes
import re
import sys
import sysconfig
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import KIB
from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._memstream import printed_by

if TYPE_CHECKING:
    from collections.abc import Callable

_ARENAS = re.compile(rb"(\d{1,20}) arenas \* (\d{1,20}) bytes/arena")
# pymalloc never gives back its last arena with room, empty as it may be; and one object that the
# interpreter made for itself while arenas were full (a table that grew, a cache) keeps another.
# 200,000 small objects that came and went left two arenas of 1 MiB on 3.11, 3.12 and 3.13.
_ARENAS_IN_RESERVE = 2
# It makes an arena only when no other has a free pool, so that only the newest can have pools that
# were never written to; and of each size it fills one pool to its end before it begins another.
_POOL_BYTES, _SIZES = 16 * KIB, 32

_ALLOCATED = re.compile(rb"\n# bytes in allocated blocks += +(\d[\d,]{0,30})\n")


class Pymalloc(Allocator):
    """Live bytes and arenas of pymalloc, without stderr and without PYTHONMALLOC."""

    name = "python"

    def __init__(self) -> None:
        self._print_statistics = _statistics_function()

    def statistics(self) -> AllocatorStatistics | None:
        """Blocks handed out against arenas held.

        ``None`` where pymalloc is not in use (``PYTHONMALLOC=malloc``, free-threaded builds), and
        where the interpreter does not export its statistics. Silent while tracemalloc stands
        before it.
        """
        if self._print_statistics is None:
            return None
        text = printed_by(self._print_statistics)
        found = parse_statistics(text) if text is not None else None
        tracemalloc = sys.modules.get("tracemalloc")
        if found is None and tracemalloc is not None and tracemalloc.is_tracing():
            return AllocatorStatistics(self.name, 0, 0, from_start=True, is_silent=True)
        return found

    def why_unavailable(self) -> str | None:
        """A free-threaded build has another allocator; a later one may print other words."""
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            return "free-threaded CPython exports no statistics of its object allocator"
        text = printed_by(self._print_statistics) if self._print_statistics is not None else None
        if not text or (_ARENAS.search(text) and _ALLOCATED.search(text)):
            return None  # it is not in use, or it is understood
        return "this CPython prints the statistics of its object allocator in words not known here"


def parse_statistics(text: bytes) -> AllocatorStatistics | None:
    """Statistics from the text CPython prints; ``None`` where it speaks of no arena."""
    # The line is looked for by the words in it: trying each line for its number takes 10 us.
    line_start = text.rfind(b"\n", 0, max(0, text.find(b" arenas * "))) + 1
    arenas, allocated = _ARENAS.match(text, line_start), _ALLOCATED.search(text)
    if arenas is None or allocated is None:
        return None
    arena_bytes = int(arenas[2])
    held = int(arenas[1]) * arena_bytes
    if held == 0:
        return None
    return AllocatorStatistics(
        name="python",
        live_bytes=int(allocated[1].replace(b",", b"")),
        held_bytes=held,
        reserve_bytes=_ARENAS_IN_RESERVE * arena_bytes,
        arenas=int(arenas[1]),
        most_untouched_bytes=arena_bytes + _SIZES * _POOL_BYTES,
        from_start=True,
    )


def _statistics_function() -> Callable[[ctypes.c_void_p], object] | None:
    # The function behind sys._debugmallocstats(), which prints to stderr only.
    function = getattr(ctypes.pythonapi, "_PyObject_DebugMallocStats", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_void_p]
    function.restype = ctypes.c_int

    def print_statistics(stream: ctypes.c_void_p) -> object:
        return function(stream)

    return print_statistics
