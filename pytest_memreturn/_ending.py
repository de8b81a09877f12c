"""How a run ends: what stopped it early, and the tests that had begun by then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from pytest_memreturn._record import Due, Record
from pytest_memreturn.report.printable import on_one_line
from pytest_memreturn.report.run import Partial

_INTERRUPTED = "keyboard-interrupt"  # what pytest-xdist says of a worker that was
_DIED = "died"


class Ending:
    """Follows the tests of a run, as far as whoever reports is told of them.

    A node id alone does not tell a test: several workers may run the same one. `of_all` is for
    where every test is judged unless it says otherwise.
    """

    def __init__(self, of_all: Due | None = None) -> None:
        self._running: Counter[str] = Counter()
        self._begun = 0
        self._crashed: set[str] = set()
        self._of_all = of_all
        self._last_heard_of: dict[str | None, str] = {}
        self._owed: dict[tuple[str | None, str], Due] = {}
        # Each once, in their order; of workers, what became of which.
        self._reasons: dict[str, None] = {}
        self._lost: dict[str, str] = {}
        self._limit = ""

    def test_begins(self, nodeid: str) -> None:
        """A test is run now."""
        # Some schedulers give the test that a worker died in to the next one.
        self._begun += nodeid not in self._crashed
        self._running[nodeid] += 1

    def test_ends(self, nodeid: str) -> None:
        """It has been run."""
        self._running[nodeid] -= 1
        if self._running[nodeid] <= 0:
            del self._running[nodeid]

    def verdict_is_due(self, due: Due, worker: str | None) -> None:
        """Something is to be judged: a test, or what it is the first one of."""
        self._owed[worker, due.nodeid] = due

    def heard_of(self, nodeid: str, worker: str | None) -> None:
        """The test has been set up, and its body has begun."""
        self._last_heard_of[worker] = nodeid

    def verdict_came(self, nodeid: str, worker: str | None) -> None:
        """There is a verdict, or there will be none."""
        self._owed.pop((worker, nodeid), None)

    def test_crashed(self, nodeid: str, worker: str, *, runs_again: bool) -> Record | None:
        """A worker died in the test: a record in the place of its verdict, if one was due."""
        due = self._owed.pop((worker, nodeid), None)
        if due is None and self._last_heard_of.get(worker) != nodeid:
            # It died in the set-up; or a plugin that repeats tests holds their reports back.
            due = self._of_all
        self._crashed.add(nodeid)
        if runs_again:
            self.test_ends(nodeid)
            return None
        if due is None:
            return None
        reason = self._while_it_ran(worker, self._lost.get(worker, _DIED))
        record = _unjudged(due, worker, reason)
        return replace(record, nodeid=nodeid, own_outcome="failed")

    def stopped(self, reason: object) -> None:
        """Something kept the run from its end."""
        self._reasons[on_one_line(str(reason))] = None

    def limit_reached(self, reason: object) -> None:
        """The run was to end there, as by ``-x``: nothing is missing where no test was left."""
        self._limit = on_one_line(str(reason))

    def interrupted(self, error: BaseException) -> None:
        """Ctrl-C, `pytest.exit` or a limit has ended the run."""
        # pytest and pytest-xdist each have a class of this name for what they tell themselves.
        if type(error).__name__ != "Interrupted":
            self.stopped(_first_line(error))
        elif not str(error).endswith(_INTERRUPTED):  # or it is known already
            # Before the first test it was no limit, but an error of the collection.
            (self.limit_reached if self._begun else self.stopped)(error)

    def failed(self, error: BaseException) -> None:
        """Pytest itself has ended the run, or a worker's."""
        self.stopped(f"internal error: {_first_line(error)}")

    def worker_lost(self, worker: str, error: object) -> None:
        """A worker has gone before its end."""
        self._lost[worker] = "was interrupted" if error == _INTERRUPTED else _DIED

    def early_end(self, collected: int | None) -> Partial | None:
        """What is missing of a run of so many tests (``None``: nobody knows), if it ended early."""
        not_begun = 0 if collected is None else collected - self._begun
        if self._limit and (not_begun > 0 or collected is None or self._running):
            self.stopped(self._limit)
        reason = self._why()
        if not reason and not self._running:
            return None
        reason = reason or "the run ended while tests ran"
        if not_begun > 0:
            reason += f"; {not_begun} of {collected} tests were not reached"
        return Partial(reason, tuple(sorted(self._running)))

    def still_owed(self) -> Iterator[Record]:
        """A record for each verdict that was due when the run, or the worker, ended."""
        reason = "the run ended while it ran"
        if why := self._why() or self._limit:
            reason += f": {why}"
        for (worker, _), due in self._owed.items():
            fate = self._lost.get(worker or "")
            yield _unjudged(due, worker, self._while_it_ran(worker, fate) if fate else reason)
        self._owed.clear()

    @staticmethod
    def _while_it_ran(worker: str | None, fate: str) -> str:
        return f"worker {worker} {fate} while it ran"

    def _why(self) -> str:
        fates: dict[str, list[str]] = {}
        for worker, fate in self._lost.items():
            fates.setdefault(fate, []).append(worker)
        lost = (
            f"worker{'s' if len(workers) > 1 else ''} {', '.join(workers)} {fate}"
            for fate, workers in fates.items()
        )
        return "; ".join([*lost, *self._reasons])


def _unjudged(due: Due, worker: str | None, reason: str) -> Record:
    return Record(due.nodeid, "unjudged", due.gate, window=due.window, worker=worker, reason=reason)


def _first_line(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
