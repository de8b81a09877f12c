"""Memory can be given back now, or whenever the kernel wants it: RSS cannot tell."""

import mmap

from experiment import MIB, look, touch

kept: list[object] = []


def mapping() -> mmap.mmap:
    memory = mmap.mmap(-1, 40 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.append(memory)
    return touch(memory)


nothing = look("a mapping that is kept", mapping)
now = look("MADV_DONTNEED", lambda: mapping().madvise(mmap.MADV_DONTNEED))
lazily = look("MADV_FREE", lambda: mapping().madvise(mmap.MADV_FREE))
unmapped = look("munmap", lambda: mapping().close())

assert nothing.end_bytes > 35 * MIB
assert max(now.end_bytes, lazily.end_bytes, unmapped.end_bytes) < 4 * MIB
assert now.rss_bytes < 4 * MIB
assert lazily.rss_bytes > 35 * MIB
