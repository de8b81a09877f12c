"""One allocator in two snapshots: how it grew, as far as there is memory for it; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_memreturn._snapshot import AllocatorStatistics

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Pair:
    """One allocator before and after; zeros where it had nothing to say."""

    before: AllocatorStatistics
    after: AllocatorStatistics

    @property
    def name(self) -> str:
        """Of its accounts, the beginning."""
        return self.after.name

    @property
    def has_kinds(self) -> bool:
        """Whether some mapping kinds are wholly its own."""
        return bool(self.after.live_by_kind)

    @property
    def says_what_it_holds(self) -> bool:
        """Whether its room is known without a release."""
        return self.after.held_bytes is not None

    @property
    def live_growth(self) -> int:
        """What more it has handed out, but for blocks with a mapping of their own."""
        return self.after.live_bytes - self.before.live_bytes

    @property
    def held_growth(self) -> int:
        """What more it holds; 0 where it does not say."""
        return (self.after.held_bytes or 0) - (self.before.held_bytes or 0)

    @property
    def own_mapping_growth(self) -> int:
        """What more it has handed out in blocks with a mapping of their own."""
        return self.after.own_mapping_live_bytes - self.before.own_mapping_live_bytes


def paired_allocators(before: Snapshot, after: Snapshot) -> list[Pair]:
    """Allocators that can be compared: one that came with a library had nothing before it.

    One that fell silent, or that must have been there unheard, can't be: its memory stays with
    the mappings, and does not pass for growth or for a return.
    """
    pairs = []
    for new in after.allocators:
        old = before.allocator(new.name)
        if new.is_elsewhere or new.is_silent or (old is not None and old.is_silent):
            continue
        if old is not None:
            pairs.append(Pair(old, new))
        elif not new.from_start:
            held = None if new.held_bytes is None else 0
            absent = AllocatorStatistics(
                new.name, 0, held, live_by_kind=dict.fromkeys(new.live_by_kind, 0)
            )
            pairs.append(Pair(absent, new))
    return pairs


def between_zero_and(bound: int, value: int) -> int:
    """`value`, brought into the range between 0 and `bound` (which may be negative)."""
    return min(max(value, min(0, bound)), max(0, bound))
