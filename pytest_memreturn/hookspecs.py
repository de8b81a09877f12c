"""The hooks of this plugin: what another plugin, or a ``conftest.py``, can add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_memreturn.allocators._contract import Allocator
    from pytest_memreturn.probes._contract import AccountProbe
    from pytest_memreturn.reruns._contract import RemedyCandidate


@pytest.hookspec
def pytest_memreturn_allocators(config: pytest.Config) -> Iterable[Allocator]:  # type: ignore[empty-body]
    """Allocators of your own, each with statistics and a release: `Allocator` says how.

    Asked once in each process that judges tests, before its first test. A ledger then has
    accounts ``<name>-live`` and ``<name>-free`` for each, and a trim asks them, too: before the
    allocators that this package knows, since a pool usually takes its memory from those. One that
    takes it from malloc says ``is_from_malloc`` in its `AllocatorStatistics`, and is counted once.
    """


@pytest.hookspec
def pytest_memreturn_probes(config: pytest.Config) -> Iterable[AccountProbe]:  # type: ignore[empty-body]
    """Accounts of your own, for memory that no mapping shows: `AccountProbe` says how.

    Asked once in each process that judges tests, before its first test.
    """


@pytest.hookspec
def pytest_memreturn_remedies(config: pytest.Config) -> Iterable[RemedyCandidate]:  # type: ignore[empty-body]
    """Remedies of your own for ``--memreturn-explain`` to try: `RemedyCandidate` says what one is.

    Asked when a test has retained and is to be explained, and again in each re-run that calls one.
    """
