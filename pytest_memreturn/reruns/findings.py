"""What re-runs of a test that retained tell, put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_memreturn._accounts import LIVE
from pytest_memreturn._explanation import Explanation, Line, Remedy
from pytest_memreturn._sizes import KIB, format_size
from pytest_memreturn.reruns._contract import Answer, Task
from pytest_memreturn.reruns.lines import with_native
from pytest_memreturn.reruns.remedies import Attempt, best_first

if TYPE_CHECKING:
    from pytest_memreturn._record import Record

Run: TypeAlias = Callable[[Task], Answer]
Progress: TypeAlias = Callable[[str], object]

# A second call that keeps this much, or this share of what the first one kept, is noise: empty
# tests drift by up to 16 KiB, and interned strings and the like come on top.
_NOISE_BYTES = 256 * KIB
_NOISE_SHARE = 1 / 50

# By more than that the same test alone is another case: malloc's holes differ by a few percent.
_DIFFERS_SHARE = 1 / 5

# What lives in these accounts is there to be used, and not just free memory that is used again.
_LIVING = ("mapped", "stacks", "swapped", "shared-memory", "children")


def explained_by_reruns(
    record: Record,
    attempts: Sequence[Attempt],
    run: Run,
    progress: Progress,
    *,
    traces_native: bool = False,
) -> Record:
    """The record with what re-runs tell in its explanation, and what kept them from telling.

    `traces_native`: whether a tracer of native code is there.
    """
    plan = _Plan(attempts, run, progress, traces_native)
    return dataclasses.replace(record, explanation=plan.explain(record))


@dataclass(slots=True)
class _Plan:
    """Re-runs in their order; each is told of before it begins."""

    attempts: Sequence[Attempt]
    run: Run
    progress: Progress
    traces_native: bool
    step: int = 0
    total: int = 0

    def rerun(self, what: str, task: Task) -> Answer:
        """The next re-run."""
        self.step += 1
        self.progress(f"re-runs it: {what} ({self.step} of {self.total})")
        return self.run(task)

    def explain(self, record: Record) -> Explanation:
        """What is known of the record, and what all of them tell."""
        found = record.explanation or Explanation()
        if record.rounds is not None and record.rounds.keeps_alive:
            # Rounds have told growth from what only the first call keeps, and no remedy gives back
            # what is alive. All of them took 60 to 100 s, and told nothing.
            self.total = 1 + self.traces_native
            lines, problems = self._lines(is_native=record.cause == "live-native")
            return dataclasses.replace(
                found, lines=lines, incomplete=(*found.incomplete, *problems)
            )
        self.total = 3 + self.traces_native + len(self.attempts)
        alone = self.rerun("alone, twice", Task("twice"))
        reason = alone.reason()
        reason = _returned_alone(alone) if reason is None else f"run alone: {reason}"
        if reason is not None:
            return dataclasses.replace(found, incomplete=(*found.incomplete, reason))
        retained = alone.records[0].retained_bytes or 0
        one_time, reason = is_one_time(alone)
        missing = [f"run twice: {reason}"] if reason else []
        missing += _differs_alone(record, retained)
        lines, problems = self._lines(is_native="live-native" in (record.causes or {}))
        sampled = self.rerun("footprint over time", Task("timeline"))
        missing += [*problems, *_problems("timeline", sampled)]
        remedies = [
            collected(alone.records[0]),
            *(_tried(one, self.rerun(one.name, one.task), retained) for one in self.attempts),
        ]
        return dataclasses.replace(
            found,
            one_time=one_time,
            lines=lines,
            remedies=best_first(remedies, retained),
            timeline=sampled.timeline,
            incomplete=(*found.incomplete, *missing),
        )

    def _lines(self, *, is_native: bool) -> tuple[tuple[Line, ...], list[str]]:
        traced = self.rerun("lines", Task("lines"))
        problems = _problems("lines", traced)
        if not self.traces_native:
            if is_native:
                problems.append("native lines: memray is not installed (the extra `memray`)")
            return traced.lines, problems
        native = self.rerun("native lines", Task("native"))
        problems += _problems("native lines", native)
        return with_native(traced.lines, native.lines), problems


def _returned_alone(alone: Answer) -> str | None:
    """That there is nothing to explain, where a test returns its memory when it is alone."""
    first = alone.records[0]
    if first.verdict != "returned":
        return None
    kept = format_size(first.retained_bytes or 0)
    return (
        f"alone it returns its memory (it keeps {kept}): "
        "what earlier tests leave behind makes the difference, and isolate=True keeps it out"
    )


def _differs_alone(record: Record, alone_bytes: int) -> list[str]:
    """That remedies have less, or more, to return than the message says was kept."""
    kept = record.retained_bytes or 0
    if abs(alone_bytes - kept) <= max(_NOISE_BYTES, kept * _DIFFERS_SHARE):
        return []
    return [
        (
            f"alone it keeps {format_size(alone_bytes)}, not {format_size(kept)}: "
            "what re-runs tell is about that"
        )
    ]


def incomplete(record: Record, reason: str) -> Record:
    """The record with one more reason why re-runs did not tell everything."""
    found = record.explanation or Explanation()
    told = dataclasses.replace(found, incomplete=(*found.incomplete, reason))
    return dataclasses.replace(record, explanation=told)


def _problems(what: str, answer: Answer) -> list[str]:
    reason = answer.reason()
    return [] if reason is None else [f"{what}: {reason}"]


def _tried(attempt: Attempt, answer: Answer, reference_bytes: int) -> Remedy:
    reason = answer.reason()
    if reason is not None:
        return Remedy(attempt.name, attempt.how, None, None, reason)
    retained = answer.records[0].retained_bytes or 0
    return Remedy(attempt.name, attempt.how, retained, reference_bytes - retained)


def collected(reference: Record) -> Remedy:
    """What the rung `collect` told: no run of its own is needed for that."""
    readings = reference.readings or {}
    end, collect = readings.get("end") or 0, readings.get("collect")
    retained = reference.retained_bytes or 0
    # Where the gate lies above it, less was retained than a collection alone leaves.
    above = (collect or 0) - (readings.get(reference.gate) or 0) if collect else 0
    returns = end - collect if collect else 0
    return Remedy("gc.collect()", "call it when such work is done", retained + above, returns)


def is_one_time(alone: Answer) -> tuple[bool | None, str | None]:
    """Whether only the first of two calls keeps memory; else why nobody knows.

    Free memory that a second call uses again looks like it, and so does what a second call puts
    into holes of the first: the first one's must be alive, and what is alive must not grow.
    """
    if len(alone.records) < 2 or len(alone.live_bytes) < 2:  # noqa: PLR2004 - two calls
        return None, alone.ended or "the second call was not judged"
    first, second = alone.records[:2]
    if second.verdict == "unjudged":
        return None, second.reason
    if second.rounds is not None and second.rounds.exceeds:
        return False, None  # by so little in each round that it would be noise of a whole window
    kept = first.retained_bytes or 0
    noise = max(_NOISE_BYTES, int(kept * _NOISE_SHARE))
    live_growth = alone.live_bytes[1] - alone.live_bytes[0]
    if (second.retained_bytes or 0) > noise or live_growth > noise:
        return False, None
    living = sum(
        size
        for account, size in (first.ledger or {}).items()
        if account.endswith(LIVE) or account in _LIVING
    )
    return (True if 2 * living > kept else None), None
