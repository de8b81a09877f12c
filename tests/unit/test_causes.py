"""Causes in words that follow a size."""

from __future__ import annotations

import pytest

from pytest_memreturn import _additions
from pytest_memreturn._verdict import _FIXED_CAUSES
from pytest_memreturn.report.advice import _ADVICE
from pytest_memreturn.report.causes import cause_in_words

MEANINGS = {
    "live-python": "held by Python objects that are still alive",
    "live-native": "held by native code: something still open, or never freed",
    "held-by-malloc": "free inside malloc, which has not given it back",
    "held-by-jemalloc": "free inside jemalloc, which has not given it back",
    "pinned-malloc": "free inside malloc, but live blocks sit on its pages",
    "pinned-my-pool": "free inside my-pool, but live blocks sit on its pages",
    "pinned-python": "free room in pymalloc arenas, each kept by a live object",
    "mapped": "in memory mappings that no known allocator owns",
    "shared-memory": "shared memory that is still there",
    "child-process": "held by child processes that are still alive",
    "unexplained": "in no account that could be read here",
    "gpu-pool": "what the account gpu-pool holds",
}


@pytest.mark.parametrize(("slug", "words"), MEANINGS.items())
def test_every_cause_has_words(slug: str, words: str) -> None:
    """Also one of an allocator or an account that only a hook knows: ``98.0 MiB is ...``."""
    assert cause_in_words(slug) == words


@pytest.mark.parametrize("slug", sorted(set(_FIXED_CAUSES.values())))
def test_a_cause_is_known_wherever_causes_are(slug: str) -> None:
    """It has words and advice of its own, and no hook may take its name for an account."""
    assert slug in MEANINGS
    assert slug in _ADVICE
    assert slug in _additions._TAKEN
