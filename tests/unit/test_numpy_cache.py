"""The cache of small buffers that numpy keeps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_memreturn.allocators.numpy_cache import fill_numpy_cache

if TYPE_CHECKING:
    import pytest


class FakeNumpy:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def empty(self, size: int, kind: str) -> object:
        """As numpy's own."""
        assert kind == "B"
        self.asked.append(size)
        return object()


def test_some_of_each_size_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are buckets."""
    numpy = FakeNumpy()
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    numpy.__dict__["empty"] = numpy.empty

    fill_numpy_cache()

    assert sorted(set(numpy.asked)) == list(range(1, 1024))
    assert len(numpy.asked) == 2 * 1023


def test_a_program_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported for it."""
    monkeypatch.delitem(sys.modules, "numpy", raising=False)

    fill_numpy_cache()

    assert "numpy" not in sys.modules
