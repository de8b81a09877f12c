"""Work-loads that keep 20 MiB by a known chain, each run in a process of its own.

Not collected with the suite: `test_chains.py` beside this file names them one by one.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import ClassVar

import numpy as np

MIB = 1024 * 1024

RESULTS: list[object] = []
ERRORS: list[Exception] = []
HANDLERS: list[object] = []


class Parser:
    """With something that its class holds."""

    cache: ClassVar[dict[str, object]] = {}


@functools.lru_cache
def load(number: int) -> bytes:
    """Something that is computed once."""
    return bytes([number]) * MIB


def parse() -> None:
    """Fails while it has a buffer."""
    buffer = bytearray(b"x") * (20 * MIB)
    raise ValueError(len(buffer))


def test_module_global() -> None:
    """A list of dicts, each with a text."""
    RESULTS.extend({"id": number, "body": bytes([number]) * MIB} for number in range(20))


def test_lru_cache() -> None:
    """What a function has computed."""
    for number in range(20):
        load(number)


def test_kept_exception() -> None:
    """The frame of the function that failed has a buffer."""
    try:
        parse()
    except ValueError as error:
        ERRORS.append(error)


def test_thread_local_variable() -> None:
    """A thread goes on and on, and has a list."""
    took, may_end = threading.Event(), threading.Event()

    def work() -> None:
        data = [bytes([number]) * MIB for number in range(20)]
        took.set()
        may_end.wait()
        del data

    threading.Thread(target=work, name="worker-1", daemon=True).start()
    took.wait()


def test_view_of_an_array() -> None:
    """Five numbers of two million."""
    large = np.ones(20 * MIB // 8)
    RESULTS.append(large[5:10])


def test_closure() -> None:
    """A function has closed over a buffer."""
    large = bytearray(b"x") * (20 * MIB)

    def handler() -> int:
        return len(large)

    HANDLERS.append(handler)


def test_class_attribute() -> None:
    """A cache that belongs to a class."""
    Parser.cache["page"] = [bytearray(b"x") * (20 * MIB)]


def test_only_c_code() -> None:
    """A list of which C code has taken a reference, and never gives it back."""
    large = [bytes([number]) * MIB for number in range(20)]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(large))
