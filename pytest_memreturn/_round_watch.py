"""Reading memory between rounds, as seldom as is enough to tell how it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_memreturn._by_rounds import ByRounds, Growers, causes_of_growth
from pytest_memreturn._growth import (
    OF_FOOTPRINT,
    OF_LIVE_BYTES,
    Growth,
    growth,
    is_certain_of_leak,
    is_certain_of_none,
)
from pytest_memreturn._record import Rounds
from pytest_memreturn._round_points import FOOTPRINT, RoundPoints
from pytest_memreturn._sizes import MIB

if TYPE_CHECKING:
    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._recorder import Recorder
    from pytest_memreturn._settings import Settings

LIVE = "live"

# The objects that are there are counted once, when this part of the rounds is over and live bytes
# have risen from point to point so often: of what is over by then nobody needs to know.
_FIRST_PART, _RISES_TO_COUNT = 4, 3
# A survivor of rounds comes with each; one in seven may be missed.
_LEAST_SHARE = 3 / 4
# Where nobody counted them, so much is told as well by the ledger of the window.
_PLENTY_BYTES = MIB
# Counting leaves holes behind. Where the footprint grows by so many times more than what is alive,
# objects are not the cause, and holes would be taken for it.
_MOST_BESIDE = 2


class RoundWatch:
    """Watches the rounds of one test.

    Made before the window opens: what it needs for itself is no growth in it.
    """

    def __init__(self, instruments: Instruments, settings: Settings) -> None:
        self._instruments = instruments
        self._asked = settings.rounds.value
        self._warmup = settings.warmup.value
        limits = settings.limits
        assert limits.max_per_round is not None  # there are rounds
        self._allowed = limits.max_per_round
        self._rounds_decide = not limits.of_whole_window
        # Arrays of any size had malloc touch 1 KiB more of its own in each round, for two hundred
        # rounds. Only where free memory counts as retained must nobody give it back.
        self._trims = self._rounds_decide or settings.gate.value == "trim"
        self._points = RoundPoints()
        self._headcount = instruments.examiner.headcount()
        self._counted_at = 0
        self._not_its_own: Mapping[str, int] = {}
        self._rises = 0
        self._run = 0
        self._live_bytes = self._footprint_bytes = 0
        self._recorder: Recorder
        instruments.releaser.level_caches()

    def begin(self, recorder: Recorder) -> None:
        """Read what is there before the first round; `recorder` has the window open."""
        self._recorder = recorder
        self._add(0, self._read())

    def is_enough(self, number: int) -> bool:
        """Whether no more rounds are needed after this one."""
        self._run = number
        if not self._points.is_due(number) and number < self._asked:
            return False
        self._add(number, self._read_without_garbage())
        if number >= self._asked:
            return True
        self._count_objects_if_growing(number)
        return self._is_certain()

    def _add(self, number: int, figures: Mapping[str, int]) -> None:
        live_bytes = _live_bytes(figures)
        self._rises = self._rises + 1 if live_bytes > self._live_bytes else 0
        self._live_bytes, self._footprint_bytes = live_bytes, figures[FOOTPRINT]
        self._points.add(number, figures)

    def _read(self) -> dict[str, int]:
        figures = {
            one.name: one.live_bytes + one.own_mapping_live_bytes
            for one in self._instruments.statistics()
            # What a pool has of malloc's blocks is among malloc's own.
            if one.counts and not one.is_from_malloc
        }
        counters = self._instruments.memory.counters()
        if counters.error_bytes:
            counters = self._instruments.memory.exact()
        figures[FOOTPRINT] = counters.footprint_bytes + self._recorder.outside_bytes()
        return {name: size - self._not_its_own.get(name, 0) for name, size in figures.items()}

    def _read_without_garbage(self) -> dict[str, int]:
        """The figures of now; what may be garbage, or free, is dropped where they have risen."""
        releaser = self._instruments.releaser
        releaser.collect_young()
        figures = self._read()
        if _live_bytes(figures) > self._live_bytes:
            releaser.level_caches()
            releaser.collect_once()
            figures = self._read()
        if self._trims and figures[FOOTPRINT] > self._footprint_bytes:
            releaser.trim()
            figures = self._read()
        return figures

    def _count_objects_if_growing(self, number: int) -> None:
        if not self._rounds_decide:
            # Counting ends with a trim, and what the test holds free is to be judged.
            return
        first = self._asked // _FIRST_PART
        if self._counted_at or number < first or self._rises < min(_RISES_TO_COUNT, first + 1):
            return
        rounds, footprints = self._points.rounds, self._points.of(FOOTPRINT)
        live = growth(rounds, self._points.live(), OF_LIVE_BYTES).per_round_bytes
        if growth(rounds, footprints, OF_FOOTPRINT).per_round_bytes > live * _MOST_BESIDE:
            return  # of the objects, the ledger will tell enough
        # Without it the verdict is the same, and the cause may be less exact.
        with contextlib.suppress(Exception):
            self._instruments.releaser.collect()
            self._instruments.releaser.trim()
            before = self._read()
            self._recorder.aside(self._count_objects)
            # A step in the middle of a series would change its slope.
            self._not_its_own = {name: size - before[name] for name, size in self._read().items()}
            self._counted_at = number

    def _count_objects(self) -> None:
        self._headcount.begin(self._instruments.statistics())

    def _growth_by_name(self) -> dict[str, Growth]:
        """How everything grew that has figures; the footprint as the last one."""
        rounds = self._points.rounds
        found = {LIVE: growth(rounds, self._points.live(), OF_LIVE_BYTES)}
        for name in self._points.names:
            if name != FOOTPRINT:
                found[name] = growth(rounds, self._points.of(name), OF_LIVE_BYTES)
        found[FOOTPRINT] = growth(rounds, self._points.of(FOOTPRINT), OF_FOOTPRINT)
        return found

    def _is_certain(self) -> bool:
        so_far = {"rounds": self._run, "asked": self._asked, "points": len(self._points)}
        found, allowed_bytes = self._growth_by_name(), self._allowed.value
        if any(is_certain_of_leak(one, allowed_bytes, **so_far) for one in found.values()):
            return True
        return all(
            is_certain_of_none(
                one, allowed_bytes, OF_FOOTPRINT if name == FOOTPRINT else OF_LIVE_BYTES, **so_far
            )
            for name, one in found.items()
        )

    def result(self) -> ByRounds:
        """What the rounds say, after the last of them."""
        found, allowed_bytes = self._growth_by_name(), self._allowed.value
        exceeding = {name: one for name, one in found.items() if one.exceeds(allowed_bytes)}
        name = _most_telling(exceeding or found)
        told = Rounds(
            asked=self._asked,
            run=self._run,
            warmup=self._warmup,
            allowed_per_round_bytes=allowed_bytes,
            allowed_origin=self._allowed.origin,
            growth=found[name].kind,
            exceeds=bool(exceeding),
            figure=name,
            per_round_bytes=round(found[name].per_round_bytes),
            since_round=found[name].since_round,
            points=tuple(
                zip(
                    self._points.rounds,
                    self._points.live(),
                    self._points.of(FOOTPRINT),
                    strict=True,
                )
            ),
        )
        if exceeding:
            return ByRounds(told, "retained", lambda: self._growers(found, name))
        return ByRounds(told, "returned" if self._rounds_decide else None)

    def _growers(self, found: Mapping[str, Growth], judged: str) -> Growers:
        statistics = self._instruments.statistics()
        came = None
        is_plenty = found[judged].whole_bytes >= _PLENTY_BYTES
        if judged == FOOTPRINT or (is_plenty and not self._counted_at):
            return Growers()
        rounds_since = self._run - self._counted_at
        with contextlib.suppress(Exception):
            if self._counted_at:
                # What looking into the heaps has left behind is no survivor.
                self._instruments.releaser.collect()
                came = self._headcount.end(statistics, int(rounds_since * _LEAST_SHARE))
        in_malloc_bytes = None
        if came is not None and came.in_malloc_bytes is not None and came.is_whole:
            in_malloc_bytes = came.in_malloc_bytes * self._run // max(1, rounds_since)
        grown = {
            name: round(max(0.0, one.per_round_bytes) * self._run)
            for name, one in found.items()
            if name not in {LIVE, FOOTPRINT}
        }
        if came is not None and came.in_malloc_bytes is None:
            came = None  # nobody could look
        return Growers(causes_of_growth(grown, in_malloc_bytes), came)


def _live_bytes(figures: Mapping[str, int]) -> int:
    return sum(size for name, size in figures.items() if name != FOOTPRINT)


# What says most of how a test goes on, first.
_KINDS = ("steady", "uneven", "fading", "one-time", "none")


def _most_telling(found: Mapping[str, Growth]) -> str:
    """Whose growth a message speaks of.

    The footprint counts in whole pages: what is exact comes first, unless it is the lesser part.
    """

    def order(name: str) -> tuple[int, float]:
        one = found[name]
        weight = 0.5 if name == FOOTPRINT else 1.0
        return _KINDS.index(one.kind), -one.per_round_bytes * weight

    return min(found, key=order)
