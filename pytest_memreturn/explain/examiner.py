"""Everything that looks into this process for a window that retained, in one place to ask."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from pytest_memreturn._instruments import Examiner, Headcount, HeapSurvey
from pytest_memreturn.explain import heap_survey, survivors
from pytest_memreturn.explain.headcount import ObjectHeadcount
from pytest_memreturn.explain.huge_pages import filled_up_bytes, unwritten_huge_page_bytes
from pytest_memreturn.explain.test_runner import held_by_pytest
from pytest_memreturn.explain.time_limit import time_limit
from pytest_memreturn.explain.tracers import tracers

if TYPE_CHECKING:
    from pytest_memreturn._explanation import Holding, Pin, Survivors
    from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot


# Two million objects took 2.8 s on a slow machine. With the limits below, and those for heaps and
# pins, 8.6 s in all: with what reading takes, 8 GiB and 5 million objects stay within ten.
_MOST_SECONDS_FOR_SURVIVORS = 3.2
# From the beginning, so that who keeps the largest is told of many objects as well.
_MOST_SECONDS_WITH_CHAINS = 4.2
# As many as well, where nothing is asked of an object but its size.
_MOST_SECONDS_FOR_ALL_OBJECTS = 1.2


class ProcessExaminer(Examiner):
    """Looks into the process that it runs in."""

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        """The objects that came between two snapshots and are still there."""
        return survivors.find_survivors(
            before,
            after,
            time_limit(_MOST_SECONDS_FOR_SURVIVORS),
            time_limit(_MOST_SECONDS_WITH_CHAINS),
        )

    def newborn(self, allocators: Sequence[AllocatorStatistics]) -> Survivors:
        """The objects that no full collection has seen yet."""
        return survivors.find_newborn(survivors.pooled_up_to_bytes(allocators))

    def python_in_malloc_bytes(self, allocators: Sequence[AllocatorStatistics]) -> int | None:
        """What all Python objects together hold of malloc."""
        return survivors.python_in_malloc_bytes(
            survivors.pooled_up_to_bytes(allocators), time_limit(_MOST_SECONDS_FOR_ALL_OBJECTS)
        )

    def headcount(self) -> Headcount:
        """What can tell objects that come between two times."""
        return ObjectHeadcount(
            lambda: time_limit(_MOST_SECONDS_FOR_SURVIVORS),
            lambda: time_limit(_MOST_SECONDS_WITH_CHAINS),
        )

    def survey_heaps(self, now: Snapshot) -> HeapSurvey:
        """What malloc's heaps and pymalloc's arenas look like from within."""
        return heap_survey.survey(now)

    def pins(self, survey: HeapSurvey, causes: Collection[str]) -> tuple[Pin, ...]:
        """The live blocks that keep free memory in place, where that is among the `causes`."""
        return heap_survey.pins(survey, causes)

    def held_by_pytest(self) -> tuple[Holding, ...]:
        """What the test runner itself keeps for its reports."""
        return held_by_pytest()

    def tracers(self) -> tuple[str, ...]:
        """What follows the lines that run, and keeps what it notes of them."""
        return tracers()

    def unwritten_huge_page_bytes(self, before: Snapshot, after: Snapshot) -> int | None:
        """Memory that is resident only because of transparent huge pages."""
        return unwritten_huge_page_bytes(before, after)

    def filled_up_bytes(self, before: Snapshot, after: Snapshot) -> int:
        """Free memory of malloc's that only huge pages made resident."""
        return filled_up_bytes(before, after)
