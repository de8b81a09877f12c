"""A trim gives back whole pages: a live block on each of them is enough to keep all."""

from experiment import MIB, look

kept: list[object] = []


def work(one_in: int) -> None:
    rows = [bytes(2_000) for _ in range(25_000)]
    kept.append(rows[::one_in])
    del rows


few = look("one row in 100 is kept", lambda: work(100))
many = look("one row in 2 is kept", lambda: work(2))

assert few.end_bytes > 40 * MIB
assert few.trim_bytes < 10 * MIB
assert many.trim_bytes > 40 * MIB
