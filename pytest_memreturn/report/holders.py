"""Who keeps memory, in lines of the failure message: heaps, pins, survivors and chains."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.advice import matters
from pytest_memreturn.report.printable import NO_BREAK, joined
from pytest_memreturn.report.strip import arena_strip, heap_strip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_memreturn._explanation import Explanation, HeapPicture, SurvivorType
    from pytest_memreturn._record import Record

# How many survivors, children or segments are named where nobody asked for more.
NAMED = 3
VERBOSE = 2


def strip_lines(
    record: Record, found: Explanation, columns: int, verbosity: int
) -> Iterator[tuple[str, str]]:
    """Pictures of the heaps, and of the arenas, where what is free in them is retained."""
    if found.heap is None:
        return
    causes = record.causes or {}
    if verbosity >= VERBOSE or causes.keys() & {"held-by-malloc", "pinned-malloc"}:
        yield from _heap_strips(record, found.heap, columns, verbosity)
    if found.heap.arenas is not None and (verbosity >= VERBOSE or "pinned-python" in causes):
        yield "arenas", arena_strip(found.heap.arenas, columns).replace(" ", NO_BREAK)


def _heap_strips(
    record: Record, heap: HeapPicture, columns: int, verbosity: int
) -> Iterator[tuple[str, str]]:
    """The heap with most that is free, or all that matter; the main one by no name."""
    by_heap = {name: list(regions) for name, regions in groupby(heap.regions, lambda one: one.heap)}
    free_bytes = {
        name: sum(one.bytes for one in regions if one.kind == "free")
        for name, regions in by_heap.items()
    }
    shown = [name for name in by_heap if matters(record, free_bytes[name])]
    if verbosity < VERBOSE:
        shown = sorted(shown, key=lambda name: -free_bytes[name])[:1]
    for name in shown:
        title = "" if name == "main heap" else f"{name} "
        drawn = heap_strip(by_heap[name], columns - len(title))
        yield "heap", (title + drawn).replace(" ", NO_BREAK)
    if len(by_heap) > len(shown) == 1 and verbosity < VERBOSE:
        others = sum(free_bytes.values()) - free_bytes[shown[0]]
        if matters(record, others):
            yield (
                "",
                f"and {format_size(others)} free in {len(by_heap) - 1} more heaps (-vv draws them)",
            )
    if heap.regions and heap.reason and (shown or verbosity >= VERBOSE):
        yield "", f"{'partial' if heap.partial else 'inconclusive'}: {heap.reason}"


def _pins(record: Record, found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """Whose live blocks keep free memory in place: the worst, or all of them."""
    pins = found.pins
    if verbosity < VERBOSE:
        pins = tuple(one for one in pins[:1] if matters(record, one.pinned_bytes))
    starts: dict[str, int] = {}
    for one in found.heap.regions if found.heap is not None else ():
        starts.setdefault(one.heap, one.address)
    for pin in pins:
        place = f"in {pin.heap}"
        if pin.heap in starts:
            place = f"at {pin.heap} + {format_size(pin.address - starts[pin.heap])}"
        text = (
            f"{pin.count:,} × {pin.what} {format_size(pin.bytes)} {place}, beside "
            f"{format_size(pin.pinned_bytes)} free"
        )
        yield "pinned by", text if pin.chain is None else f"{text} ← {_chain(pin.chain)}"


def holder_lines(record: Record, found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """Who keeps it alive or resident, where the accounts don't say."""
    causes = record.causes or {}
    known = [one for one in found.survivors if one.bytes]
    survivors = known if verbosity >= VERBOSE else known[:NAMED]
    if survivors and "live-python" in causes:
        yield "survivors", joined(_survivor(one) for one in survivors)
        yield from _chains(survivors, verbosity)
    if "live-native" in causes:
        natives = [one for one in found.survivors if one.is_native]
        for native in natives if verbosity >= VERBOSE else natives[:1]:
            kept_by = "" if native.chain is None else f" ← {_chain(native.chain)}"
            yield "may own it", f"{native.count:,} × {native.type}{kept_by}"
    if found.pins:
        yield from _pins(record, found, verbosity)
    elif survivors and "pinned-python" in causes and "live-python" not in causes:
        yield "pinned by", joined(_survivor(one) for one in survivors)
    for one in found.held_by_pytest:
        if matters(record, one.bytes):
            yield "pytest", f"keeps {one.count:,} {one.what}: about {format_size(one.bytes)}"
    unwritten = found.unwritten_huge_page_bytes or 0
    if matters(record, unwritten):
        size = format_size(unwritten)
        yield "huge pages", f"{size} of it holds only zeros, resident for being in huge pages"


def _chains(survivors: Sequence[SurvivorType], verbosity: int) -> Iterator[tuple[str, str]]:
    """What keeps the survivors alive: that of the largest type for which it is known, or all."""
    followed = [one.chain for one in survivors if one.chain is not None]
    for chain in followed if verbosity >= VERBOSE else followed[:1]:
        yield "kept by", _chain(chain)


def _chain(chain: str) -> str:
    """A chain, of which the size stays with what it is the size of."""
    *links, last = chain.split(" → ")
    return " → ".join([*links, last.replace(" ", NO_BREAK)])


def _survivor(found: SurvivorType) -> str:
    return f"{found.count:,} × {found.type} {format_size(found.bytes)}"
