"""What is to be seen in malloc's heaps and pymalloc's arenas, within a limit of time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_memreturn._instruments import HeapSurvey
from pytest_memreturn.explain.arenas import Arena, find_arenas
from pytest_memreturn.explain.heap_picture import picture_of
from pytest_memreturn.explain.heap_walk import walk_heaps
from pytest_memreturn.explain.pins import Gap, find_pins, gaps_of
from pytest_memreturn.explain.time_limit import time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_memreturn._explanation import Pin
    from pytest_memreturn._snapshot import Snapshot
    from pytest_memreturn.explain.heap_walk import HeapWalk

# At 1.2 million blocks a second, which is what was measured, some 2.4 million of them.
_MOST_SECONDS = 2.0
# What took longer to walk is not walked again.
_SECONDS_TO_WALK_AGAIN = 0.6
# What an explanation has left of its ten seconds; an owner is looked for among all objects.
_MOST_SECONDS_FOR_PINS = 1.2


@dataclass(frozen=True, slots=True)
class Detail:
    """What a survey found, for whoever looks closer."""

    gaps: tuple[Gap, ...]
    arenas: tuple[Arena, ...]


def survey(now: Snapshot, clock: Callable[[], float] = time.thread_time) -> HeapSurvey:
    """Walk malloc's heaps and look at pymalloc's arenas; what cannot be looked at is left out."""
    is_over = time_limit(_MOST_SECONDS, clock)
    walk = walk_heaps(is_over, time_limit(_SECONDS_TO_WALK_AGAIN, clock))
    arenas = _arenas(now, is_over)
    if walk is None and not arenas:
        return HeapSurvey()
    picture = picture_of(walk, arenas or ())
    if arenas is None and picture.reason is None:
        picture = replace(picture, partial=True, reason="there was no time to look at the arenas")
    return HeapSurvey(picture, Detail(_gaps(walk, is_over), arenas or ()))


def pins(
    survey: HeapSurvey, causes: Collection[str], clock: Callable[[], float] = time.thread_time
) -> tuple[Pin, ...]:
    """What keeps free memory in place, as far as that is among the `causes`; the worst first."""
    detail = survey.detail
    if not isinstance(detail, Detail):
        return ()
    is_over = time_limit(_MOST_SECONDS_FOR_PINS, clock)
    return find_pins(detail.gaps, detail.arenas, causes, is_over)


def _gaps(walk: HeapWalk | None, is_over: Callable[[], bool]) -> tuple[Gap, ...]:
    try:
        return () if walk is None else tuple(gaps_of(walk, is_over))
    except OSError:
        return ()


def _arenas(now: Snapshot, is_over: Callable[[], bool]) -> tuple[Arena, ...] | None:
    """Every arena; ``None`` where there was no time."""
    if not any(one.name == "python" for one in now.allocators):
        return ()
    anonymous = ((one.start, one.end) for one in now.ranges if one.kind == "anonymous")
    try:
        arenas = find_arenas(anonymous, is_over)
    except OSError:
        return ()
    return None if arenas is None else tuple(arenas)
