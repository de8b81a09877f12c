"""What growth from round to round says of a window, and who grew; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_memreturn._accounts import UNEXPLAINED
from pytest_memreturn._allowance import Allowance
from pytest_memreturn._sizes import format_size
from pytest_memreturn._verdict import Causes

if TYPE_CHECKING:
    from pytest_memreturn._explanation import Explanation, Survivors
    from pytest_memreturn._record import Rounds
    from pytest_memreturn._verdict import Outcome

_PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Growers:
    """Who grew from round to round.

    `causes`: ``None`` where the ledger of the whole window tells it better. `survivors`: objects
    that came in the last of the rounds; ``None`` where nobody looked.
    """

    causes: Causes | None = None
    survivors: Survivors | None = None

    def added_to(self, explanation: Explanation) -> Explanation:
        """The explanation with the survivors that came round by round, where somebody looked."""
        if self.causes is not None:
            # What grew is alive; free memory that something keeps in place is no part of it.
            explanation = replace(explanation, pins=())
        if self.survivors is None:
            return explanation
        return replace(explanation, survivors=self.survivors.types)


@dataclass(frozen=True, slots=True)
class ByRounds:
    """What rounds say. `outcome`: ``None`` where the limits of the window decide.

    `growers` finds out who grew. It disturbs what is measured, so it is called last.
    """

    told: Rounds
    outcome: Outcome | None = None
    growers: Callable[[], Growers] = Growers

    @property
    def decides(self) -> bool:
        """Whether rounds alone decide, and not how much was retained."""
        return self.outcome is not None

    @property
    def allowance(self) -> Allowance:
        """What all rounds together may retain."""
        size = format_size(self.told.allowed_per_round_bytes)
        return Allowance(
            self.told.allowed_per_round_bytes * self.told.run,
            f"{size} per round, {self.told.allowed_origin}",
        )


def causes_of_growth(
    bytes_by_allocator: Mapping[str, int], python_in_malloc_bytes: int | None
) -> Causes:
    """Who has what the live bytes of allocators grew by, in the rounds that were judged.

    `python_in_malloc_bytes`: so much of it that is not pymalloc's is held by Python objects;
    ``None`` where nobody could look.
    """
    found: dict[str, int] = {"live-python": bytes_by_allocator.get(_PYTHON, 0)}
    others = sum(size for name, size in bytes_by_allocator.items() if name != _PYTHON)
    by_python = min(max(0, python_in_malloc_bytes or 0), others)
    found["live-python"] += by_python
    found[UNEXPLAINED if python_in_malloc_bytes is None else "live-native"] = others - by_python
    ordered = sorted(found.items(), key=lambda one: -one[1])
    return Causes({slug: size for slug, size in ordered if size > 0})
