"""Which recorded tests are no longer there, as far as the collection of a run shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_memreturn import _xdist

_GONE = "gone"


class Collected:
    """Hooks that watch a collection for recorded tests.

    A test is gone where its file is, or where its whole file was collected and it was not in it.
    Of anything less nobody can tell: a file that was not asked for, or that failed to load; a
    test that was named, or left out by ``--lf``, before anybody saw it. What is deselected later,
    such as by ``-k``, has been seen.
    """

    def __init__(self, recorded: Iterable[str], root: Path) -> None:
        self._recorded = set(recorded)
        self._root = root
        self._seen: set[str] = set()
        self._whole: set[str] = set()
        self._broken: set[str] = set()
        self.gone: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note which files were collected, and which of them not whole."""
        file, separator, _ = report.nodeid.partition("::")
        if not report.passed:
            self._broken.add(file)
        elif not separator:
            self._whole.add(file)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note a recorded test that is there, before anybody deselects it; and what it lies in."""
        self._seen.update(self._recorded.intersection(one.nodeid for one in item.listchain()))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find what is gone; a worker of pytest-xdist tells its controller."""
        config = session.config
        sees_all = not config.getoption("lf", default=False) and not any(
            "::" in str(one) for one in config.args
        )
        self.gone = sorted(
            one for one in self._recorded - self._seen if self._is_gone(one, sees_all=sees_all)
        )
        _xdist.answer(config, _GONE, self.gone)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take what a worker of pytest-xdist has found: each of them collects the same."""
        self.gone = _xdist.answered(node, _GONE) or self.gone

    def _is_gone(self, nodeid: str, *, sees_all: bool) -> bool:
        file = nodeid.partition("::")[0]
        if file in self._broken:
            return False
        return (sees_all and file in self._whole) or not (self._root / file).exists()
