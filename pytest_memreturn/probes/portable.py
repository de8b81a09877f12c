"""Readings through psutil alone, for every platform it knows."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import psutil

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import Activity, Counters, Peak, Snapshot
from pytest_memreturn.probes._peaks import NestedPeaks

_KB = 1024

# Bound here for the same reason as in _files.
_GETPID = os.getpid


class PortableProbe:
    """Footprint and peak without a mapping layout.

    What counts as footprint, by platform: Linux, RSS less the pages shared with files and other
    processes; Windows, the private bytes; elsewhere, the unique set size. None of them can tell
    lazily freed pages, and on Linux swap is missing.
    """

    name = "portable"

    def __init__(self) -> None:
        try:
            self._process = psutil.Process()
        except (psutil.Error, OSError) as error:
            # On Linux, a sandbox without procfs.
            raise _unavailable(error) from error
        self._peaks = NestedPeaks(
            lambda: (self._read_lifetime_peak(), self.counters().rss_bytes),
            # No platform but Linux lets a process reset its own mark.
            reset_mark=lambda: False,
        )

    def counters(self) -> Counters:
        """What psutil reads for this process."""
        try:
            memory = self._this_process().memory_info()
            if hasattr(memory, "shared"):  # Linux
                footprint = memory.rss - memory.shared
            elif sys.platform == "win32":
                footprint = memory.private
            else:
                footprint = self._this_process().memory_full_info().uss
        except (psutil.Error, OSError) as error:
            raise _unavailable(error) from error
        return Counters(footprint_bytes=footprint, rss_bytes=memory.rss)

    def activity(self) -> Activity | None:
        """Unknown: nothing that every platform counts bounds what has changed."""
        return None

    def exact(self) -> Counters:
        """The same as `counters`: psutil has no finer reading that means the same."""
        return self.counters()

    def capture(self, *, baseline: bool = False) -> PortableCapture:
        """The same as `counters`, as a snapshot without a layout."""
        del baseline
        return PortableCapture(self.counters())

    def open_peak(self) -> int:
        """Begin to watch the process's lifetime peak."""
        return self._peaks.open()

    def close_peak(self, token: int) -> Peak:
        """The peak since `open_peak` gave `token`, as good as its `quality` says."""
        return self._peaks.close(token)

    def _this_process(self) -> psutil.Process:
        """The process that asks, which may have been forked since the last time."""
        if self._process.pid != _GETPID():
            self._process = psutil.Process()
        return self._process

    def _read_lifetime_peak(self) -> int:
        if sys.platform == "win32":
            try:
                return int(self._this_process().memory_info().peak_wset)
            except (psutil.Error, OSError) as error:
                raise _unavailable(error) from error
        # Only where it exists: Windows has no resource module.
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # getrusage(2): bytes on macOS, kilobytes elsewhere.
        return peak if sys.platform == "darwin" else peak * _KB


def _unavailable(error: Exception) -> ReadingUnavailableError:
    return ReadingUnavailableError(f"psutil cannot read this process's memory: {error}")


@dataclass(frozen=True, slots=True)
class PortableCapture:
    """One reading of the counters."""

    counters: Counters

    def lazy_free_bytes(self) -> int:
        """None that psutil could see."""
        return 0

    def footprint_bytes(self) -> int:
        """The footprint as `PortableProbe.counters` read it."""
        return self.counters.footprint_bytes

    def snapshot(self) -> Snapshot:
        """The counters as a snapshot whose layout is unknown."""
        return Snapshot(self.counters.footprint_bytes, self.counters.rss_bytes)
