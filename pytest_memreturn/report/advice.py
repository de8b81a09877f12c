"""What to try against memory that was retained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._accounts import LIVE, UNEXPLAINED
from pytest_memreturn._release_calls import (
    MMAP_THRESHOLD,
    ONE_ARENA,
    TRIM_THRESHOLD,
    alternative,
    release_call,
    setting,
)
from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.owners import endings
from pytest_memreturn.report.printable import NO_BREAK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_memreturn._explanation import Explanation, Remedy
    from pytest_memreturn._record import Record

# How many of the remedies that were tried, and helped, are quoted.
_QUOTED = 3

# A figure is worth naming when it is this part of what was retained.
_WORTH_NAMING = 1 / 10

_TRIES_THEM = "--memreturn-explain tries them"

_RELEASE = (
    "release=True, where both sides are CPython 3.14 or later: the processes collect and trim, and "
    "what is live is told from what is free"
)

_FROM_WITHIN = (
    "judge the same work inside the process, under memreturn() or measure(): what survives is "
    "named only there"
)

_ADVICE = {
    "heaps": _RELEASE,
    "live-python": "find what keeps the survivors: a global, a cache, a closure, a thread",
    "live-native": "close or drop its owner (a connection, document, parser, handle); "
    "where nothing is left to close, a C extension leaks",
    "pinned-python": "build what stays apart from the many short-lived objects, "
    "or do the work in a child process that ends",
    "pinned-malloc": "build what stays apart from what goes, or do the work in a child process "
    f"that ends; {setting(MMAP_THRESHOLD)} keeps large blocks off the heap "
    "(--memreturn-explain tries it)",
    "mapped": "unmap or close it; a library may keep it as a pool of its own",
    "shared-memory": "close and unlink the segment",
    "child-process": "end the process and wait for it: shut its pool or server down",
    "unexplained": "judge where more can be read: the linux probe sees the mapping layout",
}

# Nobody unmaps a stack; of a thread's, and of the main one, what the deepest call used stays.
_ADVICE_FOR_STACKS = (
    "end the threads whose stacks these are; recurse less deeply in those that stay"
)


def matters(record: Record, size: int) -> bool:
    """Whether a size is worth a line of its own beside what was retained."""
    return size > (record.retained_bytes or 0) * _WORTH_NAMING


def advice_lines(record: Record, found: Explanation) -> Iterator[str]:
    """What to try, for the first cause first."""
    if any(matters(record, one.bytes) for one in found.held_by_pytest):
        yield "log and print less, or -p no:logging (not tried): pytest keeps it for its report"
    if found.remedies:
        yield _tried(record, found)
    advice = _main_advice(record, found)
    if record.cause == "child-process" and (ways := list(endings(found.children))):
        yield from ways
    elif advice is not None:
        yield advice
    if matters(record, found.unwritten_huge_page_bytes or 0):
        yield "madvise(MADV_NOHUGEPAGE) where it is mapped, or no huge pages at all (not tried)"
    if not found.remedies and record.window != "watch":
        untried = list(_untried(record, found))
        yield from untried
        is_named = any(_TRIES_THEM in text for text in untried)
        if _is_alive(record) and not found.lines and not is_named:
            yield "--memreturn-explain, which runs it again: it names the lines that allocated it"


def _main_advice(record: Record, found: Explanation) -> str | None:
    """What helps against the first cause; ``None`` where that has been tried, or is not known."""
    cause, ledger = record.cause or UNEXPLAINED, record.ledger or {}
    if record.window == "watch":
        # Before a release nobody knows who has it.
        return _RELEASE if record.gate == "end" else _FROM_WITHIN
    if found.remedies and cause.startswith("pinned-"):
        return None  # what it tells to try has been tried
    if cause == "mapped" and ledger.get("stacks", 0) > ledger.get("mapped", 0):
        return _ADVICE_FOR_STACKS
    if cause == UNEXPLAINED and "mapped" in ledger:
        return None  # there was a layout: no other probe sees more
    return _advice_for(cause)


def _is_alive(record: Record) -> bool:
    """Whether most of it is in use, by somebody known or by nobody knows whom."""
    if record.cause != UNEXPLAINED:
        return (record.cause or "").startswith("live-")
    ledger = record.ledger or {}
    live_bytes = sum(size for account, size in ledger.items() if account.endswith(LIVE))
    return live_bytes > ledger.get(UNEXPLAINED, 0)


def recommended(record: Record, remedy: Remedy) -> bool:
    """Whether a remedy was tried, and helped: what stays is allowed, or half of it came back."""
    retained, returns = remedy.retained_bytes, remedy.returns_bytes
    if retained is None or returns is None or returns <= 0:
        return False
    return retained <= (record.allowed_bytes or 0) or 2 * returns >= retained + returns


def _tried(record: Record, found: Explanation) -> str:
    """What was tried and helped, best first, with what it returned."""
    helped = [one for one in found.remedies if recommended(record, one)]
    if not helped:
        count = sum(one.retained_bytes is not None for one in found.remedies)
        return f"none of the {count} remedies that were tried returns half of it (-vv lists them)"
    return f"{NO_BREAK}· ".join(
        f"{one.name} (tried: returns {format_size(one.returns_bytes or 0)})".replace(" ", NO_BREAK)
        for one in helped[:_QUOTED]
    )


def _untried(record: Record, found: Explanation) -> Iterator[str]:
    """What the run itself has tried, and what only a fresh process can try."""
    readings = record.readings or {}
    at_gate, after_trim = readings.get(record.gate), readings.get("trim")
    if record.rounds is not None and record.rounds.keeps_alive:
        at_gate = None
    if record.gate == "collect" and at_gate is not None and after_trim is not None:
        returns = at_gate - after_trim
        if matters(record, returns):
            calls = [
                ", ".join(filter(None, (release_call(name), alternative(name))))
                for name, size in found.released.items()
                if matters(record, size)
            ]
            yield (
                f"a trim (tried: returns {format_size(returns)}): trim=True judges after one; "
                f"in production call {' and '.join(calls) or release_call('malloc')} "
                "when such work is done"
            )
    tops = found.parts.get("malloc-free", {}).get("thread-arenas-tops", 0)
    if matters(record, tops):
        yield (
            f"{setting(ONE_ARENA)} or {setting(TRIM_THRESHOLD)} ({_TRIES_THEM}): "
            f"{format_size(tops)} is free at the top of threads' arenas, out of a trim's reach"
        )


def _advice_for(slug: str) -> str | None:
    """What to try for a cause, without a promise of bytes; ``None`` where trying tells more."""
    if slug in _ADVICE:
        return _ADVICE[slug]
    if slug.startswith("pinned-"):
        return "build what stays apart from what goes, or do the work in a child process that ends"
    return None
