"""The plugin keeps nothing of a test alive, and is not misled by what pytest keeps alive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_COLLECTED = """
import gc, weakref
import pytest

KEPT, REFERENCES = [], []

class Thing:
    pass

def watched():
    thing = Thing()
    REFERENCES.append(weakref.ref(thing))
    return thing

@pytest.fixture
def thing():
    return watched()

@pytest.mark.returns_memory("1 MiB")
def test_keeps(thing):
    local = watched()
    KEPT.append([[] for _ in range(50_000)])

@pytest.mark.returns_memory("4 MiB")
def test_returns(thing):
    local = watched()

def test_block(thing, memreturn):
    local = watched()
    with pytest.raises(AssertionError), memreturn("1 MiB"):
        KEPT.append([[] for _ in range(50_000)])

def test_all_are_gone():
    gc.collect()
    assert len(REFERENCES) == 6
    assert [reference() for reference in REFERENCES] == [None] * 6
"""

_AFTER_A_FAILURE = """
import pytest

MIB = 1024 * 1024
KEPT = []

def test_fails():
    held_by_the_traceback = b"x" * (30 * MIB)
    assert not held_by_the_traceback, "my own"

@pytest.mark.returns_memory("4 MiB")
def test_keeps():
    KEPT.append(b"x" * (20 * MIB))
"""


def test_objects_of_judged_tests_are_collected(pytester: pytest.Pytester) -> None:
    """Whether a test retained or returned, its objects go when the test is over."""
    pytester.makepyfile(test_app=_COLLECTED)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1, passed=3)
    result.stdout.fnmatch_lines(["FAILED test_app.py::test_keeps - kept *"])


def test_memory_held_by_an_earlier_failure_hides_nothing(pytester: pytest.Pytester) -> None:
    """What a failed test held through its traceback is not credited to the next test."""
    pytester.makepyfile(test_app=_AFTER_A_FAILURE)

    result = pytester.runpytest_subprocess("--memreturn-report=report.json", "--tb=short")

    result.assert_outcomes(failed=2)
    report = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    (record,) = report["tests"]
    assert record["verdict"] == "retained"
    assert abs(record["retained_bytes"] - 20 * 1024 * 1024) < 1024 * 1024
