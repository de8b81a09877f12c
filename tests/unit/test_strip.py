"""Heaps drawn as strips."""

from __future__ import annotations

from pytest_memreturn._explanation import PooledArenas, Region, RegionKind
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.strip import arena_strip, heap_strip


def heap(*stretches: tuple[RegionKind, float]) -> list[Region]:
    """Stretches of so many MiB, one behind the other."""
    found, at = [], 0
    for kind, size in stretches:
        found.append(Region("main heap", kind, at, int(size * MIB), 0))
        at += int(size * MIB)
    return found


CLASSIC = heap(("live", 10.2), ("free", 49), ("live", 1), ("returned", 49))


def test_every_stretch_has_its_size_and_its_share() -> None:
    """Told apart by shape and by word, without colour."""
    drawn = heap_strip(CLASSIC, 87)
    assert drawn == (
        "|████ 10.2 live|░░░░░░░░░░░░░░░░ 49.0 free|█ 1.0 live|················ 49.0 returned|"
    )


def test_a_narrow_strip_has_fewer_stretches() -> None:
    """The smallest goes first."""
    assert heap_strip(CLASSIC, 55) == ("|██ 10.2 live|░░░░░░░ 49.0 free|······· 50.0 returned|")


def test_words_that_take_more_room_than_there_is_have_fewer_stretches() -> None:
    """Sizes of many digits are wider than a stretch is at the least."""
    wide = heap(("live", 123_456.7), ("returned", 123_456.7))
    assert heap_strip(wide, 36) == "|" + "█" * 20 + " 246913.4 live|"


def test_dust_is_not_drawn() -> None:
    """What would print as 0.0, and what is next to nothing beside the rest."""
    dusty = heap(("live", 100), ("free", 0.04), ("live", 100), ("free", 0.3), ("live", 100))
    assert heap_strip(dusty, 60) == "|" + "█" * 47 + " 300.3 live|"


def test_arenas_are_marks_of_how_full_they_are() -> None:
    """One each where there is room."""
    arenas = PooledArenas(MIB, (0, MIB // 2, MIB))
    assert arena_strip(arenas, 80) == "3 × 1.0 MiB, 50% live |▁▅█|"


def test_many_arenas_share_marks() -> None:
    """Each mark is as high as its arenas are full on average."""
    arenas = PooledArenas(MIB, (0,) * 1000 + (MIB,) * 1000)
    assert arena_strip(arenas, 40) == "2000 × 1.0 MiB, 50% live |▁▁▁▁▁▁▄██████|"
