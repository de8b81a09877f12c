"""The Markdown report: what a reviewer of a pull request wants to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.environments import others_in_words
from pytest_memreturn.report.markdown import code, fenced, html_code, row, words
from pytest_memreturn.report.message import render_message
from pytest_memreturn.report.names import name_of

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.report.run import Run

# A comment on GitHub takes 65,536 characters, the summary of a step 1 MiB: this fits in both,
# with room for what somebody else writes beside it.
MOST_CHARACTERS = 60_000
# The first line of every such report: no reader sees it, and a program finds its comment by it.
OPENING = "<!-- pytest-memreturn -->\n"
_MESSAGE_COLUMNS = 100
# Only a name can be longer than the columns: a path, or what a test has put into one.
_MOST_LINE_CHARACTERS = 300
_HEADINGS = ("test", "retained", "allowed", "cause")
_RULE = "| :--- | ---: | ---: | :--- |\n"


def markdown_report(run: Run) -> Iterator[str]:
    """The whole report, piece by piece.

    Each part may take half of the room that those before it left; what has none is counted.
    """
    opening = [OPENING, *_outcome(run)]
    ending = _environment(run.environment)
    yield from opening
    room = MOST_CHARACTERS - sum(map(len, (*opening, ending)))
    for part in _parts(run):
        text = part.text(room // 2)
        room -= len(text)
        yield text
    yield ending


class _Part:
    """What stands in one part of a report: entries, of which as many are shown as fit."""

    def __init__(
        self, entries: Iterable[str], count: int, *, head: str = "", tail: str = ""
    ) -> None:
        self._entries = entries
        self._count = count
        self._head = head
        self._tail = tail

    def text(self, room: int) -> str:
        """The part in at most `room` characters, but for what says how many were left out."""
        shown: list[str] = []
        room -= len(self._head) + len(self._tail)
        for entry in self._entries:
            if len(entry) > room:
                break
            shown.append(entry)
            room -= len(entry)
        left_out = self._count - len(shown)
        more = f"\n{left_out:,} more left out here; a JSON report has them all.\n"
        return "".join([self._head, *shown, more * bool(left_out), self._tail])


def _outcome(run: Run) -> Iterator[str]:
    tally, missing = run.tally, run.partial
    if missing is not None:
        yield f"**Not all of the run is here: {words(missing.reason)}**\n\n"
    retained = f"**{tally.retained:,} retained**"
    if tally.retained:
        retained += f" ({format_size(tally.retained_bytes)})"
    recorded = f" ({tally.recorded:,} as recorded)" if tally.recorded else ""
    counts = [retained, f"**{tally.returned:,} returned**{recorded}"]
    if tally.unjudged:
        counts.append(f"**{tally.unjudged:,} unjudged**")
    yield f"Memory returned to the operating system: {', '.join(counts)}\n"


def _parts(run: Run) -> Iterator[_Part]:
    if run.partial is not None and run.partial.running:
        running = run.partial.running
        lines = (f"- {code(nodeid)}\n" for nodeid in running)
        yield _Part(lines, len(running), head="\nBegan and did not end:\n\n")
    by_verdict: dict[str, list[Record]] = {"retained": [], "unjudged": [], "returned": []}
    for one in run.records:
        by_verdict[one.verdict].append(one)
    retained = sorted(by_verdict["retained"], key=lambda one: -(one.retained_bytes or 0))
    if retained:
        rows = (row(_cells(one)) for one in retained)
        yield _Part(rows, len(retained), head=_table_head(_HEADINGS, _RULE))
        yield _Part((_details(one) for one in retained), len(retained))
    yield from _rest(by_verdict["unjudged"], by_verdict["returned"])


def _rest(unjudged: Sequence[Record], returned: Sequence[Record]) -> Iterator[_Part]:
    missed = [one for one in unjudged if one.own_outcome is None]
    own = [one for one in unjudged if one.own_outcome is not None]
    head = _table_head(("test", "reason"), "| :--- | :--- |\n")
    if missed:
        yield _Part(map(_reason, missed), len(missed), head=f"\nCould not be judged:\n{head}")
    if own:
        opened = _opened(f"{len(own):,} not judged, with an outcome of their own")
        yield _Part(map(_reason, own), len(own), head=opened + head, tail=_CLOSED)
    if returned:
        opened = _opened(f"{len(returned):,} returned")
        rows = (row(_cells(one)[:3]) for one in returned)
        head = _table_head(_HEADINGS[:3], "| :--- | ---: | ---: |\n")
        yield _Part(rows, len(returned), head=opened + head, tail=_CLOSED)


_CLOSED = "\n</details>\n"


def _opened(summary: str) -> str:
    return f"\n<details><summary>{summary}</summary>\n"


def _table_head(headings: Sequence[str], rule: str) -> str:
    return "\n" + row(headings) + rule


def _cells(record: Record) -> tuple[str, str, str, str]:
    recorded = "" if record.recorded_bytes is None else ", as recorded"
    return (
        code(name_of(record)),
        format_size(record.retained_bytes or 0),
        format_size(record.allowed_bytes or 0) + recorded,
        code(record.cause or ""),
    )


def _reason(record: Record) -> str:
    return row((code(name_of(record)), words(record.reason or "no reason known")))


def _details(record: Record) -> str:
    lines = [
        line[:_MOST_LINE_CHARACTERS] for line in render_message(record, width=_MESSAGE_COLUMNS)
    ]
    kept = f"kept {format_size(record.retained_bytes or 0)}"
    if record.rounds is not None and record.rounds.exceeds:
        kept = f"grew {format_size(record.rounds.per_round_bytes)} per round"
    summary = f"{html_code(name_of(record))} {kept}"
    return f"{_opened(summary)}\n{fenced(lines)}{_CLOSED}"


def _environment(found: Mapping[str, Any]) -> str:
    """One line of what was found, which in a report of another version may be little."""
    interpreter = (found.get("implementation"), found.get("python"))
    facts = [
        " ".join(str(one) for one in interpreter if one),
        found.get("libc"),
        found.get("kernel"),
        *_labelled("allocators", ", ".join(found.get("allocators") or ())),
        *_labelled("probe", found.get("probe")),
        *(f"{name}={value}" for name, value in (found.get("variables") or {}).items()),
        *(f"{name} {version}" for name, version in (found.get("versions") or {}).items()),
    ]
    if (others := others_in_words(found)) is not None:
        facts.append(f"and in {others}")
    line = " · ".join(words(str(fact)) for fact in facts if fact)
    return f"\n{line}\n" if line else ""


def _labelled(label: str, value: object) -> Iterator[str]:
    if value:
        yield f"{label} {value}"
