"""The decision: was the memory returned, and if not, who has it; pure, total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_memreturn._accounts import FREE, LIVE, UNEXPLAINED
from pytest_memreturn._free_parts import PINNED

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._ledger import Ledger

Outcome: TypeAlias = Literal["returned", "retained", "unjudged"]

# A cause other than the first is listed when it has more than this part of what was retained.
_LISTED_ABOVE = 1 / 4

_HELD = "held-by-"
_OUTSIDE_CAUSES = ("child-process", "shared-memory")


@dataclass(frozen=True, slots=True)
class Causes:
    """Who has the memory, largest first; and the one that names the cause."""

    bytes_by_cause: Mapping[str, int]

    @property
    def first(self) -> str:
        """The slug with the largest share; ``unexplained`` where nothing has any."""
        return next(iter(self.bytes_by_cause), UNEXPLAINED)

    @property
    def listed(self) -> dict[str, int]:
        """The first cause, and every other that has more than a quarter of the whole."""
        whole = sum(self.bytes_by_cause.values())
        return {
            slug: size
            for slug, size in self.bytes_by_cause.items()
            if slug == self.first or size > whole * _LISTED_ABOVE
        }

    @property
    def is_clear_without_survivors(self) -> bool:
        """Whether no object that stayed can have a part in a cause that is listed.

        Free memory that a trim returns, children and segments are there whoever lives.
        """
        whole = sum(self.bytes_by_cause.values())
        others = sum(
            size
            for slug, size in self.bytes_by_cause.items()
            if not slug.startswith(_HELD) and slug not in _OUTSIDE_CAUSES
        )
        listed_first = next(iter(self.bytes_by_cause.values()), 0)
        return others <= whole * _LISTED_ABOVE and others < max(1, listed_first)


def judge(retained_bytes: int, allowance: Allowance) -> Outcome:
    """Retained only beyond the allowance: a window that keeps exactly what it may passes."""
    return "retained" if retained_bytes > allowance.allowed_bytes else "returned"


# Accounts whose cause is always the same, whatever the allocator.
_FIXED_CAUSES = {
    "python-live": "live-python",
    # No trim reaches into pymalloc: its free room stays for as long as one object lives beside.
    "python-free": "pinned-python",
    "mapped": "mapped",
    # A stack is a private mapping of a thread that still runs.
    "stacks": "mapped",
    "shared-memory": "shared-memory",
    "children": "child-process",
    # Nobody can say whose pages were swapped out.
    "swapped": UNEXPLAINED,
    UNEXPLAINED: UNEXPLAINED,
}


def find_causes(
    at_gate: Ledger,
    free_parts: Mapping[str, Mapping[str, int]],
    *,
    python_in_malloc_bytes: int | None,
    census_is_whole: bool = True,
    filled_up_bytes: int = 0,
) -> Causes:
    """Turn accounts into causes.

    `free_parts` is what `split_free` says of each account of free memory: what is pinned, and
    what something would hand back. An account that is not in it was only held.

    `python_in_malloc_bytes` is what surviving Python objects hold of the live bytes of malloc,
    or of what serves in its place; ``None`` where nobody could look, so that nobody can say whether
    Python objects or native code hold those bytes. Nor can they of the rest, where the census of
    those objects was not whole.

    `filled_up_bytes` of malloc's free memory have no cause: huge pages brought them, and nobody
    took them.

    An account that a hook added is its own cause.
    """
    found: dict[str, int] = {}

    def add(slug: str, size: int) -> None:
        found[slug] = found.get(slug, 0) + size

    unspent = max(python_in_malloc_bytes or 0, 0)
    rest_is_native = python_in_malloc_bytes is not None and census_is_whole
    for account, size in at_gate.to_dict().items():
        if account in _FIXED_CAUSES:
            add(_FIXED_CAUSES[account], size)
        elif account.endswith(LIVE):
            by_python = min(unspent, max(size, 0))
            unspent -= by_python
            add("live-python", by_python)
            add("live-native" if rest_is_native else UNEXPLAINED, size - by_python)
        elif account.endswith(FREE):
            name = account.removesuffix(FREE)
            parts = free_parts.get(account, {})
            pinned = sum(part for slug, part in parts.items() if slug.endswith(PINNED))
            add(f"pinned-{name}", pinned)
            add(_HELD + name, size - pinned - (filled_up_bytes if name == "malloc" else 0))
        else:
            add(account, size)
    shares = sorted(((slug, size) for slug, size in found.items() if size > 0), key=lambda s: -s[1])
    return Causes(dict(shares))


def python_share(
    live_growth: int,
    *,
    by_address_bytes: int,
    newborn_bytes: int,
    all_python_bytes: int,
    all_live_bytes: int,
) -> int:
    """How much of malloc's `live_growth` Python objects have, where addresses alone can't tell.

    What grew into old holes lies among old objects. Known are the survivors that were found by
    their addresses, those that were newborn, and two bounds: Python objects can't have more than
    all of them together, and native code no more than what of malloc is not theirs.
    """
    at_least = live_growth - (all_live_bytes - all_python_bytes)
    by_age = min(max(newborn_bytes, at_least), all_python_bytes)
    # What objects own through a library is found by address and is not among what all of them
    # have: a tensor of 50 MiB was called native, where all the others had 21 MiB between them.
    return max(0, by_address_bytes, by_age)
