"""Telling a terminal what a re-run is doing, while pytest captures everything else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Progress:
    """One line that is written over; nothing where there is no terminal to write it to."""

    def __init__(self, config: pytest.Config) -> None:
        plugins = config.pluginmanager
        reporter = plugins.get_plugin("terminalreporter")
        # A worker of pytest-xdist has none.
        self._reporter = reporter if reporter is not None and reporter.isatty else None
        self._capture = plugins.get_plugin("capturemanager")

    def __call__(self, what: str, number: int, total: int) -> None:
        """Say which re-run this is."""
        self._write(f"memreturn re-runs it: {what} ({number} of {total})")

    def over(self) -> None:
        """Take the line away."""
        self._write("")

    def _write(self, text: str) -> None:
        if self._reporter is None:
            return
        with contextlib.ExitStack() as uncaptured:
            if self._capture is not None:
                uncaptured.enter_context(self._capture.global_and_fixture_disabled())
            self._reporter.ensure_newline()
            self._reporter.rewrite(text[: self._reporter.screen_width - 1], erase=True)
            self._reporter.flush()
