"""Stretches of a heap, joined until there are few enough to look at; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_memreturn._explanation import Region


def joined(stretches: Iterable[Region], least_bytes: int) -> list[Region]:
    """Stretches of one heap, in order, as regions of at least so many bytes.

    What is smaller is put together with its neighbours, and called what most of its bytes are. No
    two neighbours are of one kind. Takes memory for its result alone.
    """
    found: list[Region] = []
    group: list[Region] = []
    group_bytes = 0
    for one in stretches:
        if one.bytes >= least_bytes:
            # What is left of a group that never became large enough goes with what came before.
            if found:
                found = _with_group(found, group, absorbed=True)
                group = []
            found = _with_group(found, [*group, one])
            group, group_bytes = [], 0
            continue
        group.append(one)
        group_bytes += one.bytes
        if group_bytes >= least_bytes:
            found = _with_group(found, group)
            group, group_bytes = [], 0
    return _with_group(found, group, absorbed=True)


def few(regions: Sequence[Region], at_most: int) -> list[Region]:
    """The regions of one heap, the smallest joined with their neighbours until few are left.

    `at_most` is at least 1. Takes time by the square of their number: 0.1 s for 4,000.
    """
    found = list(regions)
    sizes = [one.bytes for one in found]
    while len(found) > at_most:
        smallest = sizes.index(min(sizes))
        first, last = max(0, smallest - 1), min(smallest + 1, len(found) - 1)
        # What is on either side is mostly of one kind, and becomes one; if not, the larger grows.
        if found[first].kind != found[last].kind:
            first, last = (first, smallest) if sizes[first] > sizes[last] else (smallest, last)
        neighbours = slice(first, last + 1)
        whole = _as_one(found[neighbours])
        found[neighbours], sizes[neighbours] = [whole], [whole.bytes]
    return found


def _with_group(
    found: list[Region], group: list[Region], *, absorbed: bool = False
) -> list[Region]:
    """Add a group to what was `found`: to the last region, or as one of its own."""
    if not group:
        return found
    whole = _as_one(group)
    if found and (absorbed or found[-1].kind == whole.kind):
        whole = _as_one([found.pop(), whole])
    found.append(whole)
    return found


def _as_one(group: Sequence[Region]) -> Region:
    """Neighbours as one region, called what most of its bytes are."""
    sizes: dict[str, int] = {}
    for one in group:
        sizes[one.kind] = sizes.get(one.kind, 0) + one.bytes
    return replace(
        group[0],
        kind=max(group, key=lambda one: sizes[one.kind]).kind,
        bytes=sum(sizes.values()),
        live_bytes=sum(one.live_bytes for one in group),
    )
