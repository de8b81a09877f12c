"""Functions of C libraries that are loaded in this process."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any


def exported(name: str, *, keeps_gil: bool = False) -> Any | None:  # noqa: ANN401 - a C function
    """A new `ctypes` function for the symbol `name` that the process exports; ``None`` without it.

    Each call makes a new object, so that what is declared of it stays unseen by whoever else
    calls the same function. With `keeps_gil` no other Python thread is let in by calling it.
    A library that keeps its symbols to itself, as wheels that bundle an allocator do, is not seen.
    """
    if sys.platform == "win32":
        return None
    return _function(ctypes.PyDLL(None) if keeps_gil else ctypes.CDLL(None), name)


def of_loaded(library: str, name: str) -> Any | None:  # noqa: ANN401 - a C function
    """The same for the function `name` of a shared `library`, if it is loaded already."""
    if sys.platform == "win32":
        return None
    try:
        found = ctypes.CDLL(library, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
    return _function(found, name)


def _function(library: ctypes.CDLL, name: str) -> Any | None:  # noqa: ANN401 - a C function
    try:
        # By index: an attribute would be kept by the library and handed out again.
        return library[name]
    except AttributeError:
        return None
