"""One round as pytest runs it: a plugin that makes tests of a plan."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from .clean import CLEAN
from .kept import give_back
from .memory import MIB, leave_cycles
from .noise import Inside
from .plan import Step, plan

PARTS = pytest.StashKey[list[list[Step]]]()

# The first call of anything keeps something: it is not what is judged here.
WARM_UPS = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the runner says of the round."""
    group = parser.getgroup("soak")
    group.addoption("--soak-seed")
    group.addoption("--soak-clean", type=int)
    group.addoption("--soak-leaks", type=int)
    group.addoption("--soak-noise", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the plan."""
    option = config.option
    config.stash[PARTS] = plan(option.soak_seed, option.soak_clean, option.soak_leaks)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module by the name of test_part_N holds the Nth part of the plan."""
    number = int(Path(str(metafunc.module.__file__)).stem.rpartition("_")[2])
    steps = metafunc.config.stash[PARTS][number]
    metafunc.parametrize(
        "step",
        [
            pytest.param(step, id=step.name, marks=pytest.mark.returns_memory(trim=step.body.trim))
            for step in steps
        ],
    )


@pytest.fixture(scope="session", autouse=True)
def surroundings(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the round runs in: every library warm, noise on, and at its end nothing left."""
    for turn in range(WARM_UPS):
        for body in CLEAN:
            body.work(Random(turn))  # noqa: S311 - not for secrets
    with Inside(request.config.option.soak_noise):
        yield
    gc.enable()
    give_back(down_to=0)


@pytest.fixture(scope="module", autouse=True)
def module_with_a_cycle(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fixture whose tear-down leaves a large cycle to whoever comes next."""
    rng = Random(request.node.name)  # noqa: S311 - not for secrets
    yield
    leave_cycles(rng.randrange(1, 24) * MIB)


@pytest.fixture
def run_step(step: Step) -> Iterator[Callable[[], None]]:
    """What a step does inside its window; before and after it, what belongs there."""
    give_back()
    if step.body.before is not None:
        step.body.before(step.rng("before"))

    def run() -> None:
        step.body.work(step.rng("work"))

    yield run
    if step.body.after is not None:
        step.body.after(step.rng("after"))
