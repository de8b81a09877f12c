"""What one judged test does, with the verdict that is right for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

Work: TypeAlias = Callable[[Random], object]


@dataclass(frozen=True)
class Body:
    """`before` runs in the set-up and `after` in the tear-down, both outside the window.

    `verdict` is ``None`` for a test that fails by itself and so has none. `causes`: any of them
    is right. `causes_in_malloc`: the same where small objects come from malloc, too.
    `is_open_in_malloc`: there malloc decides, by what lies around them, whether it keeps their
    memory, so that either verdict is right.
    """

    name: str
    work: Work
    verdict: Literal["returned", "retained"] | None
    causes: tuple[str, ...] = ()
    causes_in_malloc: tuple[str, ...] = ()
    trim: bool = False
    before: Work | None = None
    after: Work | None = None
    is_open_in_malloc: bool = False

    def right_causes(self, *, pymalloc: bool) -> tuple[str, ...]:
        """The causes one of which must be named."""
        return self.causes if pymalloc or not self.causes_in_malloc else self.causes_in_malloc


def nothing(rng: Random) -> None:
    """The body of a test that does nothing."""
    del rng
