"""Laws of the ratchet: it turns one way, and stands still where nothing moves."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._allowance import Allowance, allowance, with_recorded
from pytest_memreturn._settings import Gate, resolve
from pytest_memreturn._sizes import MIB
from pytest_memreturn._verdict import judge
from pytest_memreturn.ratchet.changes import Judged, find_changes
from pytest_memreturn.ratchet.entries import Entry, Key, Ratchet, Tolerance, on_grid
from pytest_memreturn.ratchet.file import ratchet_text, read_ratchet

SIZES = st.integers(0, 10**13)
GATES: st.SearchStrategy[Gate] = st.sampled_from(["collect", "trim"])
TOLERANCES = st.builds(Tolerance, st.one_of(st.none(), SIZES))
# Any name that a parametrised test can have, and few enough of them to meet.
NAMES = st.one_of(st.sampled_from(["a.py::test_x", "b.py::test_x", "a.py::test_y[1]"]), st.text())
KEYS = st.builds(Key, NAMES, st.one_of(st.none(), NAMES))
ENTRIES = st.dictionaries(KEYS, st.builds(Entry, SIZES.map(on_grid), GATES), max_size=6)


@st.composite
def judged(draw: st.DrawFn) -> dict[Key, Judged]:
    """What a run may find: as the verdicts of tests without a record, and with one."""
    found = {}
    for key in draw(st.lists(KEYS, max_size=6, unique=True)):
        passed, fits = draw(st.sampled_from([(False, False), (True, False), (True, True)]))
        found[key] = Judged(key, draw(SIZES), draw(GATES), fits=fits, passed=passed)
    return found


def text(entries: Mapping[Key, Entry]) -> str:
    """The file with these entries."""
    return "".join(ratchet_text(Ratchet({"python": "3.11"}, entries)))


@given(ENTRIES)
def test_a_file_comes_back_as_it_was(entries: dict[Key, Entry]) -> None:
    """Whatever the tests are called; and its text does not depend on any order."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "m.json")
        file.write_text(text(entries), encoding="utf-8")
        found = read_ratchet(file, "m.json")
    assert found == Ratchet({"python": "3.11"}, entries, "m.json")
    assert text(dict(reversed(entries.items()))) == text(entries) == text(found.entries)


@given(ENTRIES, judged(), TOLERANCES)
def test_saving_twice_gives_the_same_file(
    recorded: dict[Key, Entry], found: dict[Key, Judged], tolerance: Tolerance
) -> None:
    """The second run of the same suite has nothing to change."""
    once = find_changes(recorded, found, (), tolerance, only_less=False)
    twice = find_changes(once.entries, found, (), tolerance, only_less=False)
    assert text(twice.entries) == text(once.entries)
    assert (twice.new, twice.more, twice.less) == ((), (), ())


@given(ENTRIES, TOLERANCES, st.data())
def test_noise_within_the_tolerance_changes_no_byte(
    recorded: dict[Key, Entry], tolerance: Tolerance, data: st.DataObject
) -> None:
    """Of tests that still retain, whichever way they moved."""
    found = {}
    for key, entry in recorded.items():
        allowed = tolerance.of(entry.retained_bytes)
        size = entry.retained_bytes + data.draw(st.integers(-allowed, allowed))
        found[key] = Judged(key, max(0, size), entry.gate, fits=False, passed=False)
    again = find_changes(recorded, found, (), tolerance, only_less=False)
    assert text(again.entries) == text(recorded)


@given(ENTRIES, judged(), st.sets(KEYS, max_size=3), TOLERANCES)
def test_comparing_never_lets_more_pass(
    recorded: dict[Key, Entry], found: dict[Key, Judged], gone: set[Key], tolerance: Tolerance
) -> None:
    """What it saves has no new entry, and none that is larger or of another gate."""
    changes = find_changes(recorded, found, gone, tolerance, only_less=True)
    assert changes.entries.keys() <= recorded.keys()
    for key, entry in changes.entries.items():
        assert entry.retained_bytes <= recorded[key].retained_bytes
        assert entry.gate == recorded[key].gate


@given(ENTRIES, judged(), st.sets(KEYS, max_size=3), TOLERANCES, st.booleans())
def test_nothing_is_lost(
    recorded: dict[Key, Entry],
    found: dict[Key, Judged],
    gone: set[Key],
    tolerance: Tolerance,
    only_less: bool,
) -> None:
    """An entry goes where its test fits, or is gone; every other stays."""
    changes = find_changes(recorded, found, gone, tolerance, only_less=only_less)
    for key in recorded.keys() - changes.entries.keys():
        assert found[key].fits if key in found else key in gone


@given(ENTRIES, KEYS, SIZES, TOLERANCES)
def test_no_more_passes_than_was_recorded_and_the_tolerance(
    recorded: dict[Key, Entry], key: Key, retained: int, tolerance: Tolerance
) -> None:
    """Or than passes without a record."""
    ratchet = Ratchet({}, recorded, "m.json")
    settings = ratchet.applied(resolve([]), key, tolerance)
    ordinary = allowance(settings.limits, 0)
    found = with_recorded(ordinary, settings.limits.recorded)
    entry = recorded.get(key)
    most = ordinary.allowed_bytes
    if entry is not None and entry.gate == settings.gate.value:
        most = max(most, entry.retained_bytes + tolerance.of(entry.retained_bytes))
    assert judge(retained, found) == ("returned" if retained <= most else "retained")


@given(SIZES, TOLERANCES)
def test_what_was_just_saved_passes(retained: int, tolerance: Tolerance) -> None:
    """Rounding never makes a size less than it was."""
    key = Key("t")
    saved = find_changes(
        {},
        {key: Judged(key, retained, "collect", fits=False, passed=False)},
        (),
        tolerance,
        only_less=False,
    )
    settings = Ratchet({}, saved.entries, "m.json").applied(resolve([]), key, tolerance)
    found = with_recorded(Allowance(0, "nothing"), settings.limits.recorded)
    assert judge(retained, found) == "returned"
    assert saved.entries[key].retained_bytes - retained <= MIB // 10
