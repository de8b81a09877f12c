"""Whether a process still stands on the level ground of an earlier window; pure.

Collecting garbage, asking every allocator for what is free and reading the whole layout take
100 ms in a process with pandas and scikit-learn, while a pulse takes 0.3 ms. So a window begins
with a pulse, and with as much of the rest as may have changed since it was last done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from pytest_memreturn._sizes import MIB

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import Activity, AllocatorStatistics, Counters
    from pytest_memreturn.probes._contract import Capture

# A test that touches so many new pages works for about 10 ms, which is what a layout costs in a
# process of 1 GiB. Fewer that moved from one mapping to another can't lead an explanation far
# astray.
_MOST_TOUCHED_BYTES = 2 * MIB
# In a larger one it is so many bytes of footprint to one that was touched: a layout of 8 GiB takes
# 82 ms, and bare tests, which touch 20 KiB each, would have it read once in 90 of them.
_FOOTPRINT_TO_TOUCHED = 512


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is cheap to read of a process. `exact`: there only where `counters` are not exact."""

    counters: Counters
    allocators: tuple[AllocatorStatistics, ...] = ()
    activity: Activity | None = None
    exact: Counters | None = None

    @property
    def footprint_bytes(self) -> int:
        """The footprint as well as it was read."""
        return (self.exact or self.counters).footprint_bytes


@dataclass(slots=True)
class _LowWater:
    """The least of footprint and of each allocator's live bytes since a collection."""

    footprint_bytes: int
    live_bytes: dict[str, int]

    @classmethod
    def at(cls, pulse: Pulse) -> Self:
        """Right after the collection."""
        return cls(pulse.footprint_bytes, _live_bytes(pulse))

    def risen_bytes(self, pulse: Pulse) -> int:
        """At most so much is there now that was not there then."""
        risen = pulse.footprint_bytes - self.footprint_bytes
        return max(0, risen, _excess(_live_bytes(pulse), self.live_bytes))

    def sees(self, pulse: Pulse) -> None:
        """Sink with figures that are lower."""
        self.footprint_bytes = min(self.footprint_bytes, pulse.footprint_bytes)
        self.live_bytes = {
            name: min(size, self.live_bytes.get(name, 0))
            for name, size in _live_bytes(pulse).items()
        }


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How something began that outlives windows: the pulses before it came, and after."""

    before: Pulse
    after: Pulse

    @property
    def came_bytes(self) -> int:
        """At most so much came with it."""
        return _LowWater.at(self.before).risen_bytes(self.after)


@dataclass(slots=True)
class Ground:
    """What is known of a process from the windows before.

    What a window gives back without having taken it was garbage before, or free inside an
    allocator. How far the figures have risen since garbage was last collected bounds the one, how
    far live bytes have fallen since every allocator was last trimmed the other.

    `frozen_objects`: so many the last collection passed over, since somebody had frozen them.
    """

    _layout: Capture | None = None
    _at_layout: Pulse | None = None
    _since_collection: _LowWater | None = None
    _since_young: _LowWater | None = None
    _ended_bytes: int = 0
    frozen_objects: int = 0
    _most_live: Mapping[str, int] = field(default_factory=dict)
    _least_after_trim_bytes: int = 0
    _process_id: int = 0

    def enter(self, process_id: int) -> None:
        """Forget everything in a process that was forked since."""
        if process_id != self._process_id:
            self._layout, self._process_id = None, process_id
            self.ended(None)

    def ended(self, lifetime: Lifetime | None) -> None:
        """Expect garbage though no figure rises, because something has ended that lived long.

        What it leaves came with it or later. ``None``: nobody saw how it began.
        """
        if lifetime is None:
            self._since_collection = None
        elif self._since_collection is not None:
            self._since_collection.sees(lifetime.before)
            self._ended_bytes += lifetime.came_bytes

    def garbage_bytes(self, pulse: Pulse) -> int | None:
        """At most so much is garbage; ``None``: nobody can tell."""
        if self._since_collection is None:
            return None
        return max(self._since_collection.risen_bytes(pulse), self._ended_bytes)

    def young_garbage_bytes(self, pulse: Pulse) -> int | None:
        """At most so much is garbage that no collection has passed over yet."""
        return None if self._since_young is None else self._since_young.risen_bytes(pulse)

    def free_bytes(self, pulse: Pulse) -> int:
        """At most so much was given back to allocators that they could hand on.

        What was live has shrunk by that, or resident memory has grown without it.
        """
        risen_bytes = pulse.footprint_bytes - self._least_after_trim_bytes
        return max(risen_bytes, _excess(self._most_live, _live_bytes(pulse)))

    def was_collected(self, pulse: Pulse, *, frozen_objects: int = 0) -> None:
        """Take `pulse` for that of a process without garbage but for what is frozen."""
        self._since_collection, self._ended_bytes = _LowWater.at(pulse), 0
        self.frozen_objects = frozen_objects
        self.was_collected_young(pulse)

    def was_collected_young(self, pulse: Pulse) -> None:
        """Take `pulse` for that of a process whose garbage is old."""
        self._since_young = _LowWater.at(pulse)

    def was_trimmed(self, pulse: Pulse) -> None:
        """Take `pulse` for that of a process whose allocators keep nothing they could return."""
        self._most_live = _live_bytes(pulse)
        self._least_after_trim_bytes = pulse.footprint_bytes

    def sees(self, pulse: Pulse) -> None:
        """Move the marks by figures that lie beyond them."""
        for low_water in (self._since_collection, self._since_young):
            if low_water is not None:
                low_water.sees(pulse)
        self._least_after_trim_bytes = min(self._least_after_trim_bytes, pulse.footprint_bytes)
        self._most_live = {
            name: max(size, self._most_live.get(name, 0))
            for name, size in _live_bytes(pulse).items()
        }

    def sinks_to(self, footprint_bytes: int) -> None:
        """Take note of a footprint that was read by itself."""
        for low_water in (self._since_collection, self._since_young):
            if low_water is not None:
                low_water.footprint_bytes = min(low_water.footprint_bytes, footprint_bytes)

    def was_laid_out(self, layout: Capture, pulse: Pulse) -> None:
        """Keep a layout, with the pulse that was read just before it."""
        self._layout, self._at_layout = layout, pulse

    def layout_may_serve(self, pulse: Pulse, tolerated_bytes: int) -> bool:
        """Whether the kept layout is good for a window that begins now, if it has not drifted."""
        if self._layout is None or self._at_layout is None:
            return False
        then, now = self._at_layout.activity, pulse.activity
        if then is None or now is None:
            return False
        most_touched_bytes = max(
            _MOST_TOUCHED_BYTES, pulse.footprint_bytes // _FOOTPRINT_TO_TOUCHED
        )
        if now.touched_bytes_since(then) >= most_touched_bytes:
            return False
        held_then, held_now = _held_bytes(self._at_layout), _held_bytes(pulse)
        moved_bytes = max(_excess(held_then, held_now), _excess(held_now, held_then))
        return moved_bytes < tolerated_bytes

    def has_lazy_pages(self, pulse: Pulse, tolerated_bytes: int) -> bool:
        """Whether so much of what counters count may be lazily freed, or nobody can tell."""
        layout, then = self._kept()
        assert then.activity is not None  # or the layout would not serve
        assert pulse.activity is not None
        freed_then = then.activity.lazily_freed_bytes
        freed_now = pulse.activity.lazily_freed_bytes
        if freed_then is None or freed_now is None:
            return True
        return layout.lazy_free_bytes() + freed_now - freed_then >= tolerated_bytes

    def layout_and_drift(self, pulse: Pulse) -> tuple[Capture, int]:
        """The kept layout, and by how many bytes the footprint has moved since."""
        layout, then = self._kept()
        if pulse.exact is not None:
            return layout, pulse.exact.footprint_bytes - layout.footprint_bytes()
        return layout, pulse.counters.footprint_bytes - then.counters.footprint_bytes

    def _kept(self) -> tuple[Capture, Pulse]:
        assert self._layout is not None  # its caller has asked for it first
        assert self._at_layout is not None
        return self._layout, self._at_layout


def _live_bytes(pulse: Pulse) -> dict[str, int]:
    return {
        one.name: one.live_bytes + one.own_mapping_live_bytes
        for one in pulse.allocators
        if one.counts
    }


def _held_bytes(pulse: Pulse) -> dict[str, int]:
    """The address space that allocators hold, by allocator and by how they hold it."""
    figures = {}
    for one in pulse.allocators:
        if one.counts:
            figures[f"{one.name}, shared between blocks"] = one.held_bytes or 0
            figures[f"{one.name}, a mapping for each"] = one.own_mapping_live_bytes
    return figures


def _excess(sizes: Mapping[str, int], others: Mapping[str, int]) -> int:
    """By how much `sizes` exceed `others` of the same name, all together."""
    return sum(max(0, size - others.get(name, 0)) for name, size in sizes.items())
