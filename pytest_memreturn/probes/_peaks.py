"""The peak of windows that may lie inside each other, from one high-water mark of the process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import Peak


@dataclass(slots=True)
class _Window:
    mark_at_open: int
    highest: int = 0


@dataclass(slots=True)
class NestedPeaks:
    """Shares the process's high-water mark of RSS between all windows that are open.

    Resetting the mark for an inner window would lose what the outer one has reached so
    far, so each reset and each close first hands the mark to every open window.

    `read_mark_and_rss` gives the mark and the current RSS, from one reading where there is one.
    `reset_mark` brings the mark down to the current RSS and tells whether it could.
    """

    read_mark_and_rss: Callable[[], tuple[int, int]]
    reset_mark: Callable[[], bool]
    _open: dict[int, _Window] = field(default_factory=dict)
    _tokens: Iterator[int] = field(default_factory=itertools.count)
    _resettable: bool = True

    def open(self) -> int:
        """Begin a window and return its token."""
        if self._open:
            self._share_mark()
        self._resettable = self._resettable and self.reset_mark()
        token = next(self._tokens)
        # Only a mark that stays where it was is compared with.
        mark = 0 if self._resettable else self.read_mark_and_rss()[0]
        self._open[token] = _Window(mark_at_open=mark)
        return token

    def close(self, token: int) -> Peak:
        """End the window of `token`; others stay open, in whatever order they end."""
        window = self._open.get(token)
        if window is None:
            msg = "this window has ended already"
            raise ReadingUnavailableError(msg)
        try:
            rss = self._share_mark()
        finally:
            del self._open[token]
        if self._resettable:
            return Peak(window.highest, "exact")
        # A mark that can't be reset but rose inside the window is the window's own peak. One
        # that did not rise says only that the peak lay below an older one.
        if window.highest > window.mark_at_open:
            return Peak(window.highest, "process")
        return Peak(rss, "at-least")

    def _share_mark(self) -> int:
        mark, rss = self.read_mark_and_rss()
        # Kernels count the mark and the current size apart: the mark may lag a little behind.
        for window in self._open.values():
            window.highest = max(window.highest, mark, rss)
        return rss
