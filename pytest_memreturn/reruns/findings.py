"""What re-runs of a test that retained tell, put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pytest_memreturn._accounts import LIVE
from pytest_memreturn._explanation import Explanation, Remedy
from pytest_memreturn._sizes import KIB, format_size
from pytest_memreturn.reruns._contract import Answer, Task
from pytest_memreturn.reruns.remedies import Attempt, best_first

if TYPE_CHECKING:
    from pytest_memreturn._record import Record

Run: TypeAlias = Callable[[Task], Answer]
Progress: TypeAlias = Callable[[str, int, int], None]

# A second call that keeps this much, or this share of what the first one kept, is noise: empty
# tests drift by up to 16 KiB, and interned strings and the like come on top.
_NOISE_BYTES = 256 * KIB
_NOISE_SHARE = 1 / 50

# What lives in these accounts is there to be used, and not just free memory that is used again.
_LIVING = ("mapped", "stacks", "swapped", "shared-memory", "children")


def explained_by_reruns(
    record: Record, attempts: Sequence[Attempt], run: Run, progress: Progress
) -> Record:
    """The record with what re-runs tell in its explanation, and what kept them from telling."""
    return dataclasses.replace(record, explanation=_explain(record, attempts, run, progress))


def incomplete(record: Record, reason: str) -> Record:
    """The record with one more reason why re-runs did not tell everything."""
    found = record.explanation or Explanation()
    told = dataclasses.replace(found, incomplete=(*found.incomplete, reason))
    return dataclasses.replace(record, explanation=told)


def _explain(
    record: Record, attempts: Sequence[Attempt], run: Run, progress: Progress
) -> Explanation:
    found = record.explanation or Explanation()
    total = 3 + len(attempts)
    progress("the test alone, twice", 1, total)
    alone = run(Task("twice"))
    reason = alone.reason()
    if reason is not None:
        return dataclasses.replace(found, incomplete=(*found.incomplete, f"run alone: {reason}"))
    reference = alone.records[0]
    retained = reference.retained_bytes or 0
    if reference.verdict == "returned":
        reason = (
            f"alone it returns its memory (it keeps {format_size(retained)}): "
            "what earlier tests leave behind makes the difference"
        )
        return dataclasses.replace(found, incomplete=(*found.incomplete, reason))
    incomplete = list(found.incomplete)
    one_time, reason = is_one_time(alone)
    incomplete += [f"run twice: {reason}"] if reason else []
    progress("lines", 2, total)
    traced = run(Task("lines"))
    incomplete += _problems("lines", traced)
    progress("timeline", 3, total)
    sampled = run(Task("timeline"))
    incomplete += _problems("timeline", sampled)
    remedies = [collected(reference)]
    for number, attempt in enumerate(attempts, 4):
        progress(attempt.name, number, total)
        remedies.append(_tried(attempt, run(attempt.task), retained))
    return dataclasses.replace(
        found,
        one_time=one_time,
        lines=traced.lines,
        remedies=best_first(remedies, retained),
        timeline=sampled.timeline,
        incomplete=tuple(incomplete),
    )


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
