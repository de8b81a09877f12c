"""Work-loads that leave a known picture in malloc's heaps, each run in a process of its own.

Not collected with the suite: `test_heaps.py` beside this file names them one by one.
"""

from __future__ import annotations

import ctypes
import threading

MIB = 1024 * 1024
# Below the size from which malloc gives each block a mapping of its own.
BLOCK = 100_000

kept: list[object] = []

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def filled(mebibytes: float) -> list[bytearray]:
    """Blocks of so many MiB together, written to from end to end."""
    return [bytearray(b"x") * BLOCK for _ in range(round(mebibytes * MIB / (BLOCK + 16)))]


def leave_picture(used: float, freed: float, result: float, freed_above: float) -> None:
    """What is used, freed, a result and freed again, in MiB, and a block that ends it all."""
    kept.append(filled(used))
    goes = filled(freed)
    kept.append(filled(result))
    goes_too = filled(freed_above)
    # Without it malloc would hand back what is free at its top.
    kept.append(bytearray(BLOCK))
    del goes, goes_too


def test_classic_in_the_main_heap() -> None:
    """The picture that it all started from."""
    leave_picture(10, 49, 1, 49)


def test_classic_in_the_heap_of_a_thread() -> None:
    """The same in the heap of a thread, which is never larger than 64 MiB."""
    took, may_end = threading.Event(), threading.Event()

    def work() -> None:
        leave_picture(4, 20, 1, 20)
        took.set()
        may_end.wait()

    threading.Thread(target=work, daemon=True).start()
    took.wait()
    kept.append(may_end)


def test_a_block_on_every_page() -> None:
    """60 MiB are freed but for a native block of 64 bytes on every page."""
    pages = 15_000
    pinning, filling = (ctypes.c_void_p * pages)(), (ctypes.c_void_p * pages)()
    for page in range(pages):
        pinning[page] = libc.malloc(48)
        filling[page] = libc.malloc(4096 - 64 - 16)
        libc.memset(filling[page], 1, 4096 - 64 - 16)
    for block in filling:
        libc.free(block)
    kept.append(pinning)


def test_tuples_pin_arenas() -> None:
    """300 tuples of 600,000 stay, each in another part of the arenas."""
    tuples = [(number, str(number)) for number in range(600_000)]
    kept.append(tuples[::2_000])
    del tuples
