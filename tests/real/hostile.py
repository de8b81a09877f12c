"""A plugin that makes a pytest process a hostile room, as the variable `ROOM` says in JSON.

`deny`: patterns of paths, and the error each gives to whoever opens or lists one. `reword`:
patterns of paths, and what becomes of each text: `truncated`, `reordered` or `future`.
`from_first_test`: the doors close only then. `hide`: functions of C that are not to be found, as
with another C library or interpreter.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import sys
from typing import Any

ROOM: dict[str, Any] = json.loads(os.environ["ROOM"])
DENIED = {re.compile(path): getattr(errno, name) for path, name in ROOM.get("deny", {}).items()}
REWORDED = {re.compile(path): how for path, how in ROOM.get("reword", {}).items()}

_closed = not ROOM.get("from_first_test", False)


def pytest_runtest_setup() -> None:
    """From here on the doors are closed."""
    global _closed  # noqa: PLW0603 - an audit hook has no other state
    _closed = True


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    # Every way by which Python opens or lists anything comes through here.
    if _closed and event in {"open", "os.listdir", "os.scandir"} and isinstance(arguments[0], str):
        path = arguments[0]
        for pattern, number in DENIED.items():
            if pattern.fullmatch(path):
                raise OSError(number, os.strerror(number), path)


def _reorder(lines: list[bytes]) -> list[bytes]:
    """Fields in another order: in a layout, those of each mapping."""
    blocks: list[list[bytes]] = [[]]
    for line in lines:
        if re.match(rb"[0-9a-f]+-[0-9a-f]+ ", line):
            blocks.append([])
        blocks[-1].append(line)
    found = []
    for block in blocks:
        has_header = bool(block) and b"-" in block[0].split(b" ")[0]
        found += [*block[:has_header], *reversed(block[has_header:])]
    return found


def _extend(lines: list[bytes]) -> list[bytes]:
    """A field that nobody knows yet behind each, and longer values."""
    return [part for line in lines for part in (line, b"Future:  17 kB of (what) 0x1f\n")]


def _reworded(path: str, text: bytes) -> bytes:
    for pattern, how in REWORDED.items():
        if pattern.fullmatch(path):
            lines = text.splitlines(keepends=True)
            if how == "truncated":
                return text[: len(text) * 2 // 3]
            return b"".join(_reorder(lines) if how == "reordered" else _extend(lines))
    return text


def _reword_files() -> None:
    """Change what the plugin's own readings get, in texts as this kernel has them."""
    from pytest_memreturn.probes import _files

    open_, readv, close = _files._OPEN, _files._READV, _files._CLOSE
    texts: dict[int, bytes] = {}

    def opened(path: str, flags: int) -> int:
        descriptor = open_(path, flags)
        if any(pattern.fullmatch(path) for pattern in REWORDED):
            whole = b""
            while part := os.read(descriptor, 2**20):
                whole += part
            texts[descriptor] = _reworded(path, whole)
        return descriptor

    def read(descriptor: int, size: int) -> bytes:
        if descriptor not in texts:
            return os.read(descriptor, size)
        found, texts[descriptor] = texts[descriptor][:size], texts[descriptor][size:]
        return found

    def read_vector(descriptor: int, buffers: list[memoryview]) -> int:
        if descriptor not in texts:
            return readv(descriptor, buffers)
        found = read(descriptor, len(buffers[0]))
        buffers[0][: len(found)] = found
        return len(found)

    def closed(descriptor: int) -> None:
        texts.pop(descriptor, None)
        close(descriptor)

    _files._OPEN, _files._READ = opened, read  # type: ignore[assignment]
    _files._READV, _files._CLOSE = read_vector, closed  # type: ignore[assignment]


def _hide(names: list[str]) -> None:
    import psutil

    find = ctypes.CDLL.__getattr__

    def found(library: ctypes.CDLL, name: str) -> object:
        if name in names:
            raise AttributeError(name)
        return find(library, name)

    ctypes.CDLL.__getattr__ = found  # type: ignore[assignment, method-assign]
    for name in ("heap_trim", "heap_info"):
        if name in names and hasattr(psutil, name):
            delattr(psutil, name)


if ROOM.get("hide"):
    _hide(ROOM["hide"])
if REWORDED:
    _reword_files()
sys.addaudithook(_refuse)
