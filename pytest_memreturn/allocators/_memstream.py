"""The text that a C function prints to a stream, without a file."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def printed_by(function: Callable[[ctypes.c_void_p], object]) -> bytes | None:
    """What `function` prints to the ``FILE *`` it is given; ``None`` without POSIX streams."""
    library = _library()
    if library is None:
        return None
    text = ctypes.c_void_p()
    length = ctypes.c_size_t()
    stream = library.open_memstream(ctypes.byref(text), ctypes.byref(length))
    if not stream:
        return None
    try:
        function(ctypes.c_void_p(stream))
    finally:
        library.fclose(stream)
    try:
        return ctypes.string_at(text, length.value)
    finally:
        library.free(text)


@cache
def _library() -> ctypes.CDLL | None:
    """The C library with its stream functions declared, once: each declaration stays in memory."""
    if sys.platform == "win32":
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "open_memstream"):
        return None
    library.open_memstream.restype = ctypes.c_void_p
    library.open_memstream.argtypes = [
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    library.fclose.argtypes = [ctypes.c_void_p]
    library.free.argtypes = [ctypes.c_void_p]
    return library
