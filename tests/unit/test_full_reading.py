"""Full readings: layout, allocators and what is outside, put together."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memreturn._instruments import FullReading, Instruments
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside
from pytest_memreturn._snapshot import AllocatorStatistics, Snapshot
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.probes._contract import AccountProbe
from pytest_memreturn.testing import Script, ScriptedProbe


class Says(Allocator):
    """An allocator that says one thing, or nothing."""

    def __init__(self, name: str, live_bytes: int | None) -> None:
        self.name = name
        self._live_bytes = live_bytes

    def statistics(self) -> AllocatorStatistics | None:
        """What it says, if it is in use."""
        if self._live_bytes is None:
            return None
        return AllocatorStatistics(self.name, self._live_bytes, self._live_bytes)


def instruments(played: Snapshot, allocators: Sequence[Allocator] = ()) -> Instruments:
    """Instruments that read this, with these allocators in the process."""
    memory = ScriptedProbe([Script(played)])
    memory.open_peak()
    return Instruments(memory, tuple(allocators))


def test_it_holds_every_allocator_that_is_in_use() -> None:
    """Those that have nothing to say are left out."""
    allocators = [Says("one", 5), Says("absent", None), Says("two", 0)]
    found = instruments(Snapshot(10, 10), allocators).full_reading().snapshot()
    assert [one.name for one in found.allocators] == ["one", "two"]


def test_those_the_probe_knew_itself_come_first() -> None:
    """A probe from elsewhere may tell of allocators, too."""

    class Capture:
        def lazy_free_bytes(self) -> int:
            return 0

        def footprint_bytes(self) -> int:
            return 10

        def snapshot(self) -> Snapshot:
            return Snapshot(10, 10, allocators=(AllocatorStatistics("known", 1),))

    found = FullReading(Capture(), (AllocatorStatistics("one", 5),)).snapshot()
    assert [one.name for one in found.allocators] == ["known", "one"]


def test_with_nothing_to_add_it_is_what_the_probe_read() -> None:
    """The same snapshot."""
    found = instruments(Snapshot(10, 11), [Says("absent", None)]).full_reading()
    assert found.snapshot() == Snapshot(10, 11)
    assert found.footprint_bytes() == 10


def test_what_is_outside_belongs_to_its_footprint() -> None:
    """The RSS is the process's own."""
    outside = Outside((ChildProcess(7, "x", "x -c y", 30),))
    found = instruments(Snapshot(10, 11)).full_reading(outside)
    assert found.footprint_bytes() == 40
    assert found.snapshot() == Snapshot(40, 11, outside=outside)


def test_by_default_nothing_is_outside() -> None:
    """Somebody has to look for it."""
    found = instruments(Snapshot(10, 11))
    assert found.outside_since(found.begin_outside(), peak_growth_bytes=5) is NOTHING_OUTSIDE


def test_accounts_of_other_probes_grow_from_where_they_were() -> None:
    """Those that count are part of the footprint, the others are shown."""

    class Pool(AccountProbe):
        def __init__(self, account: str, *, counted: bool, sizes: Sequence[int]) -> None:
            self.account, self.counted = account, counted
            self._sizes = iter(sizes)

        def read_bytes(self) -> int:
            return next(self._sizes)

    memory = ScriptedProbe([Script(10)])
    found = Instruments(
        memory,
        account_probes=(
            Pool("device", counted=True, sizes=[100, 130, 90]),
            Pool("server", counted=False, sizes=[5, 8, 5]),
        ),
    )
    baseline = found.begin_outside()
    first = found.outside_since(baseline, peak_growth_bytes=0)
    assert (first.accounts, first.shown) == ({"device": 30}, {"server": 3})
    assert first.footprint_bytes == 30
    second = found.outside_since(baseline, peak_growth_bytes=0)
    assert (second.accounts, second.shown) == ({"device": -10}, {"server": 0})


def test_only_allocators_that_serve_unheard_have_a_reason() -> None:
    """An allocator that just is not there needs none."""

    class Unheard(Says):
        def why_unavailable(self) -> str | None:
            return "no symbols"

    found = instruments(Snapshot(1, 1), [Says("one", 5), Unheard("two", None)])
    assert found.unavailable() == {"two": "no symbols"}
