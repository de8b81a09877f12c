"""Which tests a round consists of, in which order: all of it follows from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .acts import ACTS, any_leak, behind_a_module
from .body import Body
from .clean import CLEAN
from .leaks import LEAKS

# Tests in one module: its fixture's tear-down is a part of what is tested.
PER_PART = 100


@dataclass(frozen=True)
class Step:
    """One test: its place in the round, what it does, and the chance it does it by."""

    number: int
    body: Body
    seed: str

    @property
    def name(self) -> str:
        """The id of its parameter."""
        return f"{self.number:05}-{self.body.name}{'-trim' if self.body.trim else ''}"

    def rng(self, what: str) -> Random:
        """The same numbers each time, whatever ran before."""
        return Random(f"{self.seed}:{self.number}:{what}")  # noqa: S311 - not for secrets


def plan(seed: str, clean: int, leaks: int) -> list[list[Step]]:
    """The modules of a round with at least so many clean tests and leaks."""
    rng = Random(seed)  # noqa: S311 - not for secrets
    groups: list[list[Body]] = []
    leaking = returning = 0
    while leaking < leaks:
        # One by itself, kind by kind, then one after hard ground, act by act.
        single = rng.choice(list(LEAKS.values())[leaking % len(LEAKS)])
        groups += [[single], ACTS[len(groups) // 2 % len(ACTS)](rng)]
        leaking = sum(body.verdict == "retained" for group in groups for body in group)
        returning = sum(body.verdict == "returned" for group in groups for body in group)
    while returning < clean:
        groups.append([CLEAN[returning % len(CLEAN)]])
        returning += 1
    rng.shuffle(groups)
    parts: list[list[Body]] = [[]]
    for group in groups:
        if len(parts[-1]) >= PER_PART:
            parts.append(behind_a_module(rng))
        parts[-1] += group
    # A last one for the tear-down of the module before it.
    parts.append([any_leak(rng)])
    numbers = iter(range(sum(map(len, parts))))
    return [[Step(next(numbers), body, seed) for body in part] for part in parts]
