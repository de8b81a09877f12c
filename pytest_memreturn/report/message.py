"""The failure message: one record in, about eight lines out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._accounts import FREE, LIVE, UNEXPLAINED
from pytest_memreturn._explanation import Explanation
from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.advice import advice_lines, matters
from pytest_memreturn.report.causes import cause_in_words
from pytest_memreturn.report.holders import NAMED, VERBOSE, holder_lines, strip_lines
from pytest_memreturn.report.owners import in_words
from pytest_memreturn.report.printable import NO_BREAK, joined
from pytest_memreturn.report.rerun_lines import rerun_lines
from pytest_memreturn.report.rounds import growth_in_words, rounds_in_words
from pytest_memreturn.report.wrapped import INDENT, LABEL_WIDTH, labelled, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_memreturn._explanation import AllocatorGrowth
    from pytest_memreturn._processes import WatchedProcess
    from pytest_memreturn._record import Record

# What a message is held to, where nobody asked for more; and the labels of what goes first when
# there is too much: what says least about who has the memory and what would return it.
_PAGE_COLUMNS, _PAGE_LINES = 100, 12
_EXPENDABLE = (
    *(
        "malloc",
        "hidden",
        "excluded",
        "",
        "arenas",
        "huge pages",
        "more",
        "segment",
        "child",
        "not asked",
    ),
    *("pytest", "may own it", "heap", "pinned by", "and", "line", "incomplete"),
    *("try", "survivors", "one-time", "rounds"),
)
_PLACES = ("main-heap", "thread-arenas", "own-mappings")

# What a cause comes to where nobody could look into the process.
_SEEN_FROM_OUTSIDE = {
    "heaps": "in those of malloc, live or free: from outside nobody can tell",
    "mapped": "in private mappings: arenas of small Python objects, large blocks, pools",
}


def headline(record: Record) -> str:
    """The first line, which also has to stand alone in a summary."""
    what = f"{record.label}: " if record.label else ""
    if record.window in {"class", "module"}:
        tests = f"{record.test_count} test{'s' if record.test_count > 1 else ''}"
        what = f"{record.window} {record.nodeid} ({tests}): "
    if record.rounds is not None and record.rounds.exceeds:
        return what + growth_in_words(record.rounds)
    kept = format_size(record.retained_bytes or 0)
    allowed = format_size(record.allowed_bytes or 0)
    return " ".join(f"{what}kept {kept} (allowed {allowed}, {record.allowed_origin})".split())


def render_message(record: Record, *, width: int = 100, verbosity: int = 0) -> list[str]:
    """The lines of the message for a record that retained.

    They have at most `width` columns, but for words that are longer, such as a path.
    Below a verbosity of 2 it is a page of a dozen lines of 100 columns at most; from there on,
    every account, every listed survivor and exact bytes are shown.
    """
    entries = list(_entries(record, width - LABEL_WIDTH - len(INDENT), verbosity))
    if verbosity < VERBOSE:
        first = len(wrapped(headline(record), _PAGE_COLUMNS, first="", rest=INDENT))
        entries = _few(entries, _PAGE_LINES - first)
    lines = wrapped(headline(record), width, first="", rest=INDENT)
    for label, text in entries:
        lines += labelled(label, text, width)
    return lines


def _few(entries: Sequence[tuple[str, str]], most_lines: int) -> list[tuple[str, str]]:
    """As many of the entries as fit in so many lines, and how many more there are."""
    lines = [len(labelled(label, text, _PAGE_COLUMNS)) for label, text in entries]
    left_out: set[int] = set()
    # Something to try is always left, and the line of code that somebody waited for.
    labels = [label for label, _ in entries]
    wanted = {labels.index(label) for label in ("try", "line") if label in labels}
    for expendable in _EXPENDABLE:
        for number in reversed(range(len(entries))):
            if sum(lines) + bool(left_out) <= most_lines:
                break
            if labels[number] == expendable and number not in wanted:
                left_out.add(number)
                lines[number] = 0
    kept = [one for number, one in enumerate(entries) if number not in left_out]
    if left_out:
        entry = "entry" if len(left_out) == 1 else "entries"
        kept.append(("more", f"{len(left_out)} {entry} left out (-vv shows them)"))
    return kept


def cause_of(record: Record, slug: str, size: int) -> str:
    """What a cause of this record means, as a phrase that follows its size."""
    if record.window == "watch" and slug in _SEEN_FROM_OUTSIDE and not _was_asked(record):
        return _SEEN_FROM_OUTSIDE[slug]
    unnamed = (record.ledger or {}).get(UNEXPLAINED, 0)
    if slug == UNEXPLAINED and size > 2 * unnamed:
        return "alive in malloc; nobody could tell whether Python objects or native code hold it"
    return cause_in_words(slug)


def _was_asked(record: Record) -> bool:
    """Whether the allocators of a process that was watched have said anything."""
    return any(account.endswith((LIVE, FREE)) for account in record.ledger or {})


def _entries(record: Record, columns: int, verbosity: int) -> Iterator[tuple[str, str]]:
    yield "footprint", footprint_in_words(record)
    if record.rounds is not None:
        yield "rounds", rounds_in_words(record.rounds)
    if matters(record, record.hidden_bytes):
        hidden = format_size(record.hidden_bytes)
        yield "hidden", f"{hidden} of it fills memory that was free, and resident, before"
    for slug, size in (record.causes or {}).items():
        label = "cause" if slug == record.cause else "and"
        yield label, f"{slug}: {format_size(size)} is {cause_of(record, slug, size)}"
    found = record.explanation or Explanation()
    if found.tracers:
        who = ", ".join(found.tracers)
        yield "tracer", f"{who} was on: what it notes of lines that run for the first time counts"
    yield "where", _accounts(record, verbosity)
    places = f"{NO_BREAK}· ".join(_malloc_places(record, found, verbosity))
    if places:
        yield "malloc", places
    yield from _watched(record, verbosity)
    yield from _outside(found, verbosity)
    yield from strip_lines(record, found, columns, verbosity)
    yield from holder_lines(record, found, verbosity)
    yield from _excluded(record, verbosity)
    yield from rerun_lines(record, found, verbosity)
    for advice in advice_lines(record, found):
        yield "try", advice
    if verbosity >= VERBOSE:
        yield from _figures(record, found)


def _excluded(record: Record, verbosity: int) -> Iterator[tuple[str, str]]:
    """What is no part of what was kept."""
    for fixture in record.excluded:
        if matters(record, abs(fixture.bytes)) or verbosity >= VERBOSE:
            name = f"{fixture.scope} fixture {fixture.fixture}"
            yield "excluded", f"{format_size(fixture.bytes)} of {name}, first set up in this test"
    if record.examined_bytes and verbosity >= VERBOSE:
        size = format_size(record.examined_bytes)
        yield "excluded", f"{size} that it took to look closer inside this window"


def _figures(record: Record, found: Explanation) -> Iterator[tuple[str, str]]:
    """What only somebody who wants it all reads."""
    if record.shown:
        yield (
            "uncounted",
            joined(
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
            visible = verbosity >= VERBOSE and size > 0 and format_mib(size) != "0.0"
            if matters(record, size) or visible:
                place = next((one for one in _PLACES if part.startswith(one)), part)
                what = part.removeprefix(place).removeprefix("-") + state
                text = f"{format_mib(size)} {what.strip()}".strip()
                places.setdefault(place, []).append(text.replace(" ", NO_BREAK))
    for place, sizes in places.items():
        yield f"{place.replace('-', NO_BREAK)}{NO_BREAK}{', '.join(sizes)}"


def _watched(record: Record, verbosity: int) -> Iterator[tuple[str, str]]:
    """Which of the processes that were watched kept how much, most first."""
    named = [
        one
        for number, one in enumerate(record.processes)
        if verbosity >= VERBOSE or (number < NAMED and (not number or _moved(record, one)))
    ]
    for one in named:
        yield "process", process_in_words(one)
    others = len(record.processes) - len(named)
    if others:
        rest = sum(one.grown_bytes for one in record.processes if one not in named)
        which = "process" if others == 1 else "processes"
        yield "more", f"{others} more {which}: {format_size(rest, sign=True)} (-vv names them)"
    for reason in {one.not_released for one in record.processes if one in named} - {None}:
        yield "not asked", reason or ""


def _moved(record: Record, one: WatchedProcess) -> bool:
    return matters(record, abs(one.grown_bytes))


def process_in_words(one: WatchedProcess) -> str:
    """How a process that was watched grew, and what it is."""
    if one.before_bytes is None:
        was = "new"
    elif one.after_bytes is None:
        was = "ended"
    else:
        was = f"{format_mib(one.before_bytes)} → {format_mib(one.after_bytes)} MiB"
    grown = f"pid {one.pid} {format_size(one.grown_bytes, sign=True)} ({was})"
    return f"{grown.replace(' ', NO_BREAK)} {one.name}: {one.command}"


def _outside(found: Explanation, verbosity: int) -> Iterator[tuple[str, str]]:
    """What lives on outside the process, largest first."""
    most = None if verbosity >= VERBOSE else NAMED
    children = sorted(found.children, key=lambda one: -one.footprint_bytes)
    for child in children[:most]:
        size = format_size(child.footprint_bytes)
        owner = f" of {in_words(child.owner)}" if child.owner else ""
        yield "child", f"{child.name} (pid {child.pid}){owner} {size}: {child.command}"
    segments = sorted(found.segments, key=lambda one: -one.size_bytes)
    for segment in segments[:most]:
        size = format_size(segment.size_bytes)
        yield "segment", f"{segment.name} ({segment.kind}, owner {segment.owner}) {size}"
    more = [
        f"{count} more {one if count == 1 else several}"
        for count, one, several in (
            (len(children[NAMED:]), "child", "children"),
            (len(segments[NAMED:]), "segment", "segments"),
        )
        if count and most is not None
    ]
    if more:
        yield "more", f"{', '.join(more)} (-vv names them)"


def footprint_in_words(record: Record) -> str:
    """The footprint over time, in MiB: the baseline, the peak, every rung that was climbed."""
    readings = record.readings or {}
    baseline = readings.get("baseline") or 0
    at_least = "≥ " if record.peak_quality == "at-least" else ""
    peak = format_mib(baseline + (record.peak_growth_bytes or 0))
    steps = [format_mib(baseline)]
    if record.window != "watch":  # of other processes there are readings alone
        steps.append(f"peak {at_least}{peak}")
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
        if account != UNEXPLAINED and (format_mib(size) != "0.0" or (verbosity >= VERBOSE and size))
    ]
    parts.append(f"{UNEXPLAINED} {format_mib(ledger.get(UNEXPLAINED, 0))} (MiB)")
    return joined(parts)


def _allocator(grown: AllocatorGrowth) -> str:
    parts = [f"{grown.name} live {format_size(grown.live_bytes, sign=True)}"]
    if grown.held_bytes is not None:
        parts.append(f"held {format_size(grown.held_bytes, sign=True)}")
    if grown.arenas is not None:
        parts.append(f"arenas {grown.arenas:+,}")
    return joined(parts)
