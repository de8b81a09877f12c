"""Telling a terminal what takes long, while pytest captures everything else."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Progress:
    """One line that is written over; nothing where there is no terminal to write it to."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager
        # Asked now, since while a test runs pytest has put a file in the terminal's place.
        self._columns = shutil.get_terminal_size().columns
        self._is_shown = False

    def __call__(self, text: str) -> None:
        """Say what is being done; an empty text takes the line away."""
        # A terminal that is gone has no part in a verdict.
        with contextlib.suppress(Exception):
            self._show(text)

    def _show(self, text: str) -> None:
        reporter = self._plugins.get_plugin("terminalreporter")
        # A worker of pytest-xdist has none, and a log would keep every line of it.
        if reporter is None or not reporter.isatty or not (text or self._is_shown):
            return
        with contextlib.ExitStack() as uncaptured:
            capture = self._plugins.get_plugin("capturemanager")
            if capture is not None:
                uncaptured.enter_context(capture.global_and_fixture_disabled())
            if not self._is_shown:
                reporter.ensure_newline()
            shown = f"memreturn: {text}" if text else ""
            reporter.rewrite(shown[: self._columns - 1], erase=True)
            if not text:
                reporter.write("\r")  # what comes next begins where the line did
            reporter.flush()
        self._is_shown = bool(text)
