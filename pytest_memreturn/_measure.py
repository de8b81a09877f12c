"""The context manager that judges a block, outside pytest and inside."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeVar

from pytest_memreturn._errors import (
    MemoryNotReturnedWarning,
    ReadingUnavailableError,
    UnjudgedWarning,
)
from pytest_memreturn._failures import MemoryNotReturned, Unjudged
from pytest_memreturn._instruments import Instruments, say_nothing
from pytest_memreturn._record import Record, Window
from pytest_memreturn._recorder import Recorder
from pytest_memreturn._release import Releaser
from pytest_memreturn._settings import (
    DEFAULT_EXPLAIN_TIMEOUT_SECONDS,
    Source,
    check,
    resolve,
)
from pytest_memreturn.allocators import known_allocators
from pytest_memreturn.explain.examiner import ProcessExaminer
from pytest_memreturn.probes import memory_probe, motion_probe, outside_probe
from pytest_memreturn.report.holders import VERBOSE
from pytest_memreturn.report.message import render_message
from pytest_memreturn.report.printable import on_one_line

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_memreturn._by_rounds import ByRounds
    from pytest_memreturn._settings import Settings
    from pytest_memreturn._verdict import Outcome


T = TypeVar("T")


@functools.cache
def instruments(probe: str = "auto") -> Instruments:
    """The instruments of this process: one set, since the kernel has one peak to reset."""
    allocators = known_allocators()
    found = Instruments(
        memory_probe(probe),
        allocators,
        outside=outside_probe(probe),
        releaser=Releaser(trims={one.name: one.release for one in allocators}),
        examiner=ProcessExaminer(),
        motion=motion_probe(probe).sample,
    )
    # The first reading of each kind leaves things behind that no window shall be charged for.
    with contextlib.suppress(ReadingUnavailableError):
        found.full_reading(baseline=True)
        found.begin_outside()
    return found


class Judging(Protocol):
    """Whatever judges a block: what `open` gives is handed back to end its window."""

    @property
    def settings(self) -> Settings: ...

    def open(self) -> object: ...

    def abandon(self, opened: object) -> None: ...

    def close(self, opened: object) -> Record: ...

    def unjudged(self, reason: str, own_outcome: str | None = None) -> Record: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorder whose own failures never reach the code it measures.

    Whatever keeps it from a verdict becomes the `reason` of an unjudged record. `open_windows`
    has the recorder in it for as long as its window is open.
    """

    settings: Settings
    instruments: Callable[[], Instruments]
    nodeid: str
    location: str | None = None
    window: Window = "call"
    label: str | None = None
    open_windows: dict[Recorder, Window] = field(default_factory=dict)

    def open(self) -> Recorder | str:
        """A recorder with its window open, or the reason why there is none."""
        try:
            recorder = Recorder(
                self.instruments(),
                self.settings,
                detailed=self.window == "block",
                around=tuple(self.open_windows),
            )
            recorder.open()
        except Exception as error:  # noqa: BLE001 - see the class
            return reason_of(error)
        self.open_windows[recorder] = self.window
        return recorder

    def abandon(self, opened: object) -> None:
        """End the window of `open` without a verdict."""
        if isinstance(opened, Recorder):
            del self.open_windows[opened]
            with contextlib.suppress(Exception):  # there is no verdict to spoil
                opened.abandon()

    def close(self, opened: object, by_rounds: ByRounds | None = None) -> Record:
        """End the window of `open` and judge it. `by_rounds`: what rounds say, if it had any."""
        if isinstance(opened, Recorder):
            del self.open_windows[opened]
            try:
                measured = opened.close(by_rounds)
            except Exception as error:  # noqa: BLE001 - see the class
                return self.unjudged(reason_of(error))
            return measured.to_record(
                self.nodeid, window=self.window, label=self.label, location=self.location
            )
        return self.unjudged(str(opened))

    def unjudged(self, reason: str, own_outcome: str | None = None) -> Record:
        """A record without a verdict."""
        return Record(
            nodeid=self.nodeid,
            verdict="unjudged",
            gate=self.settings.gate.value,
            window=self.window,
            label=self.label,
            location=self.location,
            reason=reason,
            own_outcome=own_outcome,
        )


def exclude(windows: Sequence[Recorder], fixture: str, scope: str) -> Generator[None, T, T]:
    """Set up a fixture that outlives these open windows, and take what it keeps out of them."""
    __tracebackhide__ = True
    begun = []
    for recorder in windows:
        with contextlib.suppress(Exception):  # then nothing is excluded
            begun.append((recorder, recorder.begin_exclusion()))
    try:
        return (yield)
    finally:
        for recorder, reading in begun:
            with contextlib.suppress(Exception):
                recorder.end_exclusion(reading, fixture, scope)


def reason_of(error: Exception) -> str:
    """What an error says, or what it is: why there is no verdict."""
    if isinstance(error, ReadingUnavailableError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


_ENDED = "ended"


class Measure:
    """Judges what happens inside its ``with`` block; afterwards everything is there to read.

    Made by `measure` and by the ``memreturn`` fixture. Sizes are bytes. Raises
    `MemoryNotReturned` on leaving a block that kept more than allowed; a block that raises by
    itself is not judged. Figures can be read after the block (`RuntimeError` before, and for
    a block that was not judged); `record` and `verdict` are there for every block that ended.
    """

    def __init__(
        self,
        attempt: Judging,
        *,
        on_record: Callable[[Record], None],
        warn: Callable[[str], None],
    ) -> None:
        self._attempt = attempt
        self._on_record = on_record
        self._warn = warn
        self._opened: object = None
        self._record: Record | None = None

    def __enter__(self) -> Self:
        if self._opened is not None:
            msg = "a measured block runs once: call memreturn() or measure() again for another"
            raise RuntimeError(msg)
        self._opened = "off" if self._is_off else self._attempt.open()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        __tracebackhide__ = True
        assert self._opened is not None  # a with statement enters before it leaves
        # Not to be kept with the figures: its readings hold buffers of half a mebibyte.
        opened, self._opened = self._opened, _ENDED
        if self._is_off:
            self._record = self._attempt.unjudged(
                f"switched off ({self._attempt.settings.mode.origin})"
            )
            return False
        if exception_type is not None:
            self._attempt.abandon(opened)
            reason = f"the block raised {exception_type.__name__}"
            self._record = self._attempt.unjudged(reason, own_outcome="raised")
            self._on_record(self._record)
            return False
        self._record = self._attempt.close(opened)
        self._on_record(self._record)
        raise_verdict(self._record, self._attempt.settings, self._warn)
        return False

    @property
    def _is_off(self) -> bool:
        return self._attempt.settings.mode.value == "off"

    @property
    def record(self) -> Record:
        """Everything as plain data, as it goes into reports."""
        if self._record is None:
            msg = "nothing to read yet: the measured block has not ended"
            raise RuntimeError(msg)
        return self._record

    @property
    def verdict(self) -> Outcome:
        """``returned``, ``retained`` or ``unjudged``."""
        return self.record.verdict

    @property
    def retained_bytes(self) -> int:
        """How far the footprint grew, less what is excluded, plus what hides from it.

        Negative where memory was given back.
        """
        return self._judged(self.record.retained_bytes)

    @property
    def peak_growth_bytes(self) -> int:
        """The highest RSS inside the block less the RSS at its start, or the growth at its end."""
        return self._judged(self.record.peak_growth_bytes)

    @property
    def returned_ratio(self) -> float | None:
        """The share of the peak growth that came back; ``None`` where nothing grew."""
        self._judged(self.record.retained_bytes)
        return self.record.returned_ratio

    @property
    def cause(self) -> str | None:
        """Who has the retained memory, as a slug; ``None`` where none was retained."""
        return self.record.cause

    @property
    def ledger(self) -> Mapping[str, int]:
        """What was retained by account, with ``unexplained``.

        It sums to `retained_bytes`, but for ``record.hidden_bytes``, which no footprint shows.
        """
        return self._judged(self.record.ledger)

    @property
    def readings(self) -> dict[str, int]:
        """The footprint at each rung of the ladder that was climbed."""
        readings = self._judged(self.record.readings)
        return {rung: size for rung, size in readings.items() if size is not None}

    def explain(
        self,
        work: Callable[[], object],
        *,
        timeout: float = DEFAULT_EXPLAIN_TIMEOUT_SECONDS,
        progress: Callable[[str], object] = say_nothing,
    ) -> str:
        """Run `work`, what the block did, again in fresh interpreters; tells all that is found.

        `work`: a function of a module, or of the script that was started, with no arguments; its
        module is imported there. `timeout`: at most so many seconds for each of about fifteen
        runs. `progress`: called with what is being done, such as ``print``. Gives the message in
        full: lines that allocated, remedies that were tried with what they returned; `record` has
        it as data. Raises `RuntimeError` for a block that did not retain memory, and `ValueError`
        for work that a fresh interpreter can't find.
        """
        if self.verdict != "retained":
            msg = f"there is nothing to explain: the verdict is {self.verdict}"
            raise RuntimeError(msg)
        from pytest_memreturn.reruns.explained import explained
        from pytest_memreturn.reruns.work import runner_of, with_short_paths

        with runner_of(work, self.record, timeout) as run:
            self._record = with_short_paths(explained(self.record, run, progress))
        return "\n".join(render_message(self._record, verbosity=VERBOSE))

    def _judged(self, figure: T | None) -> T:
        if figure is None:
            msg = f"the block was not judged: {self.record.reason}"
            raise RuntimeError(msg)
        return figure


def raise_verdict(
    record: Record, settings: Settings, warn: Callable[[str], None], *, message: str | None = None
) -> None:
    """Do what the mode asks for: raise, warn, or nothing for memory that was returned or recorded.

    `message`: what to say of memory that was retained, by default `render_message` of the record.
    """
    __tracebackhide__ = True
    if record.verdict == "retained" and settings.mode.value != "record":
        text = message or "\n".join(render_message(record))
        if settings.mode.value == "fail":
            raise MemoryNotReturned(text, record)
        warn(text)
    elif record.verdict == "unjudged" and settings.strict.value:
        reason = on_one_line(record.reason or "no reason known")
        msg = f"unjudged: {reason} (strict: {settings.strict.origin})"
        raise Unjudged(msg, record)


def measure(
    max_retained: int | str | None = None,
    *,
    min_returned: str | None = None,
    trim: bool | None = None,
    settle: float | str | None = None,
    label: str | None = None,
) -> Measure:
    """Judge the block of code under a ``with`` statement, and keep the figures for afterwards.

    `max_retained`: bytes, or a size such as ``"5 MiB"``. `min_returned`: the share of the peak
    growth that must come back, such as ``"95%"``. `trim`: judge after every allocator was
    asked. `settle`: at most so many seconds to wait while memory is still on its way back, by
    default 3. `label`: what messages call the block.

    Raises `InvalidSettingError` for a value that cannot be right. A block that can't be judged
    gives an `UnjudgedWarning`.
    """
    source = Source(
        "measure()",
        {
            "max_retained": max_retained,
            "min_returned": min_returned,
            "trim": trim,
            "settle": settle,
        },
        at_the_test=True,
        of_block=True,
    )
    settings = resolve([check(source)])

    def on_record(record: Record) -> None:
        if record.verdict == "unjudged" and record.own_outcome is None:
            warnings.warn(f"unjudged: {record.reason}", UnjudgedWarning, stacklevel=3)

    attempt = Attempt(settings, instruments, nodeid="", window="block", label=label)
    warn = functools.partial(warnings.warn, category=MemoryNotReturnedWarning, stacklevel=4)
    return Measure(attempt, on_record=on_record, warn=warn)
