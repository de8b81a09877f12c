"""What the ratchet says at the end of a run: changes in, lines out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.printable import NO_BREAK, on_one_line
from pytest_memreturn.report.table import shortened
from pytest_memreturn.report.wrapped import INDENT, wrapped

if TYPE_CHECKING:
    from pytest_memreturn.ratchet.changes import Change, Changes
    from pytest_memreturn.ratchet.entries import Key

_LISTED = 10
_KIND_WIDTH = len("renamed?")
_LEAST_NAME_WIDTH = 20


def compared_lines(
    name: str, found: Changes, width: int, *, all_of_them: bool, saved_to: str | None = None
) -> Iterator[str]:
    """After a run that was compared with the file called `name`.

    `all_of_them`: list every change, and not only the first ones. `saved_to`: the file that has
    what was gained.
    """
    differ = [
        f"{len(changes)} retain{_s(changes)} {format_size(size_bytes)} {kind}"
        for kind, changes, size_bytes in (
            ("more", found.more, found.lost_bytes),
            ("less", found.less, found.gained_bytes),
        )
        if changes
    ] or ["none retains less"]
    parts = [
        f"{found.compared} recorded {_tests(found.compared)} compared",
        *differ,
        *_counts(found),
    ]
    if found.compared or found.gone or found.renamed or found.other_gate:
        # Of a run that judged none of them, and of an empty file, there is nothing to say.
        yield from folded(f"{name}: {_listed(parts)}", width)
    changes = {
        "more": found.more,
        "less": found.less,
        "gone": found.gone,
        "renamed?": found.renamed,
        "gate": found.other_gate,
    }
    yield from _rows(changes, width, all_of_them=all_of_them)
    if found.other_gate:
        yield from folded(
            "gate: what was recorded at one gate is not allowed at another: record it anew", width
        )
    if found.renamed:
        yield from folded(
            f"renamed? if it is so, change the name in {name}: nothing was recorded of the new one",
            width,
        )
    if (found.less or found.gone) and saved_to is None:
        option = f"--memreturn-save={shlex.quote(name)}"
        yield from folded(f"to keep what was gained, add {option}", width)
    if saved_to is not None:
        yield from folded(f"{saved_to}: {_recorded(found)}", width)
        yield from _not_saved(found, saved_to, width)


def saved_lines(name: str, found: Changes, width: int, *, all_of_them: bool) -> Iterator[str]:
    """After a run that recorded what its tests retain in the file called `name`."""
    parts = [
        f"{len(changes)} {kind}"
        for kind, changes in (("new", found.new), ("more", found.more), ("less", found.less))
        if changes
    ]
    changed = _listed([*parts, *_counts(found)]) or "nothing changed"
    yield from folded(f"{name}: {_recorded(found)} ({changed})", width)
    changes = {
        "new": found.new,
        "more": found.more,
        "less": found.less,
        "gone": found.gone,
        "renamed?": found.renamed,
    }
    yield from _rows(changes, width, all_of_them=all_of_them)


def _not_saved(found: Changes, name: str, width: int) -> Iterator[str]:
    """What was not recorded, since a run that compares never lets more pass."""
    count = len(found.new) + len(found.more) + len(found.renamed) + len(found.other_gate)
    if count:
        option = f"--memreturn-save={shlex.quote(name)}"
        yield from folded(
            f"not recorded: {count} {_tests(count)} that retain{'s' if count == 1 else ''} more "
            f"than is allowed. To record that, too: --memreturn-compare= {option}",
            width,
        )


def _recorded(found: Changes) -> str:
    """How much a file has that keeps it all."""
    count, size = len(found.entries), sum(one.retained_bytes for one in found.entries.values())
    if not count:
        return "recorded no test: none retains memory"
    retain = f"retain{'s' if count == 1 else ''} {format_size(size)}"
    return f"recorded {count} {_tests(count)} that {retain}"


def _counts(found: Changes) -> Iterator[str]:
    if found.gone:
        yield f"{len(found.gone)} gone"
    if found.renamed:
        yield f"{len(found.renamed)} renamed?"
    if found.other_gate:
        yield f"{len(found.other_gate)} at another gate"


def _rows(
    changes: dict[str, tuple[Change, ...]], width: int, *, all_of_them: bool
) -> Iterator[str]:
    rows = [
        row for kind, several in changes.items() for one in several for row in _rows_of(kind, one)
    ]
    shown = rows if all_of_them else rows[:_LISTED]
    columns = max((len(sizes) for _, sizes, _ in shown), default=0)
    for kind, sizes, key in shown:
        start = f"  {kind.ljust(_KIND_WIDTH)}  {sizes.rjust(columns)}  "
        room = max(_LEAST_NAME_WIDTH, width - len(start))
        yield start + shortened(on_one_line(key.text), room)
    if len(shown) < len(rows):
        yield f"  {len(rows) - len(shown)} more lines (-v shows them)"


def _rows_of(kind: str, change: Change) -> Iterator[tuple[str, str, Key]]:
    sizes = [one for one in (change.before_bytes, change.now_bytes) if one is not None]
    yield kind, f"{' → '.join(map(format_mib, sizes))} MiB", change.key
    if change.new_key is not None:
        yield "", "is now", change.new_key


def folded(text: str, width: int) -> list[str]:
    """A sentence in lines of at most so many columns, but for longer words."""
    return wrapped(text, width, rest=INDENT)


def _listed(parts: Iterable[str]) -> str:
    """Parts of a sentence, of which each stays whole where it is folded."""
    return ", ".join(part.replace(" ", NO_BREAK) for part in parts)


def _tests(count: int) -> str:
    return "test" if count == 1 else "tests"


def _s(changes: Sequence[Change]) -> str:
    return "s" if len(changes) == 1 else ""
