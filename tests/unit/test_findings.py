"""Who has what a window retained, by readings that are made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_memreturn._books import Span
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._explanation import (
    AllocatorGrowth,
    HeapPicture,
    MappingChange,
    Pin,
    Survivors,
    SurvivorType,
)
from pytest_memreturn._findings import Evidence, Findings, explain, layout_changes
from pytest_memreturn._instruments import Examiner, FullReading, HeapSurvey, Instruments
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment
from pytest_memreturn._release import Releaser
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, MappedRange, Snapshot
from pytest_memreturn.probes._contract import MemoryProbe
from pytest_memreturn.testing import Script, ScriptedProbe


def reading(
    anonymous: int,
    *allocators: AllocatorStatistics,
    outside: Outside = NOTHING_OUTSIDE,
    ranges: Sequence[MappedRange] = (),
) -> FullReading:
    """A full reading of a process with anonymous memory alone."""
    found = Snapshot(
        anonymous,
        anonymous,
        kinds={"anonymous": KindUsage(anonymous, anonymous)},
        ranges=tuple(ranges),
    )
    return FullReading(ScriptedProbe([Script(found)]).capture(), allocators, outside)


def pool(live: int, held: int | None, reserve: int = 0, name: str = "pool") -> AllocatorStatistics:
    """An allocator of anonymous memory."""
    return AllocatorStatistics(name, live, held, reserve_bytes=reserve)


@dataclass
class Looks(Examiner):
    """Finds what it is told to, and notes what it was asked."""

    found: Survivors = field(default_factory=Survivors)
    all_python_bytes: int | None = None
    asked: list[tuple[Snapshot, Snapshot]] = field(default_factory=list)

    def survivors(self, before: Snapshot, after: Snapshot) -> Survivors:
        """What it is told to find."""
        self.asked.append((before, after))
        return self.found

    def python_in_malloc_bytes(self, allocators: Sequence[AllocatorStatistics]) -> int | None:
        """What it is told that all objects hold."""
        del allocators
        return self.all_python_bytes


@dataclass
class Case:
    """A window that retained, with what is known of it."""

    before: FullReading
    at_gate: FullReading
    excluded: Sequence[Span] = ()
    newborn: Survivors = field(default_factory=Survivors)
    released: Mapping[str, int] | None = None
    after_trim: tuple[Mapping[str, int], FullReading] | None = None
    looks: Looks = field(default_factory=Looks)
    filled_up_bytes: int = 0

    def findings(self) -> Findings:
        """What an explanation finds."""
        memory: MemoryProbe = ScriptedProbe([Script(0)])
        instruments = Instruments(
            memory, releaser=Releaser(collect=lambda: None), examiner=self.looks
        )
        evidence = Evidence(
            self.before,
            self.at_gate,
            self.excluded,
            self.newborn,
            self.released,
            self.filled_up_bytes,
        )
        return explain(instruments, evidence, self._read_after_trim)

    def _read_after_trim(self) -> tuple[Mapping[str, int], FullReading]:
        if self.after_trim is None:
            msg = "nobody may ask"
            raise ReadingUnavailableError(msg)
        return self.after_trim


def test_a_trim_after_the_gate_tells_pinned_from_held() -> None:
    """It is asked for only to learn that."""
    found = Case(
        reading(1000, pool(100, 1000)),
        reading(3000, pool(100, 3000)),
        after_trim=({"pool": 1500}, reading(1500, pool(100, 1500))),
    ).findings()
    assert found.causes.bytes_by_cause == {"held-by-pool": 1500, "pinned-pool": 500}
    assert found.explanation.parts == {"pool-free": {"trimmable": 1500, "pinned": 500}}
    assert found.explanation.released == {"pool": 1500}
    assert found.after_trim_bytes == 1500


def test_after_a_trim_at_the_gate_what_is_left_is_pinned() -> None:
    """Nobody is asked twice."""
    found = Case(
        reading(1000, pool(100, 1000)), reading(3000, pool(100, 3000)), released={"pool": 700}
    ).findings()
    assert found.causes.bytes_by_cause == {"pinned-pool": 2000}
    assert found.explanation.released == {"pool": 700}
    assert found.after_trim_bytes == 3000


def test_where_nobody_could_be_asked_nothing_is_pinned() -> None:
    """Free memory was only held, as far as anybody knows."""
    found = Case(reading(1000, pool(100, 1000)), reading(3000, pool(100, 3000))).findings()
    assert found.causes.bytes_by_cause == {"held-by-pool": 2000}
    assert (found.explanation.parts, found.explanation.released) == ({}, {})
    assert found.after_trim_bytes is None


def test_what_an_untold_allocator_released_was_free_in_it() -> None:
    """And what stayed of its growth is live, or nobody's."""
    found = Case(
        reading(1000, pool(0, None)),
        reading(3000, pool(400, None)),
        after_trim=({"pool": 1200}, reading(1800, pool(400, None))),
        looks=Looks(Survivors(in_malloc_bytes=0)),
    ).findings()
    assert found.causes.bytes_by_cause == {
        "held-by-pool": 1200,
        "live-native": 400,
        "mapped": 400,
    }
    assert found.stock.ledger.accounts["pool-free"] == 1200


def threads(arena: int, tops: int) -> FullReading:
    """A reading of a process whose threads hold memory of malloc's, none of it live."""
    malloc = AllocatorStatistics(
        "malloc", 0, live_by_kind={"heap": 0, "arena": 0}, thread_top_bytes=tops
    )
    found = Snapshot(arena, arena, kinds={"arena": KindUsage(10**6, arena)})
    return FullReading(ScriptedProbe([Script(found)]).capture(), (malloc,))


def test_the_tops_of_thread_arenas_are_held_and_not_pinned() -> None:
    """A trim leaves them, though no block is live there."""
    found = Case(
        threads(100, 60), threads(1100, 960), after_trim=({"malloc": 50}, threads(1050, 960))
    ).findings()
    assert found.explanation.parts["malloc-free"] == {
        "main-heap-trimmable": 0,
        "main-heap-pinned": 0,
        "thread-arenas-trimmable": 50,
        "thread-arenas-pinned": 50,
        "thread-arenas-tops": 900,
    }
    assert found.causes.bytes_by_cause == {"held-by-malloc": 950, "pinned-malloc": 50}


def test_tops_that_grew_in_a_span_are_not_the_tests() -> None:
    """What threads of a fixture left free there says nothing of what the test pinned."""
    span = Span(threads(100, 60), threads(600, 560))
    found = Case(
        threads(100, 60),
        threads(1100, 960),
        [span],
        after_trim=({"malloc": 50}, threads(1050, 960)),
    ).findings()
    assert found.causes.bytes_by_cause == {"held-by-malloc": 450, "pinned-malloc": 50}


def test_an_allocator_that_is_new_has_tops_of_its_own() -> None:
    """It had none before it came."""
    came = AllocatorStatistics("pool", 0, 1000, thread_top_bytes=90)
    found = Case(reading(1000), reading(2000, came), released={}).findings()
    assert found.causes.bytes_by_cause == {"pinned-pool": 1000}


def test_what_is_outside_is_told_by_name() -> None:
    """As it is at the gate."""
    outside = Outside((ChildProcess(7, "x", "x -c y", 70),), (Segment("shm", "a", 9, 9, "root"),))
    found = Case(reading(1000), reading(1000, outside=outside)).findings()
    assert found.explanation.children == outside.children
    assert found.explanation.segments == outside.segments
    assert found.causes.bytes_by_cause == {"child-process": 70, "shared-memory": 9}


@pytest.mark.parametrize(
    ("old", "new", "growth"),
    [
        pytest.param(
            AllocatorStatistics("pool", 10, 100, own_mapping_live_bytes=5, arenas=1),
            AllocatorStatistics("pool", 30, 150, own_mapping_live_bytes=45, arenas=4),
            AllocatorGrowth("pool", 60, 50, 3),
            id="grew",
        ),
        pytest.param(
            None,
            AllocatorStatistics("pool", 30, 150, own_mapping_live_bytes=45, arenas=4),
            AllocatorGrowth("pool", 75, 150, 4),
            id="came",
        ),
        pytest.param(
            AllocatorStatistics("pool", 10),
            AllocatorStatistics("pool", 30),
            AllocatorGrowth("pool", 20, None, None),
            id="says no more than what is live",
        ),
        pytest.param(
            AllocatorStatistics("pool", 10),
            AllocatorStatistics("pool", 30, 90, arenas=2),
            AllocatorGrowth("pool", 20, None, None),
            id="said no more before",
        ),
        pytest.param(
            AllocatorStatistics("pool", 10), replace(pool(0, 0), is_silent=True), None, id="silent"
        ),
        pytest.param(
            replace(pool(0, 0), is_silent=True), pool(5, 9), None, id="silent before, as it began"
        ),
        pytest.param(
            None, replace(pool(5, 9), from_start=True), None, id="there from the start, and unasked"
        ),
        pytest.param(AllocatorStatistics("pool", 10), None, None, id="gone"),
    ],
)
def test_what_allocators_say_of_themselves(
    old: AllocatorStatistics | None, new: AllocatorStatistics | None, growth: AllocatorGrowth | None
) -> None:
    """How their own figures grew, whatever of it is resident."""
    found = Case(reading(1, *[old] if old else []), reading(2, *[new] if new else [])).findings()
    assert found.explanation.allocators == ((growth,) if growth else ())


# -- who survived --


def range_of(start: int, end: int) -> MappedRange:
    """Anonymous memory, resident whole."""
    return MappedRange(start, end, "anonymous", end - start)


def test_survivors_are_looked_for_between_the_two_readings() -> None:
    """Those of a fixture that outlives the window are none of it."""
    span = Span(reading(20, ranges=[range_of(10, 30)]), reading(30, ranges=[range_of(10, 40)]))
    case = Case(
        reading(10, ranges=[range_of(10, 20)]),
        reading(90, ranges=[range_of(10, 100)]),
        excluded=[span],
        looks=Looks(Survivors((SurvivorType("list", 1, 40),), in_malloc_bytes=40)),
    )
    found = case.findings()
    [(before, after)] = case.looks.asked
    assert before == replace(case.before.snapshot(), ranges=(range_of(10, 20), range_of(30, 40)))
    assert after == case.at_gate.snapshot()
    assert found.explanation.survivors == (SurvivorType("list", 1, 40),)
    assert found.stock.before == case.before.snapshot()


def hiding(newborn: Survivors, looks: Looks) -> Findings:
    """What is found where 500 bytes grew alive in a pool without a trace in the footprint."""
    python = AllocatorStatistics("python", 5000, 5000)
    return Case(
        reading(9000, pool(100, 4000), python),
        reading(9000, pool(600, 4000), python),
        newborn=newborn,
        looks=looks,
    ).findings()


def names(size: int) -> Survivors:
    """So many bytes of one type, all of them malloc's."""
    return Survivors((SurvivorType(f"of {size}", 1, size),), in_malloc_bytes=size)


@pytest.mark.parametrize(
    ("newborn", "survivors", "all_python", "causes"),
    [
        pytest.param(
            names(300), names(20), 550, {"live-python": 450, "live-native": 50}, id="no one else's"
        ),
        pytest.param(
            names(480), names(20), 550, {"live-python": 480, "live-native": 20}, id="the newborn"
        ),
        pytest.param(
            names(20), names(470), 550, {"live-python": 470, "live-native": 30}, id="by address"
        ),
        pytest.param(
            names(500), names(20), 30, {"live-native": 470, "live-python": 30}, id="not so many"
        ),
        pytest.param(
            names(20),
            names(470),
            30,
            {"live-python": 470, "live-native": 30},
            id="by address, though in a library's buffers",
        ),
        pytest.param(Survivors(), Survivors(), 40, {"live-native": 500}, id="nobody is there"),
        pytest.param(
            names(300), names(20), None, {"live-native": 480, "live-python": 20}, id="not asked"
        ),
    ],
)
def test_whose_it_is_that_hides(
    newborn: Survivors, survivors: Survivors, all_python: int | None, causes: dict[str, int]
) -> None:
    """What could be named, within what is known of all objects; small ones are pymalloc's."""
    found = hiding(newborn, Looks(survivors, all_python))
    assert found.causes.bytes_by_cause == causes


@pytest.mark.parametrize(("newborn", "by_python"), [(480, 480), (20, 20)])
def test_the_newborn_count_where_nothing_seems_to_hide(newborn: int, by_python: int) -> None:
    """What filled old room does not show as that, where other room came free meanwhile."""
    python = AllocatorStatistics("python", 5000, 5000)
    found = Case(
        reading(9000, pool(100, 4000), python),
        reading(9700, pool(600, 4700), python),
        newborn=names(newborn),
        looks=Looks(names(20), 550),
    ).findings()
    assert found.stock.ledger.hidden_bytes == 0
    assert found.causes.bytes_by_cause["live-python"] == by_python


def test_what_a_pool_has_of_malloc_is_counted_once() -> None:
    """Its blocks are among malloc's live bytes already."""
    python = AllocatorStatistics("python", 5000, 5000)
    of_malloc = replace(pool(50, 50, name="arrow"), is_from_malloc=True)
    found = Case(
        reading(9000, pool(100, 4000, name="malloc"), python, of_malloc),
        reading(9000, pool(600, 4000, name="malloc"), python, of_malloc),
        newborn=names(300),
        looks=Looks(names(20), 550),
    ).findings()
    assert found.causes.bytes_by_cause == {"live-python": 450, "live-native": 50}


def test_the_longer_list_of_survivors_is_told() -> None:
    """Newborn objects, or those at new addresses."""
    assert hiding(names(300), Looks(names(20))).explanation.survivors == names(300).types
    assert hiding(names(20), Looks(names(300))).explanation.survivors == names(300).types
    assert hiding(names(20), Looks(names(20))).explanation.survivors == names(20).types


@pytest.mark.parametrize(("filled_up", "held"), [(0, 500), (450, 50), (500, None), (900, None)])
def test_what_huge_pages_filled_up_has_no_cause(filled_up: int, held: int | None) -> None:
    """A leak that is smaller than it is still comes first, though a trim returns more."""
    found = Case(
        reading(1000, pool(100, 1000, name="malloc")),
        reading(1800, pool(400, 1800, name="malloc")),
        after_trim=({"malloc": 500}, reading(1300, pool(400, 1300, name="malloc"))),
        looks=Looks(names(300)),
        filled_up_bytes=filled_up,
    ).findings()
    expected = {"live-python": 300} | ({} if held is None else {"held-by-malloc": held})
    assert found.causes.bytes_by_cause == expected


@pytest.mark.parametrize(("live", "asked"), [(100 + 125, 0), (100 + 126, 1)])
def test_where_nearly_all_is_free_nobody_looks_for_survivors(live: int, asked: int) -> None:
    """A census takes a second, and could name nothing that is listed."""
    case = Case(
        reading(1000, pool(100, 1000)),
        reading(1500, pool(live, 1500)),
        after_trim=({"pool": 500 + 100 - live}, reading(1000 + live - 100, pool(live, 1500))),
        looks=Looks(names(40)),
    )
    found = case.findings()
    assert len(case.looks.asked) == asked
    assert found.causes.first == "held-by-pool"


@pytest.mark.parametrize(
    ("named_bytes", "causes"),
    [
        pytest.param(400, {"unexplained": 600, "live-python": 400}, id="little"),
        pytest.param(600, {"live-python": 600, "unexplained": 400}, id="most"),
    ],
)
def test_what_nobody_had_the_time_to_look_at_is_not_native(
    named_bytes: int, causes: dict[str, int]
) -> None:
    """What has a name is a cause, whoever has the rest."""
    found = Case(
        reading(1000, pool(500, 1000)),
        reading(2000, pool(1500, 2000)),
        released={},
        looks=Looks(dataclasses.replace(names(named_bytes), is_whole=False)),
    ).findings()
    assert found.causes.bytes_by_cause == causes
    assert any("are partial" in one for one in found.explanation.incomplete)


def test_the_newborn_make_no_census_whole() -> None:
    """They may be more than it has come upon, and tell nothing of what it has not."""
    found = Case(
        reading(1000, pool(500, 1000)),
        reading(2000, pool(1500, 2000)),
        released={},
        newborn=names(90),
        looks=Looks(dataclasses.replace(names(40), is_whole=False), all_python_bytes=600),
    ).findings()
    assert found.causes.bytes_by_cause == {"unexplained": 900, "live-python": 100}
    assert [one.type for one in found.explanation.survivors] == ["of 90"]
    assert any("are partial" in one for one in found.explanation.incomplete)


def test_where_all_shows_nobody_counts_all_objects() -> None:
    """That takes its time, and addresses tell whose it is."""
    looks = Looks(names(40), all_python_bytes=10**6)
    found = Case(
        reading(1000, pool(100, 1000)), reading(1500, pool(600, 1500)), looks=looks
    ).findings()
    assert found.causes.bytes_by_cause == {"live-native": 460, "live-python": 40}


# -- looking into heaps --


SURVEY = HeapSurvey(HeapPicture(proven=True), "seen")


class Surveys(Looks):
    """Looks into heaps, and says what it was asked."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.questions: list[object] = []

    def survey_heaps(self, now: Snapshot) -> HeapSurvey:
        """What was seen."""
        self.questions.append(now.footprint_bytes)
        if self.fails:
            raise OSError
        return SURVEY

    def pins(self, survey: HeapSurvey, causes: Collection[str]) -> tuple[Pin, ...]:
        """One of them."""
        self.questions.append((survey, list(causes)))
        if self.fails:
            raise OSError
        return (Pin("dict", 1, 2, "main heap", 3, 4),)


def test_heaps_are_looked_into_before_a_trim() -> None:
    """And what pins is looked for when the causes are known."""
    looks = Surveys()
    found = Case(
        reading(1000, pool(1000, 1000)),
        reading(2000, pool(1100, 2000)),
        after_trim=({"pool": 100}, reading(1900, pool(1100, 1900))),
        looks=looks,
    ).findings()
    assert looks.questions == [2000, (SURVEY, list(found.causes.listed))]
    assert found.explanation.heap is SURVEY.picture
    assert found.explanation.pins == (Pin("dict", 1, 2, "main heap", 3, 4),)


def test_heaps_that_cannot_be_looked_into_are_left_out() -> None:
    """The rest is as it was."""
    found = Case(
        reading(1000, pool(1000, 1000)),
        reading(2000, pool(2000, 2000)),
        after_trim=({}, reading(2000, pool(2000, 2000))),
        looks=Surveys(fails=True),
    ).findings()
    assert (found.explanation.heap, found.explanation.pins) == (None, ())
    assert found.stock.ledger.growth_bytes == 1000


@pytest.mark.parametrize(
    ("after", "is_asked"),
    [
        pytest.param(reading(2000, pool(1000, 1000)), False, id="all of it mapped"),
        pytest.param(reading(2000, pool(1090, 1090)), False, id="less than a tenth"),
        pytest.param(reading(2000, pool(1100, 1100)), True, id="a tenth"),
        pytest.param(reading(2000, pool(1000, 1100)), True, id="free as well"),
        pytest.param(reading(1000, pool(1400, 1400)), True, id="hidden"),
    ],
)
def test_heaps_are_looked_into_where_they_have_a_part_in_it(
    after: FullReading, *, is_asked: bool
) -> None:
    """A second is dear where it tells nothing."""
    looks = Surveys()
    before = reading(1000, pool(1000, 1400 if after.footprint_bytes() == 1000 else 1000))
    Case(before, after, after_trim=({}, after), looks=looks).findings()
    assert bool([one for one in looks.questions if isinstance(one, int)]) == is_asked


def test_how_the_layout_changed_is_told_by_kind() -> None:
    """What grew most first; ranges are counted where there are any, and empty kinds left out."""
    before = Snapshot(
        30,
        30,
        kinds={
            "stack": KindUsage(9, 5),
            "heap": KindUsage(20, 20),
            "file": KindUsage(50, 0),
            "arena": KindUsage(5, 5),
        },
        ranges=(MappedRange(0, 20, "heap", 20), MappedRange(40, 49, "stack", 5)),
    )
    after = Snapshot(
        100,
        100,
        kinds={
            "heap": KindUsage(60, 60),
            "stack": KindUsage(9, 4),
            "anonymous": KindUsage(70, 36),
            "file": KindUsage(50, 0),
        },
        ranges=(MappedRange(0, 10, "heap", 10), MappedRange(20, 70, "heap", 50)),
    )
    assert layout_changes(before, after) == (
        MappingChange("heap", 20, 60, 1, 2),
        MappingChange("anonymous", 0, 36, 0, 0),
        MappingChange("stack", 5, 4, 1, 0),
        MappingChange("arena", 5, 0, 0, 0),
    )
    assert layout_changes(Snapshot(1, 1), Snapshot(1, 1)) == ()


def test_the_layout_of_a_window_is_told_where_no_addresses_are() -> None:
    """The numbers of ranges are not known then."""
    found = Case(reading(1000), reading(3000)).findings()
    assert found.explanation.layout == (MappingChange("anonymous", 1000, 3000, None, None),)
