"""What a run changes in what was recorded, and what is said of it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn._settings import Gate
from pytest_memreturn._sizes import MIB
from pytest_memreturn.ratchet.changes import Change, Changes, Judged, find_changes
from pytest_memreturn.ratchet.entries import Entry, Key, Tolerance
from pytest_memreturn.ratchet.lines import compared_lines, saved_lines

A, B, C = (Key(f"t.py::test_{one}") for one in "abc")
ONE = Tolerance(MIB)


def entries(**sizes: float) -> dict[Key, Entry]:
    """Entries by the last letter of their tests, in MiB."""
    return {Key(f"t.py::test_{name}"): entry(size) for name, size in sizes.items()}


def entry(size: float, gate: Gate = "collect") -> Entry:
    """An entry of so many MiB."""
    return Entry(int(size * MIB), gate)


def kept(key: Key, size: float, gate: Gate = "collect") -> Judged:
    """A test that failed for keeping so many MiB."""
    return Judged(key, int(size * MIB), gate, fits=False, passed=False)


def fits(key: Key, size: float, gate: Gate = "collect") -> Judged:
    """A test that keeps no more than it may anyway."""
    return Judged(key, int(size * MIB), gate, fits=True, passed=True)


def passed(key: Key, size: float) -> Judged:
    """A test that keeps no more than was recorded."""
    return Judged(key, int(size * MIB), "collect", fits=False, passed=True)


def changes(
    recorded: Mapping[Key, Entry], *judged: Judged, gone: tuple[Key, ...] = (), compares: bool
) -> Changes:
    """What is found with a tolerance of 1 MiB."""
    return find_changes(recorded, {one.key: one for one in judged}, gone, ONE, only_less=compares)


def test_a_first_run_records_what_retains() -> None:
    """And nothing else: a suite that returns its memory has an empty file."""
    found = changes({}, kept(A, 5), fits(B, 1), kept(C, 7), compares=False)
    assert found.entries == entries(a=5, c=7)
    assert [one.key for one in found.new] == [C, A]
    assert (found.compared, found.gained_bytes) == (0, 0)


@pytest.mark.parametrize("compares", [False, True])
@pytest.mark.parametrize("size", [9.0, 10.0, 11.0])
def test_within_the_tolerance_the_old_figure_stays(size: float, compares: bool) -> None:
    """So that an unchanged suite gives an unchanged file."""
    one = passed(A, size) if compares else kept(A, size)
    found = changes(entries(a=10), one, compares=compares)
    assert found == Changes(compared=1, entries=entries(a=10))


def test_saving_raises_and_lowers() -> None:
    """What is kept is what there is now; what fits needs no entry any more."""
    recorded = entries(a=10, b=10, c=10)
    found = changes(recorded, kept(A, 11.1), kept(B, 8.9), fits(C, 1), compares=False)
    assert found.entries == {A: Entry(on(11.1), "collect"), B: Entry(on(8.9), "collect")}
    assert [one.key for one in found.more] == [A]
    assert [one.key for one in found.less] == [C, B]


def on(size: float) -> int:
    """A size with one decimal, on the grid."""
    return round(size * 10) * MIB // 10


def test_comparing_lowers_only() -> None:
    """Neither what is more nor what is new is kept: that would let pass what has just failed."""
    recorded = entries(a=10, b=10)
    found = changes(recorded, kept(A, 15), passed(B, 5), kept(C, 7), compares=True)
    assert found.entries == entries(a=10, b=5)
    assert ([one.key for one in found.more], [one.key for one in found.new]) == ([A], [C])
    assert found.gained_bytes == 5 * MIB


@pytest.mark.parametrize(("size", "less"), [(0.4, True), (0.5, True), (0.6, False)])
def test_an_entry_within_the_tolerance_goes_at_half_of_it(size: float, less: bool) -> None:
    """It could never be less by more than the tolerance."""
    found = changes(entries(a=1), fits(A, size), compares=True)
    assert (A not in found.entries) == less


def test_what_was_not_judged_stays() -> None:
    """A part of a suite says nothing of the rest."""
    assert changes(entries(a=1, b=2), compares=False).entries == entries(a=1, b=2)


def test_what_is_gone_goes() -> None:
    """In a run that compares as well: it lets nothing pass."""
    for compares in (False, True):
        found = changes(entries(a=1, b=2), gone=(A, C), compares=compares)
        assert found.entries == entries(b=2)
        assert found.gone == (Change(A, MIB, None),)


def test_what_was_judged_is_not_gone() -> None:
    """Whoever says so."""
    found = changes(entries(a=5), kept(A, 5), gone=(A,), compares=False)
    assert found.entries == entries(a=5)
    assert found.gone == ()


def test_another_gate_does_not_compare() -> None:
    """While comparing the entry stays, and is named; a save records anew, or drops it."""
    recorded = entries(a=10, b=10)
    judged = (kept(A, 9.9, "trim"), fits(B, 9.9, "trim"))
    found = changes(recorded, *judged, compares=True)
    assert found.entries == recorded
    assert ([one.key for one in found.other_gate], found.compared) == ([A, B], 0)
    found = changes(recorded, *judged, compares=False)
    assert found.entries == {A: Entry(on(9.9), "trim")}
    assert ([one.key for one in found.more], [one.key for one in found.less]) == ([A], [B])


MOVED = Key("new/u.py::TestX::test_a[1::2]")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(Key("t.py::test_a[1::2]"), kept(MOVED, 90), id="the same name elsewhere"),
        pytest.param(A, kept(B, 10.9), id="about the same size in the same file"),
        pytest.param(Key("t", "x"), kept(Key("t", "y"), 9.1), id="a block with another label"),
    ],
)
def test_a_rename_is_guessed(old: Key, new: Judged) -> None:
    """A save follows it; comparing keeps the old entry until somebody has looked."""
    recorded = {old: entry(10)}
    saved = changes(recorded, new, gone=(old,), compares=False)
    assert [(one.key, one.new_key) for one in saved.renamed] == [(old, new.key)]
    assert (saved.new, saved.gone) == ((), ())
    assert list(saved.entries) == [new.key]
    compared = changes(recorded, new, gone=(old,), compares=True)
    assert compared.renamed == saved.renamed
    assert compared.entries == recorded


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(kept(B, 11.1), id="another size"),
        pytest.param(kept(B, 10, "trim"), id="another gate"),
        pytest.param(kept(Key("u.py::test_b"), 10), id="another file"),
        pytest.param(kept(Key("u.py::test_a", "x"), 10), id="a block of it"),
        pytest.param(kept(Key("u.py::test_a[1]"), 10), id="other parameters"),
        pytest.param(fits(B, 1), id="one that retains nothing"),
    ],
)
def test_no_rename_is_invented(new: Judged) -> None:
    """What is gone is gone."""
    found = changes(entries(a=10), new, gone=(A,), compares=True)
    assert found.renamed == ()
    assert [one.key for one in found.gone] == [A]


def test_each_new_name_is_guessed_once() -> None:
    """Of two that went, one came back; the same name comes first."""
    recorded = entries(a=10, b=10)
    found = changes(recorded, kept(Key("u.py::test_b"), 10), gone=(A, B), compares=False)
    assert [one.key for one in found.renamed] == [B]
    assert [one.key for one in found.gone] == [A]


RETAINED = Record("t", "retained", "trim", label="x", retained_bytes=5, allowed_bytes=1)


def test_of_a_record_the_verdict_and_the_size_matter() -> None:
    """And whether what was recorded had a part in it."""
    assert Judged.of(RETAINED) == Judged(Key("t", "x"), 5, "trim", fits=False, passed=False)
    assert Judged.of(Record("t", "returned", "collect", retained_bytes=-5)) == Judged(
        Key("t"), 0, "collect", fits=True, passed=True
    )
    assert Judged.of(
        Record("t", "returned", "collect", retained_bytes=5, recorded_bytes=7)
    ) == Judged(Key("t"), 5, "collect", fits=False, passed=True)


def test_what_has_no_verdict_says_nothing() -> None:
    """Nor does a record without a figure."""
    assert Judged.of(Record("t", "unjudged", "collect")) is None
    assert Judged.of(Record("t", "returned", "collect")) is None


def test_of_two_runs_the_worse_counts() -> None:
    """A test that ran again, and a block in a loop."""
    for worse, better in ((kept(A, 1), fits(A, 9)), (kept(A, 2), kept(A, 1))):
        assert worse.worse(better) is better.worse(worse) is worse


LONG = Key("tests/some_folder/another_folder/test_of_a_long_name.py::TestClass::test_it[several]")
MANY = Changes(
    new=(Change(C, None, 7 * MIB),),
    more=(Change(A, 5 * MIB, 1500 * MIB),),
    less=(Change(B, 2000 * MIB, 0), Change(LONG, 5 * MIB, MIB)),
    gone=(Change(Key("old.py::test\n_x"), MIB, None),),
    renamed=(Change(A, 10 * MIB, 11 * MIB, Key("u.py::test_a", "x")),),
    other_gate=(Change(C, MIB, 2 * MIB),),
    compared=12,
    entries=entries(a=5, b=6),
)


def text(block: str) -> list[str]:
    """The lines of a block."""
    return textwrap.dedent(block).strip("\n").splitlines()


def test_lines_of_a_comparison() -> None:
    """At 80 columns: what is less, what is gone, what may have another name, and what to do."""
    found = list(compared_lines("my file.json", MANY, 80, all_of_them=False))
    assert found == text("""
        my file.json: 12 recorded tests compared, 1 retains 1.5 GiB more,
          2 retain 2.0 GiB less, 1 gone, 1 renamed?, 1 at another gate
          more      5.0 → 1500.0 MiB  t.py::test_a
          less      2000.0 → 0.0 MiB  t.py::test_b
          less         5.0 → 1.0 MiB  …::TestClass::test_it[several]
          gone               1.0 MiB  old.py::test _x
          renamed?   10.0 → 11.0 MiB  t.py::test_a
                              is now  u.py::test_a [x]
          gate         1.0 → 2.0 MiB  t.py::test_c
        gate: what was recorded at one gate is not allowed at another: record it anew
        renamed? if it is so, change the name in my file.json: nothing was recorded of
          the new one
        to keep what was gained, add --memreturn-save='my file.json'
    """)


def test_lines_of_a_comparison_that_saves() -> None:
    """What was kept, and what was not; wider, names have room."""
    found = list(compared_lines("m.json", MANY, 140, all_of_them=False, saved_to="n.json"))
    assert found[3] == f"  less         5.0 → 1.0 MiB  {LONG.nodeid}"
    assert found[-2:] == [
        "n.json: recorded 2 tests that retain 11.0 MiB",
        (
            "not recorded: 4 tests that retain more than is allowed. To record that, too: "
            "--memreturn-compare= --memreturn-save=n.json"
        ),
    ]


def test_lines_of_nothing() -> None:
    """One line says that there was a comparison, one that there was a save, none that was none."""
    assert list(compared_lines("m.json", Changes(), 80, all_of_them=False)) == []
    one = Changes(compared=1, entries=entries(a=5))
    assert list(compared_lines("m.json", one, 80, all_of_them=False)) == [
        "m.json: 1 recorded test compared, none retains less"
    ]
    assert list(saved_lines("m.json", one, 80, all_of_them=False)) == [
        "m.json: recorded 1 test that retains 5.0 MiB (nothing changed)"
    ]
    assert list(saved_lines("m.json", Changes(), 80, all_of_them=False)) == [
        "m.json: recorded no test: none retains memory (nothing changed)"
    ]


def test_lines_of_one_more() -> None:
    """Of one test as of one."""
    one = Changes(more=(Change(A, MIB, 5 * MIB),), compared=1, entries=entries(a=1))
    assert list(compared_lines("m.json", one, 80, all_of_them=False, saved_to="m.json")) == text("""
        m.json: 1 recorded test compared, 1 retains 4.0 MiB more
          more      1.0 → 5.0 MiB  t.py::test_a
        m.json: recorded 1 test that retains 1.0 MiB
        not recorded: 1 test that retains more than is allowed. To record that, too:
          --memreturn-compare= --memreturn-save=m.json
    """)


def test_lines_of_a_save() -> None:
    """What is recorded now, and what of it has changed."""
    assert list(saved_lines("m.json", MANY, 80, all_of_them=False)) == text("""
        m.json: recorded 2 tests that retain 11.0 MiB (1 new, 1 more, 2 less, 1 gone,
          1 renamed?, 1 at another gate)
          new                7.0 MiB  t.py::test_c
          more      5.0 → 1500.0 MiB  t.py::test_a
          less      2000.0 → 0.0 MiB  t.py::test_b
          less         5.0 → 1.0 MiB  …::TestClass::test_it[several]
          gone               1.0 MiB  old.py::test _x
          renamed?   10.0 → 11.0 MiB  t.py::test_a
                              is now  u.py::test_a [x]
    """)


@pytest.mark.parametrize(("all_of_them", "count"), [(False, 10), (True, 12)])
def test_the_first_ten_are_listed(all_of_them: bool, count: int) -> None:
    """The rest is counted, and shown to who asks."""
    less = tuple(Change(Key(f"t.py::test_{n}"), 9 * MIB, 0) for n in range(12))
    lines = list(compared_lines("m.json", Changes(less=less), 80, all_of_them=all_of_them))
    assert sum(line.startswith("  less") for line in lines) == count
    assert ("  2 more lines (-v shows them)" in lines) == (not all_of_them)
