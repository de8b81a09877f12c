"""Records what this kernel, C library and Python print of a small process, one file per source.

Run it with the Python to be recorded: ``python -I -S tests/samples/record.py FOLDER``.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import re
import sys
import threading
from pathlib import Path

MIB = 1024 * 1024

# What a name says of whoever recorded it, and no parser reads.
PRIVATE = re.compile(rb"(?<= )/(?!dev/|memfd:|SYSV)[^\n]*/(?=[^/\n]+\n)")


def printed_by(function: ctypes._NamedFuncPointer, *arguments: object) -> bytes:
    """What a C function prints to the stream that is its last argument."""
    library = ctypes.CDLL(None)
    library.fdopen.restype = ctypes.c_void_p
    library.fclose.argtypes = [ctypes.c_void_p]
    reading, writing = os.pipe()
    stream = ctypes.c_void_p(library.fdopen(writing, b"w"))
    function(*arguments, stream)
    library.fclose(stream)
    with os.fdopen(reading, "rb") as found:
        return found.read()


def read(name: str) -> bytes:
    """A file of this process in procfs."""
    return Path("/proc/self", name).read_bytes()


def main(folder: Path) -> None:
    """Hold a little memory of every kind, then write down what is said of it."""
    kernel = "linux-" + ".".join(platform.release().split(".")[:2])
    libc = "-".join(platform.libc_ver())
    python = f"python-{sys.version_info.major}.{sys.version_info.minor}"
    blocks = [bytes(size) for size in range(1000, 100_000, 1000)]
    objects = [(number,) for number in range(30_000)]
    del blocks[::2], objects[::3]
    lazy = mmap.mmap(-1, 4 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    lazy[:] = b"x" * len(lazy)
    lazy.madvise(mmap.MADV_FREE, 0, MIB)
    huge = mmap.mmap(-1, 6 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    huge.madvise(mmap.MADV_HUGEPAGE)
    huge[:] = b"x" * len(huge)
    shared = mmap.mmap(-1, MIB)
    shared[:] = b"x" * len(shared)
    memfd = os.memfd_create("sample")
    os.ftruncate(memfd, MIB)
    behind_memfd = mmap.mmap(memfd, MIB)
    behind_memfd[:] = b"x" * MIB
    segment = ctypes.CDLL(None).shmget(0, MIB, 0o1600)  # IPC_CREAT, for its owner
    attach = ctypes.CDLL(None).shmat
    attach.restype = ctypes.c_void_p
    ctypes.memset(ctypes.c_void_p(attach(segment, None, 0)), 1, MIB)
    gate, ready = threading.Event(), threading.Barrier(2)
    kept: list[bytearray] = []

    def work() -> None:
        kept.extend(bytearray(5000) for _ in range(100))
        del kept[::2]
        ready.wait()
        gate.wait()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    found = {f"smaps/{kernel}-{libc}": read("smaps"), f"rollup/{kernel}": read("smaps_rollup")}
    found |= {f"{name}/{kernel}": read(name) for name in ("status", "stat", "statm")}
    found[f"sysvipc-shm/{kernel}"] = Path("/proc/sysvipc/shm").read_bytes()
    found[f"pymalloc/{python}"] = printed_by(ctypes.pythonapi._PyObject_DebugMallocStats)
    found[f"malloc-info/{libc}"] = printed_by(ctypes.CDLL(None).malloc_info, 0)
    ctypes.CDLL(None).shmctl(segment, 0, None)  # IPC_RMID
    gate.set()
    thread.join()
    for name, text in found.items():
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PRIVATE.sub(b"/usr/lib/", text))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
