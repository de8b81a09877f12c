"""A byte brings a page, and where huge pages are wanted a page has 2 MiB."""

import mmap
from pathlib import Path

from experiment import MIB, look

kept: list[object] = []


def write_32_bytes(advice: int) -> None:
    memory = mmap.mmap(-1, 66 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(advice)
    for byte in range(0, 64 * MIB, 2 * MIB):
        memory[byte + MIB] = 1
    kept.append(memory)


small = look("32 bytes, small pages", lambda: write_32_bytes(mmap.MADV_NOHUGEPAGE))
huge = look("32 bytes, huge pages", lambda: write_32_bytes(mmap.MADV_HUGEPAGE))

assert small.end_bytes < MIB
if "[never]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():
    assert huge.end_bytes > 16 * MIB
