"""A ledger as a stacked bar: accounts that grew to the right of nothing, the others to its left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_memreturn._accounts import FREE, LIVE, UNEXPLAINED
from pytest_memreturn.report.drawings.scale import Scale

# Owners and accounts that have a filling of their own; of others, hooks may bring any number.
_OWNERS = ("python", "malloc")
_ACCOUNTS = ("mapped", "stacks", "shared-memory", "children", "swapped", UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Segment:
    """One account, in percent of the room. `fill` names how it is painted."""

    account: str
    bytes: int
    fill: str
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class StackedBar:
    """Every account but those that did not move; `zero` is where nothing lies, in percent."""

    segments: tuple[Segment, ...]
    zero: float


def stacked_bar(ledger: Mapping[str, int]) -> StackedBar:
    """The accounts in the ledger's order, from the line of nothing outwards."""
    scale = Scale(
        sum(size for size in ledger.values() if size < 0),
        sum(size for size in ledger.values() if size > 0),
    )
    segments = []
    grown, shrunk = 0, 0
    for account, size in ledger.items():
        if size > 0:
            span = scale.span(grown, grown + size)
            grown += size
        elif size < 0:
            span = scale.span(shrunk + size, shrunk)
            shrunk += size
        else:
            continue
        segments.append(Segment(account, size, fill(account), *span))
    return StackedBar(tuple(segments), scale.at(0))


def fill(account: str) -> str:
    """How an account is painted: by its owner, and by whether it is live or free."""
    if account in _ACCOUNTS:
        return account
    for state in (LIVE, FREE):
        if account.endswith(state):
            owner = account.removesuffix(state)
            return (owner if owner in _OWNERS else "other") + state
    return "other"
