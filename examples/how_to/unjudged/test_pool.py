"""A test that gives everything back, which nobody can say of it."""

import pytest


@pytest.mark.returns_memory
def test_pool() -> None:
    assert sum(range(1_000)) == 499_500
