"""The peak of windows that may lie inside each other."""

from __future__ import annotations

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import Peak
from pytest_memreturn.probes._peaks import NestedPeaks


class Kernel:
    """One high-water mark, as a kernel keeps it."""

    def __init__(self, *, resettable: bool = True) -> None:
        self.rss = 100
        self.mark = 100
        self.resettable = resettable
        self.readable = True
        self.peaks = NestedPeaks(self.read, self.reset)

    def read(self) -> tuple[int, int]:
        """The highest RSS since the last reset, and the RSS."""
        if not self.readable:
            raise ReadingUnavailableError
        return self.mark, self.rss

    def reset(self) -> bool:
        """Bring the mark down, where that is allowed."""
        if self.resettable:
            self.mark = self.rss
        return self.resettable

    def use(self, peak: int, then: int = 100) -> None:
        """Use memory up to a peak, and keep some of it."""
        self.mark = max(self.mark, peak)
        self.rss = then


def test_the_peak_of_one_window() -> None:
    """What was reached before the window or after it does not count."""
    kernel = Kernel()
    kernel.use(900)
    token = kernel.peaks.open()
    kernel.use(300, then=200)
    assert kernel.peaks.close(token) == Peak(300, "exact")
    kernel.use(800)
    token = kernel.peaks.open()
    assert kernel.peaks.close(token) == Peak(100, "exact")


@pytest.mark.parametrize(
    ("before", "inside", "after"), [(500, 300, 200), (200, 500, 300), (200, 300, 500)]
)
def test_a_window_inside_another(before: int, inside: int, after: int) -> None:
    """Wherever the outer window peaks, and though the inner one resets the mark."""
    kernel = Kernel()
    outer = kernel.peaks.open()
    kernel.use(before)
    inner = kernel.peaks.open()
    kernel.use(inside)
    assert kernel.peaks.close(inner) == Peak(inside, "exact")
    kernel.use(after)
    assert kernel.peaks.close(outer) == Peak(500, "exact")


def test_windows_that_overlap() -> None:
    """Each has its own peak, whichever ends first."""
    kernel = Kernel()
    first = kernel.peaks.open()
    kernel.use(500)
    second = kernel.peaks.open()
    kernel.use(300)
    assert kernel.peaks.close(first) == Peak(500, "exact")
    third = kernel.peaks.open()
    kernel.use(400)
    assert kernel.peaks.close(second) == Peak(400, "exact")
    assert kernel.peaks.close(third) == Peak(400, "exact")


def test_a_window_ends_once() -> None:
    """Ending it again is a reading that cannot be had, and no other window's."""
    kernel = Kernel()
    token = kernel.peaks.open()
    kernel.peaks.close(token)
    other = kernel.peaks.open()
    with pytest.raises(ReadingUnavailableError, match="ended already"):
        kernel.peaks.close(token)
    assert kernel.peaks.close(other) == Peak(100, "exact")


@pytest.mark.parametrize(
    ("peak", "then", "found"),
    [
        pytest.param(900, 100, Peak(900, "process"), id="a new high of the process"),
        pytest.param(500, 300, Peak(300, "at-least"), id="below an older high"),
        pytest.param(501, 300, Peak(501, "process"), id="just above it"),
    ],
)
def test_a_mark_that_cannot_be_reset(peak: int, then: int, found: Peak) -> None:
    """A new high of the process is exact by luck; below that only the RSS at the end is known."""
    kernel = Kernel(resettable=False)
    kernel.use(500)
    token = kernel.peaks.open()
    kernel.use(peak, then)
    assert kernel.peaks.close(token) == found


def test_a_mark_that_stops_being_resettable() -> None:
    """From then on no peak is called exact, not even that of a window opened before."""
    kernel = Kernel()
    outer = kernel.peaks.open()
    kernel.use(300)
    kernel.resettable = False
    inner = kernel.peaks.open()
    kernel.use(200)
    assert kernel.peaks.close(inner) == Peak(100, "at-least")
    kernel.resettable = True
    assert kernel.peaks.close(outer) == Peak(300, "process")
    later = kernel.peaks.open()
    assert kernel.peaks.close(later) == Peak(100, "at-least")


def test_a_mark_that_cannot_be_read_ends_the_window_all_the_same() -> None:
    """Nobody watches a peak for ever because it could not be read once."""
    kernel = Kernel()
    token = kernel.peaks.open()
    kernel.readable = False
    with pytest.raises(ReadingUnavailableError):
        kernel.peaks.close(token)
    kernel.readable = True
    with pytest.raises(ReadingUnavailableError, match="ended already"):
        kernel.peaks.close(token)


def test_a_mark_that_cannot_be_read_opens_no_window() -> None:
    """The next window is the outermost again."""
    kernel = Kernel(resettable=False)
    kernel.readable = False
    with pytest.raises(ReadingUnavailableError):
        kernel.peaks.open()
    kernel.readable = True
    outer = kernel.peaks.open()
    kernel.use(300)
    assert kernel.peaks.close(outer) == Peak(300, "process")
    assert not kernel.peaks._open
