"""What was pushed out to swap is not given back: it only is somewhere else."""

import mmap
from pathlib import Path

from experiment import MIB, look, touch

MADV_PAGEOUT = 21  # of Linux 5.4; Python has no name for it
kept: list[object] = []


def work() -> None:
    memory = mmap.mmap(-1, 40 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    touch(memory).madvise(MADV_PAGEOUT)
    kept.append(memory)


has_swap = len(Path("/proc/swaps").read_text().splitlines()) > 1
seen = look(f"pushed out, {'to swap' if has_swap else 'but there is no swap'}", work)

assert seen.end_bytes > 35 * MIB
