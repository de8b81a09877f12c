"""What free memory of an allocator is made of: trimmable, pinned, out of a trim's reach; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import FREE

if TYPE_CHECKING:
    from pytest_memreturn._ledger import Ledger

TRIMMABLE, PINNED, TOPS = "trimmable", "pinned", "tops"

# pymalloc has no trim: what is free in it is pinned, all of it, and needs no telling.
_WITHOUT_TRIM = "python" + FREE

_WITH_TOPS = "thread-arenas"


def split_free(
    at_gate: Ledger, after_trim: Ledger, top_growth_bytes: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    """The accounts of free memory in `at_gate`, each by place and by what became of it.

    `after_trim` is the ledger of the same window once every allocator was asked: what it no
    longer holds was trimmable, what stayed is pinned by live blocks. `top_growth_bytes`: by
    allocator, how much more lies free at the tops of thread arenas; a trim leaves that, too, but
    no live block is to blame.

    The parts of an account sum to it.
    """
    split: dict[str, dict[str, int]] = {}
    for account, size in at_gate.accounts.items():
        if not account.endswith(FREE) or account == _WITHOUT_TRIM:
            continue
        tops_left = max(0, top_growth_bytes.get(account.removesuffix(FREE), 0))
        places = at_gate.parts.get(account, {"": size})
        left = after_trim.parts.get(account, {"": after_trim.accounts.get(account, 0)})
        parts: dict[str, int] = {}
        for place, place_size in places.items():
            prefix = f"{place}-" if place else ""
            kept = min(max(left.get(place, 0), 0), max(place_size, 0))
            tops = min(kept, tops_left) if place == _WITH_TOPS else 0
            parts[prefix + TRIMMABLE] = place_size - kept
            parts[prefix + PINNED] = kept - tops
            if place == _WITH_TOPS:
                parts[prefix + TOPS] = tops
        split[account] = parts
    return split
