"""Each thread has a heap of its own, and no trim reaches the free top of one."""

import os
import threading
import time

from experiment import MIB, look

THREADS = 4
parsed = threading.Barrier(THREADS)
freed = threading.Barrier(THREADS + 1)


def thread() -> None:
    rows = [bytes(3_000) for _ in range(4_000)]
    parsed.wait()
    del rows
    freed.wait()
    time.sleep(60)  # it goes on living, as the threads of a pool do


def work() -> None:
    for _ in range(THREADS):
        threading.Thread(target=thread, daemon=True).start()
    freed.wait()


def free_a_large_block() -> None:
    block = bytearray(30 * MIB)
    del block


seen = look("4 threads freed 11 MiB each", work, before=free_a_large_block)

if os.environ.get("MALLOC_ARENA_MAX") == "1":
    assert seen.trim_bytes < 12 * MIB
else:
    assert seen.trim_bytes > 30 * MIB
