"""The verdict beside the outcome of a test."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn.report.beside import with_verdict

MIB = 1024 * 1024

RETURNED = Record("t", "returned", "collect", retained_bytes=0)
FELL = Record("t", "returned", "collect", retained_bytes=-MIB)
KEPT = Record("t", "returned", "collect", retained_bytes=MIB // 2)
RECORDED = Record("t", "returned", "trim", retained_bytes=9 * MIB, recorded_bytes=9 * MIB)
RETAINED = Record("t", "retained", "collect", retained_bytes=30 * MIB, cause="held-by-malloc")
NO_CAUSE = Record("t", "retained", "collect", retained_bytes=MIB)
UNJUDGED = Record("t", "unjudged", "collect", reason="no reading")
FAILED = Record("t", "unjudged", "collect", reason="failed by itself", own_outcome="failed")
BLOCK = Record("t", "returned", "collect", window="block", label="a", retained_bytes=5 * MIB)
OTHER = Record("t", "retained", "collect", window="block", label="b", retained_bytes=MIB)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([RETURNED], "returned"),
        ([FELL], "returned"),
        ([KEPT], "returned, kept 512.0 KiB"),
        ([RECORDED], "recorded, kept 9.0 MiB"),
        ([RETAINED], "retained 30.0 MiB, held-by-malloc"),
        ([NO_CAUSE], "retained 1.0 MiB"),
        ([UNJUDGED], "unjudged"),
        ([BLOCK], "a: returned, kept 5.0 MiB"),
        ([BLOCK, OTHER], "b: retained 1.0 MiB, and 1 more block"),
        ([BLOCK, OTHER, RETURNED], "returned, and 2 more blocks"),
        ([BLOCK, FAILED], "a: returned, kept 5.0 MiB"),
    ],
)
def test_words(records: Sequence[Record], words: str) -> None:
    """The verdict on the test, or on the block that kept most; how much; and the cause."""
    assert with_verdict("PASSED", records) == f"PASSED [{words}]"


@pytest.mark.parametrize("records", [[], [FAILED]])
def test_a_test_that_is_not_judged(records: Sequence[Record]) -> None:
    """Nothing is added to what it did by itself."""
    assert with_verdict("FAILED", records) == "FAILED"


def test_colours_stay() -> None:
    """Another plugin's word keeps the colours that it came with."""
    word = ("RERUN", {"yellow": True})
    assert with_verdict(word, [RETURNED]) == ("RERUN [returned]", {"yellow": True})


@pytest.mark.parametrize("word", ["", ("", {})])
def test_an_outcome_without_a_word(word: str) -> None:
    """What nobody shows stays unseen."""
    assert with_verdict(word, [RETAINED]) == word
