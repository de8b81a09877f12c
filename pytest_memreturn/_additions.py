"""What hooks add to the instruments: allocators, accounts; checked before anything is judged."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memreturn._accounts import FREE, LIVE
from pytest_memreturn._ground import Ground
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.probes._contract import AccountProbe
from pytest_memreturn.reruns._contract import RemedyCandidate

if TYPE_CHECKING:
    from pytest_memreturn._instruments import Instruments

_SLUG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

# Names with a meaning of their own in ledgers, causes and reports.
_TAKEN = (
    *("mapped", "stacks", "shared-memory", "children", "swapped", "unexplained"),
    *("lazy-free", "file", "huge-pages"),
    *("child-process", "live-python", "live-native", "pinned-python"),
)

# How causes begin: an account is its own cause, and would pass for one of these.
_CAUSES = ("held-by-", "pinned-", "live-")


def with_additions(instruments: Instruments, config: pytest.Config) -> Instruments:
    """The instruments with what the hooks of this run add.

    Raises `pytest.UsageError` for an addition that can't be used, naming it.
    """
    allocators: list[Allocator] = _asked("pytest_memreturn_allocators", config, Allocator)
    probes: list[AccountProbe] = _asked("pytest_memreturn_probes", config, AccountProbe)
    if not allocators and not probes:
        return instruments
    known = [one.name for one in instruments.allocators]
    _check_names(
        "pytest_memreturn_allocators", [getattr(one, "name", None) for one in allocators], known
    )
    _check_names(
        "pytest_memreturn_probes", [getattr(one, "account", None) for one in probes], _TAKEN
    )
    trims = {one.name: one.release for one in allocators}
    return dataclasses.replace(
        instruments,
        allocators=(*allocators, *instruments.allocators),
        account_probes=(*instruments.account_probes, *probes),
        releaser=dataclasses.replace(
            instruments.releaser, trims=trims | dict(instruments.releaser.trims)
        ),
        ground=Ground(),
    )


def added_remedies(config: pytest.Config) -> list[RemedyCandidate]:
    """The remedies that the hooks of this run add; raises `pytest.UsageError` for a wrong one."""
    found: list[RemedyCandidate] = _asked("pytest_memreturn_remedies", config, RemedyCandidate)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            msg = f"pytest_memreturn_remedies: {name!r} is given twice"
            raise pytest.UsageError(msg)
    return found


def _asked(hook: str, config: pytest.Config, kind: type) -> list[Any]:
    """What every implementation of `hook` gives, in order, each of this `kind`."""
    found: list[Any] = []
    for given in getattr(config.hook, hook)(config=config):
        if not isinstance(given, Iterable):
            msg = f"{hook}: a list is expected, got {given!r}"
            raise pytest.UsageError(msg)
        for one in given:
            if not isinstance(one, kind):
                msg = f"{hook}: {one!r} is no pytest_memreturn.{kind.__name__}"
                raise pytest.UsageError(msg)
            found.append(one)
    return found


def _check_names(hook: str, names: Sequence[object], known: Sequence[str]) -> None:
    for name in names:
        problem = ""
        if not isinstance(name, str) or not _SLUG.fullmatch(name):
            problem = "is no name: use lower-case letters, digits and single dashes"
        elif name in known:
            problem = "is taken"
        elif name.endswith((LIVE, FREE)):
            problem = f"must not end in {LIVE} or {FREE}"
        elif name.startswith(_CAUSES):
            problem = "must not begin as a cause does"
        elif names.count(name) > 1:
            problem = "is given twice"
        if problem:
            msg = f"{hook}: {name!r} {problem}"
            raise pytest.UsageError(msg)
