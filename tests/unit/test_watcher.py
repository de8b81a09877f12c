"""Judging other processes by readings that are played."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_memreturn._errors import ReadingUnavailableError, UnreleasableError
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._settings import Recorded, Settings
from pytest_memreturn._sizes import MIB
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, Snapshot
from pytest_memreturn._watch import watch_settings
from pytest_memreturn._watcher import Watcher, World
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.remote.sender import Released

ROOT = ProcessKey(1, 1)


def tree(*sizes: int) -> tuple[ProcessReading, ...]:
    """Processes 1, 2 and so on with so many MiB in mappings each; 0 is no process."""
    return tuple(
        ProcessReading(
            ProcessKey(number, 1),
            "python",
            f"serve {number}",
            Snapshot(
                size * MIB,
                size * MIB,
                kinds={"anonymous": KindUsage(size * MIB, size * MIB), "heap": KindUsage(0, 0)},
            ),
        )
        for number, size in enumerate(sizes, 1)
        if size
    )


@dataclass
class Trees:
    """Plays readings: the first one is the baseline; the last one stays."""

    readings: list[tuple[ProcessReading, ...]]
    motions: int = 0

    def identify(self, pid: int) -> ProcessKey:
        """Whoever has it."""
        return ProcessKey(pid, 1)

    def read(
        self, root: ProcessKey, known: Iterable[ProcessKey] = (), *, layout: bool = False
    ) -> tuple[ProcessReading, ...]:
        """The next reading."""
        del root, known, layout
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def motion(self, tree: Iterable[ProcessKey]) -> Motion:
        """Nothing moves."""
        self.motions += len(list(tree))
        return Motion()


@dataclass
class Releaser:
    """Plays what comes of asking, and remembers who was asked."""

    answers: list[Released]
    asked: list[Mapping[int, str]] = field(default_factory=list)

    def release(self, commands: Mapping[int, str]) -> Released:
        """The next answer."""
        self.asked.append(commands)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def settings(max_retained: str = "10 MiB", *, release: bool = False, settle: int = 0) -> Settings:
    """How the tree is judged."""
    return watch_settings("test", max_retained, settle, release=release)


def watched(
    readings: Sequence[tuple[ProcessReading, ...]],
    chosen: Settings,
    answers: Sequence[Released] = (Released(),),
) -> Watcher:
    """A watcher that has opened."""
    clock = iter(range(10_000))
    world = World(
        Trees(list(readings)),
        Releaser(list(answers)),
        clock=lambda: float(next(clock)),
        sleep=lambda _: None,
    )
    watcher = Watcher(world, chosen, ROOT, release=chosen.gate.value == "trim")
    watcher.open()
    return watcher


def test_a_tree_that_returns() -> None:
    """Within the allowance all together, whichever of them grew."""
    measured, processes = watched([tree(50, 20), tree(52, 27)], settings()).close()
    assert (measured.outcome, measured.gate) == ("returned", "end")
    assert measured.retained_bytes == 9 * MIB
    assert [(one.pid, one.grown_bytes // MIB) for one in processes] == [(2, 7), (1, 2)]
    assert measured.causes is None
    assert measured.ledger is not None
    assert measured.ledger.to_dict()["mapped"] == 9 * MIB


def test_a_tree_that_retains() -> None:
    """The cause is what a layout can tell."""
    measured, _ = watched([tree(50, 20), tree(50, 40)], settings()).close()
    assert measured.outcome == "retained"
    assert measured.causes is not None
    assert measured.causes.first == "mapped"
    assert measured.explanation is not None
    assert [one.kind for one in measured.explanation.layout] == ["anonymous"]
    assert measured.readings == {"baseline": 70 * MIB, "end": 90 * MIB}


def test_a_worker_that_is_replaced() -> None:
    """What one gave back by its end, another may take."""
    measured, processes = watched([tree(50, 20), tree(50, 0, 21)], settings("2 MiB")).close()
    assert measured.retained_bytes == MIB
    assert {one.pid: (one.before_bytes, one.after_bytes) for one in processes} == {
        1: (50 * MIB, 50 * MIB),
        2: (20 * MIB, None),
        3: (None, 21 * MIB),
    }


def test_what_is_on_its_way_back_is_waited_for() -> None:
    """Readings go on while the footprint falls; the last one counts."""
    readings = [tree(50), tree(90), *([tree(80)] * 2), *([tree(70)] * 2), tree(52)]
    measured, _ = watched(readings, settings(settle=5)).close()
    assert measured.outcome == "returned"
    assert measured.retained_bytes == 2 * MIB
    assert measured.settled_seconds > 0


def test_what_was_recorded_may_stay() -> None:
    """As for any other window."""
    chosen = settings()
    limits = replace(chosen.limits, recorded=Recorded(30 * MIB, MIB, "m.json"))
    measured, _ = watched([tree(50), tree(80)], replace(chosen, limits=limits)).close()
    assert measured.outcome == "returned"
    assert measured.allowance.recorded_bytes == 30 * MIB


def statistics(live: int) -> tuple[AllocatorStatistics, ...]:
    """What a process says that has so many MiB of small objects."""
    return (AllocatorStatistics("python", live * MIB, live * MIB, from_start=True),)


def said(**live: int) -> Released:
    """Each process p1, p2 ... has said so."""
    return Released({int(name[1:]): statistics(size) for name, size in live.items()})


def test_a_release() -> None:
    """It comes before both readings, and the ledger tells live from free."""
    readings = [tree(60), tree(50), tree(90), tree(90), tree(70), tree(70)]
    watcher = watched(readings, settings(release=True), [said(p1=10), said(p1=22)])
    measured, _ = watcher.close()
    assert measured.gate == "trim"
    assert measured.readings == {"baseline": 50 * MIB, "end": 90 * MIB, "trim": 70 * MIB}
    assert measured.ledger is not None
    assert measured.ledger.accounts["python-live"] == 12 * MIB
    assert measured.causes is not None
    assert measured.causes.first == "live-python"


def test_what_comes_free_while_one_waits_is_asked_for() -> None:
    """Once more, where it did not go by itself."""
    chosen = settings(release=True, settle=5)
    watcher = watched([tree(50), tree(50), tree(90)], chosen, [said(p1=1)])
    releaser = watcher._world.releaser
    assert isinstance(releaser, Releaser)
    measured, _ = watcher.close()
    assert measured.outcome == "retained"
    assert releaser.asked == [{1: "serve 1"}] * 3


def test_a_root_that_refuses_is_an_error() -> None:
    """With what is needed."""
    refusal = Released(reasons={1: "needs 3.14"}, refused={1})
    with pytest.raises(UnreleasableError, match=r"needs 3\.14"):
        watched([tree(50)], settings(release=True), [refusal])


def test_a_descendant_that_refuses_is_judged_as_it_is() -> None:
    """It is a program of another kind."""
    answer = Released({1: statistics(1)}, {2: "no Python"}, {2})
    readings = [tree(50, 20), tree(50, 20), tree(50, 40)]
    measured, processes = watched(readings, settings(release=True), [answer]).close()
    assert measured.outcome == "retained"
    assert processes[0].not_released == "no Python"


SILENT = Released({1: statistics(1)}, {2: "process 2 sleeps"})
ANSWERED = Released({1: statistics(1), 2: statistics(1)})
REFUSED = Released({1: statistics(1)}, {2: "process 2 is no Python"}, {2})


@pytest.mark.parametrize(
    ("before", "after", "answers", "outcome"),
    [
        # Too much only because of a process that may hold what is free.
        ((50, 20), (50, 40), [ANSWERED, SILENT], None),
        ((50, 20), (50, 40), [SILENT, SILENT], None),
        # Too much without it, or little enough with it.
        ((50, 20), (70, 40), [ANSWERED, SILENT], "retained"),
        ((50, 20), (52, 22), [ANSWERED, SILENT], "returned"),
        # What one gave back that was not asked before may hide what the other kept.
        ((50, 40), (70, 20), [SILENT, ANSWERED], None),
        ((50, 40), (52, 20), [SILENT, ANSWERED], "returned"),
        # What was free before, and was not given back, may be in use now.
        ((50, 60), (50, 60), [SILENT, said(p1=1, p2=50)], None),
        ((50, 60), (50, 60), [SILENT, said(p1=1, p2=5)], "returned"),
        ((50, 5), (50, 5), [SILENT, said(p1=1, p2=50)], "returned"),
        ((50, 60), (50, 60), [REFUSED, said(p1=1, p2=50)], None),
        # What it grew by is live, since it gave back the rest.
        ((50, 20), (50, 40), [SILENT, ANSWERED], "retained"),
        # What it kept may be free: it gave that back before, and refuses now.
        ((50, 20), (50, 40), [ANSWERED, REFUSED], None),
        ((50, 20), (50, 40), [REFUSED, REFUSED], "retained"),
        # It came with the window: nothing was hidden in it.
        ((50,), (50, 5), [said(p1=1), said(p1=1, p2=50)], "returned"),
    ],
)
def test_a_verdict_never_hangs_on_a_silent_process(
    before: tuple[int, ...],
    after: tuple[int, ...],
    answers: list[Released],
    outcome: str | None,
) -> None:
    """It is taken where it is the same whatever that process has."""
    readings = [tree(*before), tree(*before), tree(*after)]
    watcher = watched(readings, settings(release=True), answers)
    if outcome is None:
        with pytest.raises(ReadingUnavailableError, match="process 2 "):
            watcher.close()
    else:
        assert watcher.close()[0].outcome == outcome
