"""A pool keeps what it was given back, for next time."""

import sys
from pathlib import Path

from experiment import KIB, MIB, look

sys.path.append(str(Path(__file__).parents[2] / "examples" / "slab_pool" / "src"))
from slab_pool import SlabPool

pool = SlabPool(64 * KIB)


def work() -> None:
    blocks = [pool.take() for _ in range(640)]
    for block in blocks:
        block[:] = b"x" * len(block)
        pool.give_back(block)


def work_and_trim() -> None:
    work()
    pool.trim()


given_back = look("640 blocks back in the pool", work)
trimmed = look("the same, and the pool trimmed", work_and_trim)

assert given_back.end_bytes > 35 * MIB
assert trimmed.end_bytes < 4 * MIB
