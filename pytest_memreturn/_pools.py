"""Pools whose memory is among the live blocks of malloc, named apart from it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import FREE, LIVE
from pytest_memreturn._pairs import between_zero_and

if TYPE_CHECKING:
    from pytest_memreturn._pairs import Pair

# The part of malloc's live account that is theirs: negative, since pools have accounts too.
_POOLS = "pools"

# Whoever serves malloc, by name.
_MALLOCS = ("malloc", "jemalloc", "tcmalloc", "mimalloc")


def _malloc(pairs: list[Pair]) -> Pair | None:
    """Whoever serves malloc, if it says anything."""
    return next((pair for name in _MALLOCS for pair in pairs if pair.name == name), None)


def pools_of_malloc(pairs: list[Pair]) -> list[Pair]:
    """Pools whose memory is among malloc's live blocks; where malloc is mute, it can't be."""
    if _malloc(pairs) is None:
        return []
    return [pair for pair in pairs if pair.after.is_from_malloc]


def take_from_malloc(
    pairs: list[Pair],
    accounts: dict[str, int],
    parts: dict[str, Mapping[str, int]],
    given_back: Mapping[str, int],
) -> dict[str, int]:
    """Name what pools hold of malloc's live blocks; how much that is, by the one it is taken from.

    Blocks that were never written to are in no account, and nobody knows whose they are: pools
    are named first for what is there. What the program itself did the other way is not theirs.
    """
    source = _malloc(pairs)
    if source is None:
        return {}
    account = source.name + LIVE
    others = source.live_growth + source.own_mapping_growth
    taken = 0
    for pair in pools_of_malloc(pairs):
        claim, live = pair.held_growth, pair.live_growth
        if not pair.says_what_it_holds:
            claim = live + max(0, given_back.get(pair.name, 0))
        others -= claim
        against = min(0, others) if claim > 0 else max(0, others)
        held = between_zero_and(claim, accounts[account] - taken - against)
        if not pair.says_what_it_holds:
            live = between_zero_and(held, live)
        # Blocks with a mapping of their own are in the account already.
        accounts[pair.name + LIVE] = accounts.get(pair.name + LIVE, 0) + live
        accounts[pair.name + FREE] = held - live
        taken += held
    accounts[account] -= taken
    if taken and account in parts:
        parts[account] = {**parts[account], _POOLS: -taken}
    return {source.name: taken} if taken else {}
