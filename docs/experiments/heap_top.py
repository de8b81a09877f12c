"""The heap ends where its last live block does: what is freed above that goes back by itself."""

from experiment import KIB, MIB, look

kept: list[object] = []


def blocks(count: int) -> list[bytes]:
    return [b"x" * (64 * KIB) for _ in range(count)]


def below() -> None:
    freed = blocks(800)
    kept.append(blocks(16))
    del freed


def above() -> None:
    kept.append(blocks(16))
    freed = blocks(800)
    del freed


def both() -> None:
    freed = blocks(400)
    kept.append(blocks(16))
    freed += blocks(400)
    del freed


lower = look("freed below a live MiB", below)
upper = look("freed above it", above)
around = look("half below, half above", both)

assert lower.end_bytes > 40 * MIB
assert lower.trim_bytes < 8 * MIB
assert upper.end_bytes < 8 * MIB
assert 20 * MIB < around.end_bytes < 35 * MIB
