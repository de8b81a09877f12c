"""Windows of which it is known what they keep: nothing, or so much."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._checkup import Finding, Noise, Spread
from pytest_memreturn._measure import Attempt
from pytest_memreturn._settings import Source, resolve
from pytest_memreturn._sizes import KIB, MIB, format_size
from pytest_memreturn.doctor.readings import LINUX_PROBE

if TYPE_CHECKING:
    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._record import Record, Window

TOPIC = "noise"

# More than the default allowance, so that it is judged as retained and explained.
KNOWN_BYTES = 8 * MIB
# What a reading of a known amount may be off. Empty windows read up to 16 KiB; an allocator that
# begins an arena for what measures it has 1 MiB more.
_MOST_OFF_BYTES = MIB
_NOISY_BYTES = 64 * KIB
# As tests are judged, and as blocks are, which close their ledger each time: 80 ms on a slow core.
WINDOWS: tuple[tuple[Window, str, int], ...] = (("call", "a test", 40), ("block", "a block", 12))


def empty_windows(instruments: Instruments, window: Window, windows: int) -> Noise | str:
    """What windows read in which nothing happens; or why they could not be judged."""
    records = [_judged(instruments, window, _nothing) for _ in range(windows)]
    for one in records:
        if one.retained_bytes is None:
            return one.reason or "no reason known"
    return Noise(
        windows,
        _spread(one.retained_bytes or 0 for one in records),
        _spread(one.overhead_seconds for one in records),
    )


def noise_finding(name: str, found: Noise | str) -> Finding:
    """The same in words."""
    if isinstance(found, str):
        return Finding(TOPIC, name, f"unjudged: {found}", "unjudged", ALLOW)
    kept, seconds = found.retained_bytes, found.seconds
    text = (
        f"{found.windows} empty windows retained {_size(kept.median)} (median; least "
        f"{_size(kept.least)}, most {_size(kept.most)}), and cost {seconds.median * 1000:.1f} ms "
        f"each (least {seconds.least * 1000:.1f}, most {seconds.most * 1000:.1f})"
    )
    if max(abs(kept.least), kept.most) <= _NOISY_BYTES:
        return Finding(TOPIC, name, text)
    remedy = f"allow no less than {_size(kept.most)}, or find what allocates beside the tests"
    return Finding(TOPIC, name, text, "limited", remedy)


ALLOW = "allow the reading that it names, or set memreturn_probe = portable"


def known_amounts(instruments: Instruments) -> Iterator[Finding]:
    """Whether memory that is kept is seen and named, and memory that went back is not."""
    # First, as long as malloc maps a block of this size by itself: from the second one on it cuts
    # it from its heap. Judged after a trim, since an allocator may keep what it could give back.
    yield _returned_finding(_judged(instruments, "call", _written, trim=True))
    kept: list[bytes] = []
    held = _judged(instruments, "call", lambda: kept.append(_written()))
    kept.clear()
    yield _kept_finding(held)


def _kept_finding(held: Record) -> Finding:
    size, read = format_size(KNOWN_BYTES), held.retained_bytes
    if read is None:
        return Finding(TOPIC, "kept", f"unjudged: {held.reason}", "unjudged", ALLOW)
    text = f"{size} kept were read as {format_size(read)}"
    if held.cause is not None:
        text += f", cause {held.cause}; explained in {held.overhead_seconds:.1f} s"
    if abs(read - KNOWN_BYTES) > _MOST_OFF_BYTES:
        return Finding(TOPIC, "kept", text, "limited", _QUIETER)
    if held.cause != "live-python":
        text += ": who has it could not be told"
        return Finding(TOPIC, "kept", text, "limited", LINUX_PROBE)
    return Finding(TOPIC, "kept", text)


def _returned_finding(gone: Record) -> Finding:
    size, read = format_size(KNOWN_BYTES), gone.retained_bytes
    if read is None:
        return Finding(TOPIC, "returned", f"unjudged: {gone.reason}", "unjudged", ALLOW)
    peak = format_size(gone.peak_growth_bytes or 0)
    text = f"{size} given back were read as {format_size(read)}, with a peak of {peak}"
    if abs(read) > _MOST_OFF_BYTES:
        text += f", cause {gone.cause}"
        return Finding(TOPIC, "returned", text, "limited", _QUIETER)
    return Finding(TOPIC, "returned", text)


_QUIETER = "run it again on a machine that does less beside it"


def _judged(
    instruments: Instruments, window: Window, work: Callable[[], object], *, trim: bool = False
) -> Record:
    """The record of a window around this work, by the default settings but for the gate."""
    settings = resolve([Source("doctor", {"trim": trim}, at_the_test=True)])
    attempt = Attempt(settings, lambda: instruments, nodeid="", window=window)
    opened = attempt.open()
    work()
    return attempt.close(opened)


def _nothing() -> None:
    """An empty window's work."""


def _written() -> bytes:
    # Of zeros nothing would be resident.
    return b"\1" * KNOWN_BYTES


def _spread(figures: Iterable[float]) -> Spread:
    found: Sequence[float] = sorted(figures)
    return Spread(found[0], statistics.median_low(found), found[-1])


def _size(size_bytes: float) -> str:
    return format_size(int(size_bytes))
