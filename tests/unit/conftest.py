"""What the rooms of pure logic share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def few_objects() -> Iterator[None]:
    """Nothing but what the test makes is to be found: gc does not name what is frozen.

    Late in a run there are a million others, and each look at all of them takes seconds.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
