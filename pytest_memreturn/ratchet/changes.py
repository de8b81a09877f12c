"""What a run changes in what was recorded, and what of that is kept; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_memreturn.ratchet.entries import Entry, Key, Tolerance, on_grid

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn._settings import Gate


@dataclass(frozen=True, slots=True)
class Judged:
    """How one test or block was judged in this run.

    `fits`: what stayed is within what it may keep without any record of the past. `passed`: that,
    or within what was recorded.
    """

    key: Key
    retained_bytes: int
    gate: Gate
    fits: bool
    passed: bool

    @classmethod
    def of(cls, record: Record) -> Judged | None:
        """What of a record matters here; ``None`` where there is no verdict."""
        if record.verdict == "unjudged" or record.retained_bytes is None:
            return None
        passed = record.verdict == "returned"
        return cls(
            Key(record.nodeid, record.label),
            max(0, record.retained_bytes),
            record.gate,
            fits=passed and record.recorded_bytes is None,
            passed=passed,
        )

    def worse(self, other: Judged) -> Judged:
        """The worse of two: a test may run again, and a block may stand in a loop."""
        return min(self, other, key=lambda one: (one.passed, -one.retained_bytes))


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that differs: sizes before and now, on the grid of the file.

    `before_bytes` is ``None`` for what was not recorded, `now_bytes` for what is not there.
    `new_key` is what it may be called now.
    """

    key: Key
    before_bytes: int | None
    now_bytes: int | None
    new_key: Key | None = None

    @property
    def gained_bytes(self) -> int:
        """How much less it is."""
        return (self.before_bytes or 0) - (self.now_bytes or 0)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a run has changed, each kind with the largest first.

    `other_gate`: recorded at another gate than they are judged at now, so that the sizes don't
    compare. `compared` is how many entries do. `entries` are what a file has that keeps it all.
    """

    new: tuple[Change, ...] = ()
    more: tuple[Change, ...] = ()
    less: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()
    renamed: tuple[Change, ...] = ()
    other_gate: tuple[Change, ...] = ()
    compared: int = 0
    entries: Mapping[Key, Entry] = field(default_factory=dict)

    @property
    def gained_bytes(self) -> int:
        """How much less is retained than was recorded."""
        return sum(one.gained_bytes for one in self.less)

    @property
    def lost_bytes(self) -> int:
        """How much more is retained than was recorded."""
        return -sum(one.gained_bytes for one in self.more)


def find_changes(
    recorded: Mapping[Key, Entry],
    judged: Mapping[Key, Judged],
    gone: Collection[Key],
    tolerance: Tolerance,
    *,
    only_less: bool,
) -> Changes:
    """Compare what was judged with what was recorded.

    An entry within the tolerance of what is retained now stays as it is, so that an unchanged
    suite gives an unchanged file; so does an entry of what was not judged and may still be there.
    `only_less`: what retains more than was recorded, or was not recorded, is not kept.
    """
    gone = [key for key in gone if key in recorded and key not in judged]
    entries = {key: entry for key, entry in recorded.items() if key not in gone}
    new: list[Change] = []
    more: list[Change] = []
    less: list[Change] = []
    other_gate: list[Change] = []
    compared = 0
    for key, one in judged.items():
        before = recorded.get(key)
        now = Entry(on_grid(one.retained_bytes), one.gate)
        change = Change(key, before.retained_bytes if before else None, now.retained_bytes)
        if before is not None and before.gate != one.gate and only_less:
            other_gate.append(change)
            continue
        if before is None:
            kind = new if not one.passed else None
        else:
            compared += 1
            kind = {1: more, -1: less, 0: None}[_direction(before, one, tolerance)]
        if kind is None:
            continue
        kind.append(change)
        if kind is less and one.fits:
            del entries[key]
        elif kind is less or not only_less:
            entries[key] = now
    renamed = list(_renamed(gone, new, recorded, judged, tolerance))
    found = {one.key for one in renamed} | {one.new_key for one in renamed}
    if only_less:
        # Its new name is not recorded: the size would be lost before anybody has seen it.
        entries |= {one.key: recorded[one.key] for one in renamed}
    return Changes(
        new=_largest_first(one for one in new if one.key not in found),
        more=_largest_first(more),
        less=_largest_first(less),
        gone=_largest_first(
            Change(key, recorded[key].retained_bytes, None) for key in gone if key not in found
        ),
        renamed=_largest_first(renamed),
        other_gate=_largest_first(other_gate),
        compared=compared,
        entries=entries,
    )


def _direction(before: Entry, one: Judged, tolerance: Tolerance) -> int:
    """1 where more is retained than was recorded, -1 where it is less, 0 where it is the same."""
    if before.gate != one.gate:
        # Nothing compares: what is judged now counts.
        return -1 if one.fits else 1
    allowed = tolerance.of(before.retained_bytes)
    if not one.passed and one.retained_bytes > before.retained_bytes + allowed:
        return 1
    is_less = on_grid(one.retained_bytes) < before.retained_bytes - allowed
    # What was recorded may be less than the tolerance.
    is_half = one.fits and 2 * one.retained_bytes <= before.retained_bytes
    return -1 if is_less or is_half else 0


def _renamed(
    gone: Collection[Key],
    new: Collection[Change],
    recorded: Mapping[Key, Entry],
    judged: Mapping[Key, Judged],
    tolerance: Tolerance,
) -> Iterator[Change]:
    """Pairs of what is gone and what is new, of the same name elsewhere or about the same size."""
    left = {one.key: one for one in sorted(new, key=lambda one: one.key.order)}
    rest = []
    for key in sorted(gone, key=lambda one: one.order):
        found = next((one for one in left if _own_name(one) == _own_name(key)), None)
        if found is None:
            rest.append(key)
        else:
            change = left.pop(found)
            yield Change(key, recorded[key].retained_bytes, change.now_bytes, found)
    for key in rest:
        size = recorded[key].retained_bytes
        found = next(
            (
                one
                for one in left
                if _file(one) == _file(key)
                and recorded[key].gate == judged[one].gate
                and abs(judged[one].retained_bytes - size) <= tolerance.of(size)
            ),
            None,
        )
        if found is not None:
            yield Change(key, size, left.pop(found).now_bytes, found)


def _own_name(key: Key) -> tuple[str, str | None]:
    before_parameters, bracket, parameters = key.nodeid.partition("[")
    return before_parameters.rpartition("::")[2] + bracket + parameters, key.label


def _file(key: Key) -> str:
    return key.nodeid.partition("::")[0]


def _largest_first(changes: Iterable[Change]) -> tuple[Change, ...]:
    """By how much they matter; the name decides between equals."""
    return tuple(
        sorted(
            changes,
            key=lambda one: (-max(abs(one.gained_bytes), one.now_bytes or 0), one.key.order),
        )
    )
