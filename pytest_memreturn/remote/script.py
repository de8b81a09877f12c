"""What another interpreter is made to run: it collects, trims, and says what its allocators hold.

Sent as text, so that nothing but the standard library is needed there, and run between two
instructions of its main thread, in a namespace of its own. Whatever goes wrong is an answer too:
nothing is printed there, and nothing raised.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

# As often as for the process that asks: a finalizer may make further garbage.
_MOST_COLLECTIONS = 3


def answer(path: str) -> None:
    """Give back what is free, and write to `path` what the allocators say then."""
    sections: dict[str, bytes] = {}
    try:
        for _ in range(_MOST_COLLECTIONS):
            if gc.collect() == 0:
                break
        import ctypes

        trim(ctypes)
        sections["python"] = printed(
            ctypes, ctypes.PyDLL(None), "_PyObject_DebugMallocStats", lambda call, to: call(to)
        )
        sections["malloc"] = printed(
            ctypes, ctypes.CDLL(None), "malloc_info", lambda call, to: call(0, to)
        )
    except Exception as error:  # noqa: BLE001 - this is somebody else's program
        sections["error"] = f"{type(error).__name__}: {error}".encode(errors="replace")
    with contextlib.suppress(OSError):
        with open(f"{path}.part", "wb") as file:  # noqa: PTH123 - pathlib need not be loaded there
            file.write(b"".join(b"%s %d\n%s" % one for one in written(sections)))
        os.replace(f"{path}.part", path)  # noqa: PTH105 - the same


def written(sections: dict[str, bytes]) -> list[tuple[bytes, int, bytes]]:
    """The sections as a file has them: a name, a length, so many bytes."""
    return [(name.encode(), len(text), text) for name, text in sections.items()]


def trim(ctypes: Any) -> None:  # noqa: ANN401 - a module that may not be there
    """Ask every allocator that is there, those first that take their memory from others."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None:
        with contextlib.suppress(Exception):
            pyarrow.default_memory_pool().release_unused()
    library = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):
        flush = library["mallctl"]
        nothing = (None, None, None, ctypes.c_size_t(0))
        flush(b"thread.tcache.flush", *nothing)
        flush(b"arena.4096.purge", *nothing)
    with contextlib.suppress(AttributeError):
        library["MallocExtension_ReleaseFreeMemory"]()
    with contextlib.suppress(AttributeError):
        library["mi_collect"](True)  # noqa: FBT003 - a C function
    with contextlib.suppress(AttributeError):
        library["malloc_trim"](ctypes.c_size_t(0))


def printed(
    ctypes: Any,  # noqa: ANN401 - a module that may not be there
    library: Any,  # noqa: ANN401 - a C library
    name: str,
    call: Callable[[Any, Any], object],
) -> bytes:
    """What a C function prints to a stream; nothing where there is no such function."""
    try:
        function, streams = library[name], ctypes.CDLL(None)
        opened, close, free = (streams[one] for one in ("open_memstream", "fclose", "free"))
    except AttributeError:
        return b""
    opened.restype = ctypes.c_void_p
    text, length = ctypes.c_void_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(opened(ctypes.byref(text), ctypes.byref(length)))
    if not stream:  # there is no memory for it
        return b""
    call(function, stream)
    close(stream)
    found: bytes = ctypes.string_at(text, length.value)
    free(text)
    return found
