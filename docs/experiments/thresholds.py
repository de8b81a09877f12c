"""Freeing one large block changes where malloc puts those that come later."""

from experiment import MIB, look

kept: list[object] = []


def work() -> None:
    blocks = [b"x" * (4 * MIB) for _ in range(12)]
    kept.append(b"x" * 1000)
    del blocks


def free_a_large_block() -> None:
    block = bytearray(30 * MIB)
    del block


fresh = look("12 blocks of 4 MiB", work)
later = look("the same after 30 MiB were freed", work, before=free_a_large_block)

assert fresh.end_bytes < 4 * MIB
assert later.end_bytes > 40 * MIB
assert later.trim_bytes < 8 * MIB
