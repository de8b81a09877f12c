"""Who follows the lines that run here, and keeps what it notes of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

_MOST_TOOLS = 6


def tracers() -> tuple[str, ...]:
    """The names of what traces this thread, such as ``coverage``; each once."""
    return tuple(dict.fromkeys(_names()))


def _names() -> Iterator[str]:
    for hook in (sys.gettrace(), sys.getprofile()):
        if hook is not None:
            # A function has its own; what is written in C is an object of its own type.
            module = getattr(hook, "__module__", None) or type(hook).__module__
            yield module.partition(".")[0]
    # From CPython 3.12 on.
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for tool in map(monitoring.get_tool, range(_MOST_TOOLS)):
            if tool:
                yield tool.removesuffix(".py")
