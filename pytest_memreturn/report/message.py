"""The failure message: one record in, about eight lines out."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import UNEXPLAINED
from pytest_memreturn._explanation import Explanation
from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.advice import advice_lines, matters
from pytest_memreturn.report.causes import cause_in_words
from pytest_memreturn.report.printable import NO_BREAK, printable
from pytest_memreturn.report.strip import arena_strip, heap_strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_memreturn._explanation import AllocatorGrowth, HeapPicture, SurvivorType
    from pytest_memreturn._record import Record

_INDENT = "  "
_LABEL_WIDTH = 11
_PLACES = ("main-heap", "thread-arenas", "own-mappings")
# How many survivors, children or segments are named where nobody asked for more.
_NAMED = 3
_VERBOSE = 2


def headline(record: Record) -> str:
    """The first line, which also has to stand alone in a summary."""
    what = f"{record.label}: " if record.label else ""
    kept = format_size(record.retained_bytes or 0)
    allowed = format_size(record.allowed_bytes or 0)
    return " ".join(f"{what}kept {kept} (allowed {allowed}, {record.allowed_origin})".split())


def render_message(record: Record, *, width: int = 100, verbosity: int = 0) -> list[str]:
    """The lines of the message for a record that retained.

    They have at most `width` columns, but for words that are longer, such as a path.
    From a verbosity of 2 on, every account, every listed survivor and exact bytes are shown.
    """
    lines = _wrapped(headline(record), width, first="", rest=_INDENT)
    for label, text in _entries(record, width - _LABEL_WIDTH - len(_INDENT), verbosity):
        first = _INDENT + label.ljust(_LABEL_WIDTH)
        lines += _wrapped(text, width, first=first, rest=" " * len(first))
    return lines


def _wrapped(text: str, width: int, *, first: str, rest: str) -> list[str]:
    lines = textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]


def _in_words(record: Record, slug: str, size: int) -> str:
    unnamed = (record.ledger or {}).get(UNEXPLAINED, 0)
    if slug == UNEXPLAINED and size > 2 * unnamed:
        return "alive in malloc; nobody could tell whether Python objects or native code hold it"
    return cause_in_words(slug)


def _joined(parts: Iterable[str]) -> str:
    # The dot stays with what it follows.
    return f"{NO_BREAK}· ".join(part.replace(" ", NO_BREAK) for part in parts)


def _entries(record: Record, columns: int, verbosity: int) -> Iterator[tuple[str, str]]:
    yield "footprint", _footprint(record)
    if matters(record, record.hidden_bytes):
        hidden = format_size(record.hidden_bytes)
        yield "hidden", f"{hidden} of it fills memory that was free, and resident, before"
    for slug, size in (record.causes or {}).items():
        label = "cause" if slug == record.cause else "and"
        yield label, f"{slug}: {format_size(size)} is {_in_words(record, slug, size)}"
    yield "where", _accounts(record, verbosity)
    found = record.explanation or Explanation()
    places = f"{NO_BREAK}· ".join(_malloc_places(record, found, verbosity))
    if places:
        yield "malloc", places
    yield from _outside(found, verbosity)
    yield from _strips(record, found, columns, verbosity)
    yield from _holders(record, found, verbosity)
    for fixture in record.excluded:
        if not (matters(record, abs(fixture.bytes)) or verbosity >= _VERBOSE):
            continue
        name = f"{fixture.scope} fixture {fixture.fixture}"
        yield "excluded", f"{format_size(fixture.bytes)} of {name}, first set up in this test"
    for advice in advice_lines(record, found):
        yield "try", advice
    if verbosity >= _VERBOSE:
        yield from _figures(record, found)


def _strips(
    record: Record, found: Explanation, columns: int, verbosity: int
) -> Iterator[tuple[str, str]]:
    """Pictures of the heaps, and of the arenas, where what is free in them is retained."""
    if found.heap is None:
        return
    causes = record.causes or {}
    if verbosity >= _VERBOSE or causes.keys() & {"held-by-malloc", "pinned-malloc"}:
        yield from _heap_strips(record, found.heap, columns, verbosity)
    if found.heap.arenas is not None and (verbosity >= _VERBOSE or "pinned-python" in causes):
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
    if verbosity < _VERBOSE:
        shown = sorted(shown, key=lambda name: -free_bytes[name])[:1]
    for name in shown:
        title = "" if name == "main heap" else f"{name} "
        drawn = heap_strip(by_heap[name], columns - len(title))
        yield "heap", (title + drawn).replace(" ", NO_BREAK)
    if len(by_heap) > len(shown) == 1 and verbosity < _VERBOSE:
        others = sum(free_bytes.values()) - free_bytes[shown[0]]
        if matters(record, others):
            yield (
                "",
                f"and {format_size(others)} free in {len(by_heap) - 1} more heaps (-vv draws them)",
            )
    if heap.regions and not heap.proven and (shown or verbosity >= _VERBOSE):
        yield "", f"{'partial' if heap.partial else 'inconclusive'}: {heap.reason}"


def _pins(found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """Whose live blocks keep free memory in place."""
    starts: dict[str, int] = {}
    for one in found.heap.regions if found.heap is not None else ():
        starts.setdefault(one.heap, one.address)
    for pin in found.pins if verbosity >= _VERBOSE else found.pins[:1]:
        place = f"in {pin.heap}"
        if pin.heap in starts:
            place = f"at {pin.heap} + {format_size(pin.address - starts[pin.heap])}"
        text = (
            f"{pin.count:,} × {pin.what} {format_size(pin.bytes)} {place}, beside "
            f"{format_size(pin.pinned_bytes)} free"
        )
        yield "pinned by", text if pin.chain is None else f"{text} ← {_chain(pin.chain)}"


def _holders(record: Record, found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """Who keeps it alive or resident, where the accounts don't say."""
    causes = record.causes or {}
    known = [one for one in found.survivors if one.bytes]
    survivors = known if verbosity >= _VERBOSE else known[:_NAMED]
    if survivors and "live-python" in causes:
        yield "survivors", _joined(_survivor(one) for one in survivors)
        yield from _chains(survivors, verbosity)
    if "live-native" in causes:
        natives = [one for one in found.survivors if one.is_native]
        for one in natives if verbosity >= _VERBOSE else natives[:1]:
            kept_by = "" if one.chain is None else f" ← {_chain(one.chain)}"
            yield "may own it", f"{one.count:,} × {one.type}{kept_by}"
    if found.pins:
        yield from _pins(found, verbosity)
    elif survivors and "pinned-python" in causes and "live-python" not in causes:
        yield "pinned by", _joined(_survivor(one) for one in survivors)
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
    for chain in followed if verbosity >= _VERBOSE else followed[:1]:
        yield "kept by", _chain(chain)


def _chain(chain: str) -> str:
    """A chain, of which the size stays with what it is the size of."""
    *links, last = chain.split(" → ")
    return " → ".join([*links, last.replace(" ", NO_BREAK)])


def _figures(record: Record, found: Explanation) -> Iterator[tuple[str, str]]:
    """What only somebody who wants it all reads."""
    if record.shown:
        yield (
            "uncounted",
            _joined(
                f"{name} {'unknown' if size is None else format_size(size, sign=True)}"
                for name, size in record.shown.items()
            ),
        )
    for grown in found.allocators:
        yield "statistics", _allocator(grown)
    if record.drift_bytes:
        drift = format_size(record.drift_bytes, sign=True)
        yield "drift", f"{drift} before the test, since the layout that the accounts start from"
    yield "exact", f"{record.retained_bytes:,} bytes kept, {record.allowed_bytes:,} allowed"


def _malloc_places(record: Record, found: Explanation, verbosity: int) -> Iterator[str]:
    """The parts of malloc's accounts by place, where they tell more than the accounts."""
    places: dict[str, list[str]] = {}
    for account, state in (("malloc-live", " live"), ("malloc-free", "")):
        for part, size in found.parts.get(account, {}).items():
            visible = verbosity >= _VERBOSE and size > 0 and format_mib(size) != "0.0"
            if matters(record, size) or visible:
                place = next((one for one in _PLACES if part.startswith(one)), part)
                what = part.removeprefix(place).removeprefix("-") + state
                text = f"{format_mib(size)} {what.strip()}".strip()
                places.setdefault(place, []).append(text.replace(" ", NO_BREAK))
    for place, sizes in places.items():
        yield f"{place.replace('-', NO_BREAK)}{NO_BREAK}{', '.join(sizes)}"


def _outside(found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """What lives on outside the process, largest first."""
    most = None if verbosity >= _VERBOSE else _NAMED
    children = sorted(found.children, key=lambda one: -one.footprint_bytes)
    for child in children[:most]:
        size = format_size(child.footprint_bytes)
        yield "child", f"{child.name} (pid {child.pid}) {size}: {child.command}"
    segments = sorted(found.segments, key=lambda one: -one.size_bytes)
    for segment in segments[:most]:
        size = format_size(segment.size_bytes)
        yield "segment", f"{segment.name} ({segment.kind}, owner {segment.owner}) {size}"
    more = [
        f"{count} more {one if count == 1 else several}"
        for count, one, several in (
            (len(children[_NAMED:]), "child", "children"),
            (len(segments[_NAMED:]), "segment", "segments"),
        )
        if count and most is not None
    ]
    if more:
        yield "more", f"{', '.join(more)} (-vv names them)"


def _footprint(record: Record) -> str:
    readings = record.readings or {}
    baseline = readings.get("baseline") or 0
    at_least = "≥ " if record.peak_quality == "at-least" else ""
    peak = format_mib(baseline + (record.peak_growth_bytes or 0))
    steps = [format_mib(baseline), f"peak {at_least}{peak}"]
    for rung, words in (("end", "end"), ("collect", "gc"), ("trim", "trim")):
        size = readings.get(rung)
        if size is not None:
            steps.append(f"{words} {format_mib(size)}")
            if rung == record.gate and record.settled_seconds:
                steps[-1] += f" (still falling for {record.settled_seconds:.1f} s)"
    return " → ".join(step.replace(" ", NO_BREAK) for step in steps) + f"{NO_BREAK}MiB"


def _accounts(record: Record, verbosity: int) -> str:
    ledger = record.ledger or {}
    parts = [
        f"{account} {format_mib(size)}"
        for account, size in ledger.items()
        if account != UNEXPLAINED
        and (format_mib(size) != "0.0" or (verbosity >= _VERBOSE and size))
    ]
    parts.append(f"{UNEXPLAINED} {format_mib(ledger.get(UNEXPLAINED, 0))} (MiB)")
    return _joined(parts)


def _survivor(found: SurvivorType) -> str:
    return f"{found.count:,} × {found.type} {format_size(found.bytes)}"


def _allocator(grown: AllocatorGrowth) -> str:
    parts = [f"{grown.name} live {format_size(grown.live_bytes, sign=True)}"]
    if grown.held_bytes is not None:
        parts.append(f"held {format_size(grown.held_bytes, sign=True)}")
    if grown.arenas is not None:
        parts.append(f"arenas {grown.arenas:+,}")
    return _joined(parts)
