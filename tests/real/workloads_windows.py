"""Fixtures and tests that keep memory beyond a test's body, or no longer than it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from pytest_memreturn import MemoryNotReturned, MemreturnFixture

kept: list[object] = []
# Always a mapping of its own, which goes back when it is freed.
SIZE = 40_000_000


@pytest.fixture
def grows() -> Iterator[list[bytearray]]:
    """Room for what the body makes, which ends with the test."""
    made: list[bytearray] = []
    yield made
    made.clear()


@pytest.fixture
def leaks() -> None:
    """Keeps what it has made when it has ended."""
    kept.append(bytearray(SIZE))


@pytest.mark.returns_memory
def test_body(grows: list[bytearray]) -> None:
    """Keeps in its fixture."""
    grows.append(bytearray(SIZE))


@pytest.mark.returns_memory(window="test")
def test_whole(grows: list[bytearray]) -> None:
    """The same, which has ended with it."""
    grows.append(bytearray(SIZE))


@pytest.mark.returns_memory(window="test")
@pytest.mark.usefixtures("leaks")
def test_leak() -> None:
    """Its fixture keeps it."""


def test_nested(memreturn: MemreturnFixture) -> None:
    """What the inner block keeps is kept in the outer, and no more: not what looking for it took.

    With small objects, many arenas are grown by a look for those that survived: 1.7 MiB.
    """
    outer, inner = memreturn("50 MiB"), memreturn("1 MiB")
    with outer, pytest.raises(MemoryNotReturned), inner:
        kept.append([bytes(1000) for _ in range(4000)])
    assert inner.retained_bytes >= 4_000_000
    assert abs(outer.retained_bytes - inner.retained_bytes) < 500_000


class _Service:
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> bytearray:
        """What serves, as long as there are tests."""
        return bytearray(SIZE)

    cache: ClassVar[list[bytearray]]

    def test_fills(self, server: bytearray) -> None:
        """The next test needs it."""
        assert server
        self.cache.append(bytearray(SIZE))


@pytest.mark.returns_memory(window="class")
class TestClears(_Service):
    """Keeps memory from test to test, and none at its end."""

    cache: ClassVar[list[bytearray]] = []

    @pytest.mark.usefixtures("server")
    def test_over(self) -> None:
        """Nothing is left."""
        self.cache.clear()


@pytest.mark.returns_memory(window="class")
class TestKeeps(_Service):
    """Keeps what it has cached."""

    cache: ClassVar[list[bytearray]] = []
