"""Looking into the process for a window that retained: everything in one place to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._explanation import Holding, Survivors, SurvivorType
from pytest_memreturn._instruments import Examiner, HeapSurvey
from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot
from pytest_memreturn.explain import examiner, heap_survey, survivors
from pytest_memreturn.explain.examiner import ProcessExaminer
from pytest_memreturn.explain.headcount import ObjectHeadcount

if TYPE_CHECKING:
    import pytest

BEFORE, AFTER = Snapshot(1, 1), Snapshot(2, 2)
ALLOCATORS = (AllocatorStatistics("python", 100, 200),)


def test_the_plain_examiner_finds_nothing() -> None:
    """For a script, and wherever nobody can look: no survivors, and no figure made up."""
    plain = Examiner()
    assert plain.survivors(BEFORE, AFTER) == Survivors()
    assert plain.newborn(ALLOCATORS) == Survivors()
    assert plain.python_in_malloc_bytes(ALLOCATORS) is None
    assert plain.held_by_pytest() == ()
    assert plain.tracers() == ()
    assert plain.unwritten_huge_page_bytes(BEFORE, AFTER) is None
    assert plain.filled_up_bytes(BEFORE, AFTER) == 0
    assert plain.survey_heaps(AFTER) == HeapSurvey()
    assert plain.pins(HeapSurvey(), ["pinned-malloc"]) == ()


def test_each_question_goes_to_who_can_answer_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was handed in; sizes up to which pymalloc serves are taken from its figures."""
    survey = HeapSurvey()
    found = Survivors((SurvivorType("dict", 1, 2),), in_malloc_bytes=3)
    held = (Holding("log records", 4, 5),)
    monkeypatch.setattr(survivors, "find_survivors", lambda *given: (found, given[:2]))
    monkeypatch.setattr(heap_survey, "survey", lambda given: (survey, given))
    monkeypatch.setattr(heap_survey, "pins", lambda *given: (9, given))
    monkeypatch.setattr(survivors, "pooled_up_to_bytes", lambda given: (given, "pooled"))
    monkeypatch.setattr(survivors, "find_newborn", lambda pooled: (found, pooled))
    monkeypatch.setattr(survivors, "python_in_malloc_bytes", lambda pooled, _: (6, pooled))
    monkeypatch.setattr(examiner, "held_by_pytest", lambda: held)
    monkeypatch.setattr(examiner, "tracers", lambda: ("coverage",))
    monkeypatch.setattr(examiner, "unwritten_huge_page_bytes", lambda *given: (7, given))
    monkeypatch.setattr(examiner, "filled_up_bytes", lambda *given: (8, given))
    asked = ProcessExaminer()
    assert asked.tracers() == ("coverage",)
    pooled = (ALLOCATORS, "pooled")
    answers: list[object] = [
        asked.survivors(BEFORE, AFTER),
        asked.newborn(ALLOCATORS),
        asked.python_in_malloc_bytes(ALLOCATORS),
        asked.held_by_pytest(),
        asked.unwritten_huge_page_bytes(BEFORE, AFTER),
        asked.filled_up_bytes(BEFORE, AFTER),
        asked.survey_heaps(AFTER),
        asked.pins(survey, ["mapped"]),
    ]
    assert answers == [
        (found, (BEFORE, AFTER)),
        (found, pooled),
        (6, pooled),
        held,
        (7, (BEFORE, AFTER)),
        (8, (BEFORE, AFTER)),
        (survey, AFTER),
        (9, (survey, ["mapped"])),
    ]


def test_objects_can_be_counted() -> None:
    """Between two times, each with a limit of its own."""
    headcount = ProcessExaminer().headcount()
    assert isinstance(headcount, ObjectHeadcount)
    headcount.begin(ALLOCATORS)
    assert headcount.end(ALLOCATORS, 1_000_000).types == ()


def test_a_process_can_be_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of Python's objects together hold something of malloc, whatever else is true here."""
    # A whole suite has many of them, and a tracer takes its time.
    monkeypatch.setattr(examiner, "_MOST_SECONDS_FOR_ALL_OBJECTS", 600.0)
    in_malloc = ProcessExaminer().python_in_malloc_bytes(ALLOCATORS)
    assert in_malloc is not None
    assert in_malloc > 0
