"""The ``memreturn`` fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_memreturn._errors import InvalidSettingError

if TYPE_CHECKING:
    import pytest

    from pytest_memreturn._measure import Measure
    from pytest_memreturn._session import Session
    from pytest_memreturn._snapshot import Snapshot
    from pytest_memreturn._watch import Watch


class MemreturnFixture:
    """Judge a block or another process, take a snapshot, release memory."""

    def __init__(self, session: Session, item: pytest.Item) -> None:
        self._session = session
        self._item = item
        self._blocks = self._watches = 0

    def __call__(
        self,
        max_retained: int | str | None = None,
        *,
        min_returned: str | None = None,
        trim: bool | None = None,
        settle: float | str | None = None,
        label: str | None = None,
    ) -> Measure:
        """Judge the ``with`` block that follows; the keywords are those of the marker.

        `label` is what messages and reports call the block; by default ``block 1`` and so on.
        """
        __tracebackhide__ = True
        self._blocks += 1
        keywords = {
            "max_retained": max_retained,
            "min_returned": min_returned,
            "trim": trim,
            "settle": settle,
        }
        try:
            return self._session.measure(self._item, keywords, label or f"block {self._blocks}")
        except InvalidSettingError as error:
            # The line of the test is what was wrong, not ours that found it.
            raise error.with_traceback(None) from None

    def watch(
        self,
        pid: int,
        max_retained: int | str | None = None,
        *,
        settle: float | str | None = None,
        release: bool = False,
        label: str | None = None,
    ) -> Watch:
        """Judge another process, with its descendants, while the ``with`` block runs.

        The keywords are those of `pytest_memreturn.watch`; `label` is ``watch 1`` and so on by
        default.
        """
        __tracebackhide__ = True
        self._watches += 1
        label = label or f"watch {self._watches}"
        keywords = {"max_retained": max_retained, "settle": settle, "release": release}
        try:
            return self._session.watch(self._item, pid, keywords, label)
        except InvalidSettingError as error:
            raise error.with_traceback(None) from None

    def snapshot(self) -> Snapshot:
        """A full reading of this process now."""
        return self._session.instruments().full_reading().snapshot()

    def release(self) -> int:
        """Collect garbage, ask every allocator to trim; how many bytes the footprint fell by."""
        instruments = self._session.instruments()
        before = instruments.memory.exact().footprint_bytes
        instruments.releaser.collect()
        instruments.releaser.trim()
        return before - instruments.memory.exact().footprint_bytes
