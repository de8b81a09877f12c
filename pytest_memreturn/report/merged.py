"""Several reports made into one: shards of a suite, or runs of several machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_memreturn.report.environments import (
    all_environments,
    differences,
    joined_environments,
    one_environment,
)
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.same_test import Key, badness, key_of
from pytest_memreturn.report.tally import Tally

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.report.environments import Environment

Duplicates: TypeAlias = Literal["error", "first", "last", "worst"]
DUPLICATES: tuple[Duplicates, ...] = ("error", "first", "last", "worst")

# Of reports that have every test in common, nobody reads the whole list.
_MOST_NAMED = 10
_BETWEEN_REASONS = "; "


class MergeRefusedError(ValueError):
    """Reports that do not belong into one; each line of the text says what stands against it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A run, and what to call it: the file that it was read from."""

    name: str
    run: Run


def merged(
    reports: Sequence[Named],
    *,
    duplicates: Duplicates = "error",
    allow_different_environments: bool = False,
) -> Run:
    """One run with the records of all, by node id; raises `MergeRefusedError`.

    What is in one report only stays as it is there, several records of one test included. Where
    several reports have records of the same test and window, those of one report are taken.
    It makes no difference which reports are merged first.
    """
    if not allow_different_environments:
        _refuse_different(reports)
    groups = [_by_key(one.run.records) for one in reports]
    if duplicates == "error":
        _refuse_duplicates(reports, groups)
    records = [
        record
        for number, group in enumerate(groups)
        for key, found in group.items()
        if _chosen(key, groups, duplicates) == number
        for record in found
    ]
    # By code point, and stable: several records of one test stay in their order.
    records.sort(key=lambda one: one.nodeid)
    environments = [
        environment for one in reports for environment in all_environments(one.run.environment)
    ]
    return Run(
        tuple(records),
        Tally.of(records),
        one_environment(joined_environments(environments)),
        _joined_partial([one.run.partial for one in reports if one.run.partial is not None]),
    )


def _by_key(records: Iterable[Record]) -> dict[Key, list[Record]]:
    found: dict[Key, list[Record]] = {}
    for one in records:
        found.setdefault(key_of(one), []).append(one)
    return found


def _chosen(key: Key, groups: Sequence[Mapping[Key, list[Record]]], duplicates: Duplicates) -> int:
    """The number of the report whose records of this test and window are taken."""
    holders = [number for number, group in enumerate(groups) if key in group]
    if duplicates == "worst":
        return max(holders, key=lambda number: max(map(badness, groups[number][key])))
    return holders[-1 if duplicates == "last" else 0]


def _refuse_duplicates(
    reports: Sequence[Named], groups: Sequence[Mapping[Key, list[Record]]]
) -> None:
    holders: dict[Key, list[str]] = {}
    for report, group in zip(reports, groups, strict=True):
        for key in group:
            holders.setdefault(key, []).append(report.name)
    several = {key: names for key, names in holders.items() if len(names) > 1}
    if not several:
        return
    count = f"{len(several)} test{'s are' if len(several) > 1 else ' is'}"
    lines = [f"{count} in more than one report (--duplicates says which to take):"]
    lines += [f"  {key}: {', '.join(names)}" for key, names in list(several.items())[:_MOST_NAMED]]
    if len(several) > _MOST_NAMED:
        lines.append(f"  and {len(several) - _MOST_NAMED} more")
    raise MergeRefusedError("\n".join(lines))


def _refuse_different(reports: Sequence[Named]) -> None:
    lines: list[str] = list(different_environments(reports))
    if lines:
        heading = (
            "the reports are from environments that differ "
            "(--allow-different-environments merges them all the same):"
        )
        raise MergeRefusedError("\n".join([heading, *lines]))


def different_environments(reports: Sequence[Named]) -> Iterator[str]:
    """In what the environments of later reports differ from the first one's, a line each."""
    first: Environment | None = None
    for report in reports:
        for environment in all_environments(report.run.environment):
            first = environment if first is None else first
            for name, old, new in differences(first, environment, seen=False):
                yield f"  {name}: {old} in {reports[0].name}, {new} in {report.name}"


def _joined_partial(partials: Sequence[Partial]) -> Partial | None:
    if not partials:
        return None
    # Part by part, so that a merge of merges says nothing twice.
    reasons = (part for one in partials for part in one.reason.split(_BETWEEN_REASONS))
    running = (nodeid for one in partials for nodeid in one.running)
    return Partial(_BETWEEN_REASONS.join(dict.fromkeys(reasons)), tuple(dict.fromkeys(running)))
