"""The cache of small buffers that numpy keeps for arrays to come, brought to its usual size."""

from __future__ import annotations

from pytest_memreturn.allocators._imported import imported

# NBUCKETS in numpy's alloc.c: a bucket for each size below a KiB. Each has room for seven buffers,
# but a body that leaves more than two of one size in it does so in its first rounds.
_SIZES_BYTES = range(1, 1024)
_EACH = 2


def fill_numpy_cache() -> None:
    """Have some buffers of each size be there, if the program has numpy.

    They are never given back, and count as live: a body that sorts arrays of ever other lengths
    left 40 KiB more in it over 300 rounds.
    """
    empty = imported("numpy", "empty")
    if empty is not None:
        for size_bytes in _SIZES_BYTES:
            [empty(size_bytes, "B") for _ in range(_EACH)]
