"""What changes the state of the process."""

from __future__ import annotations

import gc

import psutil
import pytest

from pytest_memreturn import _release
from pytest_memreturn._release import Releaser, collect, trim_malloc


@pytest.mark.parametrize(
    ("found", "passes"), [([0], 1), ([5, 0], 2), ([5, 1, 0], 3), ([5, 4, 3, 2, 1], 3)]
)
def test_garbage_is_collected_until_none_is_found(
    found: list[int], passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finalizers may make more garbage, but a program that never ends making it is left alone."""
    asked: list[tuple[object, ...]] = []

    def scripted(*arguments: object) -> int:
        asked.append(arguments)
        return found[len(asked) - 1]

    monkeypatch.setattr(_release, "_GC_COLLECT", scripted)
    collect()
    assert asked == [()] * passes


def test_a_chain_of_finalizers_is_collected() -> None:
    """What a finalizer lets go of goes with the garbage it belonged to."""
    gone = []

    class Link:
        def __init__(self, depth: int) -> None:
            self.me = self
            self.depth = depth
            self.kept = Link(depth - 1) if depth else None

        def __del__(self) -> None:
            gone.append(self.depth)

    Link(1)
    collect()
    assert sorted(gone) == [0, 1]


def test_the_settings_of_the_collector_stay_as_they_are() -> None:
    """Neither thresholds, nor whether it is on, nor what is frozen, change."""
    before = (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.get_debug())
    gc.disable()
    try:
        collect()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.get_debug()) == before


def test_malloc_is_asked_through_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and what it answers does not matter."""
    asked = []
    monkeypatch.setattr(psutil, "heap_trim", lambda: asked.append("trim"), raising=False)
    trim_malloc()
    assert asked == ["trim"]


def test_where_malloc_cannot_be_asked_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such function on musl, for one."""
    monkeypatch.delattr(psutil, "heap_trim", raising=False)
    trim_malloc()


def test_every_allocator_is_asked_in_turn() -> None:
    """In the order they were given, each once."""
    asked: list[str] = []
    Releaser(trims=(lambda: asked.append("one"), lambda: asked.append("two"))).trim()
    assert asked == ["one", "two"]


def test_by_default_the_collector_and_malloc_are_asked() -> None:
    """What a recorder releases with, unless it is told otherwise."""
    assert Releaser() == Releaser(_release.collect, (_release.trim_malloc,))
