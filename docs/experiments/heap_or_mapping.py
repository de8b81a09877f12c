"""Small blocks come from the heap, large ones get a mapping each."""

from experiment import KIB, MIB, look

kept: list[object] = []


def small_blocks() -> None:
    blocks = [b"x" * (64 * KIB) for _ in range(800)]
    kept.append(b"x" * (64 * KIB))  # taken last, so it lies above all of them
    del blocks


def large_blocks() -> None:
    blocks = [b"x" * MIB for _ in range(50)]
    kept.append(b"x" * (64 * KIB))
    del blocks


small = look("800 blocks of 64 KiB, freed", small_blocks)
large = look("50 blocks of 1 MiB, freed", large_blocks)

assert small.end_bytes > 40 * MIB
assert large.end_bytes < 4 * MIB
