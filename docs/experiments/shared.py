"""Shared memory lives until it has no name, no mapping and no descriptor."""

import os

from experiment import MIB, look

NAME = f"/dev/shm/experiment-{os.getpid()}"


def work(*, unlink: bool) -> None:
    with open(NAME, "w+b") as segment:
        for _ in range(32):
            segment.write(b"x" * MIB)
    if unlink:
        os.unlink(NAME)


left = look("closed", lambda: work(unlink=False))
os.unlink(NAME)
gone = look("closed and unlinked", lambda: work(unlink=True))

assert left.end_bytes > 30 * MIB
assert left.rss_bytes < 4 * MIB
assert gone.end_bytes < 4 * MIB
