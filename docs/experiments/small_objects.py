"""CPython gives an arena of small objects back when the last one in it is gone."""

from experiment import MIB, look

kept: list[object] = []


def work(one_in: int | None) -> None:
    rows = [(number,) for number in range(600_000)]
    if one_in:
        kept.append(rows[::one_in])
    del rows


gone = look("600,000 tuples, all gone", lambda: work(None))
few = look("one in 2,000 is kept", lambda: work(2_000))

assert gone.end_bytes < 8 * MIB
assert few.end_bytes > 20 * MIB
assert few.trim_bytes > 20 * MIB
