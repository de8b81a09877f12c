"""The decision: was the memory returned, and if not, who has it; pure, total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_memreturn._ledger import UNEXPLAINED

if TYPE_CHECKING:
    from pytest_memreturn._allowance import Allowance
    from pytest_memreturn._ledger import Ledger

Outcome: TypeAlias = Literal["returned", "retained", "unjudged"]

# A cause other than the first is listed when it has more than this part of what was retained.
_LISTED_ABOVE = 1 / 4


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
    # Nobody can say whose pages were swapped out.
    "swapped": UNEXPLAINED,
    UNEXPLAINED: UNEXPLAINED,
}


def find_causes(
    at_gate: Ledger,
    after_trim: Ledger,
    *,
    python_in_malloc_bytes: int | None,
    returnable: Mapping[str, int],
) -> Causes:
    """Turn accounts into causes.

    `at_gate` is what was retained; `after_trim` the same after every allocator was asked: free
    memory that a trim returned was only held, what stayed is pinned.

    `python_in_malloc_bytes` is what surviving Python objects hold of the live bytes of malloc,
    or of what serves in its place; ``None`` where nobody could look, so that nobody can say whether
    Python objects or native code hold those bytes.

    `returnable`: by allocator, free bytes that are not pinned although a trim leaves them (the
    tops of thread arenas).
    """
    found: dict[str, int] = {}

    def add(slug: str, size: int) -> None:
        found[slug] = found.get(slug, 0) + size

    unspent = max(python_in_malloc_bytes or 0, 0)
    # malloc first: it is where Python's buffers come from unless another took its place.
    accounts = sorted(at_gate.to_dict().items(), key=lambda entry: entry[0] != "malloc-live")
    for account, size in accounts:
        if account in _FIXED_CAUSES:
            add(_FIXED_CAUSES[account], size)
            continue
        name, _, state = account.rpartition("-")
        if state == "live":
            by_python = min(unspent, max(size, 0))
            unspent -= by_python
            add("live-python", by_python)
            add(
                "live-native" if python_in_malloc_bytes is not None else UNEXPLAINED,
                size - by_python,
            )
        else:
            kept = min(max(after_trim.accounts.get(account, 0), 0), max(size, 0))
            pinned = max(kept - returnable.get(name, 0), 0)
            add(f"pinned-{name}", pinned)
            add(f"held-by-{name}", size - pinned)
    shares = sorted(((slug, size) for slug, size in found.items() if size > 0), key=lambda s: -s[1])
    return Causes(dict(shares))
