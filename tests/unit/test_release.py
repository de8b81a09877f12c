"""What changes the state of the process."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

from pytest_memreturn import _release
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._release import Releaser, collect, forget_last_failure


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


def test_every_allocator_is_asked_in_turn() -> None:
    """In the order they were given, each once."""
    asked: list[str] = []
    trims = {"one": lambda: asked.append("one"), "two": lambda: asked.append("two")}
    Releaser(trims=trims).trim()
    assert asked == ["one", "two"]


def test_what_each_allocator_gave_back_is_measured() -> None:
    """By how far the footprint fell, whatever the allocator answers; it may have risen, too."""
    footprint = [1000]

    def by(size: int) -> None:
        footprint[0] -= size

    trims = {"one": lambda: by(300), "two": lambda: by(0), "three": lambda: by(-8)}
    assert Releaser(trims=trims).trim_measured(lambda: footprint[0]) == {
        "one": 300,
        "two": 0,
        "three": -8,
    }
    assert footprint == [708]


def test_a_reading_between_two_trims_serves_both() -> None:
    """One more than there are allocators: a reading of much memory is not cheap."""
    calls: list[str] = []

    def read() -> int:
        calls.append("read")
        return 0

    trims = {"one": lambda: calls.append("one"), "two": lambda: calls.append("two")}
    Releaser(trims=trims).trim_measured(read)
    assert calls == ["read", "one", "read", "two", "read"]


def test_an_allocator_that_fails_is_named() -> None:
    """It may be one that a hook brought; those behind it are not asked any more."""

    def fail() -> None:
        raise ValueError("no pool")

    asked: list[str] = []
    releaser = Releaser(trims={"pool": fail, "malloc": lambda: asked.append("malloc")})
    for trim in (releaser.trim, lambda: releaser.trim_measured(lambda: 0)):
        with pytest.raises(ReadingUnavailableError, match=r"^allocator pool: ValueError: no pool$"):
            trim()
    assert asked == []


def test_by_default_only_the_collector_is_asked() -> None:
    """Which allocators there are, the one who makes it must say."""
    assert Releaser() == Releaser(
        _release.collect,
        _release.collect_once,
        _release.collect_young,
        _release.full_collections,
        _release.frozen_objects,
        {},
    )
    assert Releaser().trim_measured(lambda: 0) == {}


def test_the_last_failure_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that pytest keeps of it for debuggers; what is not there is no error."""
    names = ("last_type", "last_value", "last_traceback", "last_exc")
    for name in names:
        # Whatever was there before, monkeypatch puts back.
        monkeypatch.delattr(sys, name, raising=False)
    for name in names[:3]:
        setattr(sys, name, ValueError("kept"))
    forget_last_failure()
    assert not any(hasattr(sys, name) for name in names)
    forget_last_failure()


@pytest.mark.parametrize(("apart", "counted"), [(True, 4), (False, 117)])
def test_collections_that_may_take_the_old_are_counted(
    monkeypatch: pytest.MonkeyPatch, *, apart: bool, counted: int
) -> None:
    """Every one, where no generations keep the old apart."""
    counts = [{"collections": count} for count in (100, 13, 4)]
    monkeypatch.setattr(_release, "_GC_STATISTICS", lambda: counts)
    monkeypatch.setattr(_release, "KEEPS_OLD_APART", apart)
    assert _release.full_collections() == counted


@pytest.mark.skipif(not _release.KEEPS_OLD_APART, reason="this build keeps no old ones apart")
def test_a_pass_over_the_young_leaves_the_old() -> None:
    """And does not count as a full collection, as one pass over all objects does."""

    class Node:
        def __init__(self) -> None:
            self.me = self

    def cycle() -> weakref.ref[Node]:
        return weakref.ref(Node())

    old = Node()
    gone = weakref.ref(old)
    _release.collect()
    del old
    before = _release.full_collections()
    young = cycle()
    _release.collect_young()
    assert (gone() is None, young() is None) == (False, True)
    assert _release.full_collections() == before
    _release.collect_once()
    assert gone() is None
    assert _release.full_collections() == before + 1
