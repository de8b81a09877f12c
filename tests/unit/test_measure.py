"""The context manager, on scripted readings."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

import pytest

import pytest_memreturn
from pytest_memreturn import _measure
from pytest_memreturn._errors import InvalidSettingError, ReadingUnavailableError, UnjudgedWarning
from pytest_memreturn._failures import MemoryNotReturned, Unjudged
from pytest_memreturn._instruments import Instruments
from pytest_memreturn._measure import Attempt, Measure, measure
from pytest_memreturn._record import Record
from pytest_memreturn._settings import Source, check, resolve
from pytest_memreturn._snapshot import AllocatorStatistics, Peak
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.probes._contract import Capture
from pytest_memreturn.probes.portable import PortableProbe
from pytest_memreturn.testing import Script, ScriptedProbe

RETAINING = Script(1000, end=9000, collect=9000, trim=2000)
RETURNING = Script(1000, end=1040, peak_rss_bytes=1080)


class Block:
    """A measured block on a script, as the fixture makes one, with all it passes on."""

    def __init__(self, script: Script, **settings: object) -> None:
        self.records: list[Record] = []
        self.warned: list[str] = []
        self.probe = ScriptedProbe([script])
        attempt = Attempt(
            resolve([check(Source("ini option x", {"max_retained": 100, **settings}))]),
            self.probe.instruments,
            "t.py::test_x",
            location="t.py:3",
            window="block",
            label="block 1",
        )
        self.measure = Measure(attempt, on_record=self.records.append, warn=self.warned.append)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], None]:
    """Has `measure` play a script."""

    def scripted(script: Script) -> None:
        instruments = ScriptedProbe([script]).instruments()
        monkeypatch.setattr(_measure, "instruments", lambda: instruments)

    return scripted


def test_a_block_that_returned_has_everything_to_read() -> None:
    """Verdict, sizes, ledger and readings, and the record that goes into reports."""
    block = Block(RETURNING)
    with block.measure as m:
        pass
    assert m is block.measure
    assert m.verdict == "returned"
    assert m.retained_bytes == 40
    assert m.peak_growth_bytes == 80
    assert m.returned_ratio == 0.5
    assert m.cause is None
    assert m.ledger == {"unexplained": 40}
    assert m.readings == {"baseline": 1000, "end": 1040, "collect": 1040}
    assert block.records == [m.record]
    assert m.record.nodeid == "t.py::test_x"
    assert (m.record.window, m.record.label) == ("block", "block 1")
    assert m.record.location == "t.py:3"
    assert block.warned == []


def test_a_block_that_retained_raises_with_its_record() -> None:
    """It is an assertion that failed, and everything is there to read all the same."""
    block = Block(RETAINING)
    with pytest.raises(MemoryNotReturned) as caught, block.measure as m:
        pass
    assert str(caught.value).startswith("block 1: kept 7.8 KiB (allowed 100 B, ini option x)\n")
    assert caught.value.record is m.record
    assert block.records == [m.record]
    assert (m.verdict, m.retained_bytes, m.cause) == ("retained", 8000, "unexplained")
    assert m.ledger == {"unexplained": 8000}


def test_a_warning_says_what_a_failure_would() -> None:
    """Under the mode warn the block ends well, and the message goes another way."""
    failing, warning = Block(RETAINING), Block(RETAINING, mode="warn")
    with pytest.raises(MemoryNotReturned) as caught, failing.measure:
        pass
    with warning.measure as m:
        pass
    assert warning.warned == [str(caught.value)]
    assert m.verdict == "retained"


def test_a_block_that_is_switched_off_reads_nothing() -> None:
    """It only runs, and no report hears of it."""
    block = Block(Script(1000, end=9000, unreadable="baseline"), mode="off")
    with block.measure as m:
        pass
    assert m.verdict == "unjudged"
    assert m.record.reason == "switched off (ini option x)"
    assert block.records == []
    assert block.warned == []


def test_a_block_that_is_switched_off_still_raises_by_itself() -> None:
    """An exception of the block is never swallowed."""
    with pytest.raises(KeyError), Block(RETAINING, mode="off").measure:
        raise KeyError


def test_a_block_that_raises_is_not_judged() -> None:
    """Its own exception goes on, and the window ends: a traceback keeps its locals alive."""
    block = Block(RETAINING)
    problem = KeyError("x")
    with pytest.raises(KeyError) as caught, block.measure as m:
        raise problem
    assert caught.value is problem
    assert m.record.verdict == "unjudged"
    assert m.record.reason == "the block raised KeyError"
    assert m.record.own_outcome == "raised"
    assert block.records == [m.record]
    # The window is over: what comes next is the outermost again.
    assert block.probe.open_peak() == 0


@pytest.mark.parametrize("unreadable", ["baseline", "end", "collect"])
def test_a_reading_that_cannot_be_had_is_no_failure(unreadable: str) -> None:
    """The block is unjudged, and says why; there are no figures to read."""
    block = Block(Script(1000, end=9000, unreadable=unreadable))  # type: ignore[arg-type]
    with block.measure as m:
        pass
    reason = f"the script has no reading at {unreadable}"
    assert (m.verdict, m.record.reason, m.record.own_outcome) == ("unjudged", reason, None)
    assert block.records == [m.record]
    assert m.cause is None
    for figure in ("retained_bytes", "peak_growth_bytes", "returned_ratio", "ledger", "readings"):
        with pytest.raises(RuntimeError, match=f"^the block was not judged: {reason}$"):
            getattr(m, figure)


def test_a_block_that_raises_may_be_unreadable_too() -> None:
    """Its own exception is what is heard of."""
    with (
        pytest.raises(KeyError),
        Block(Script(1000, unreadable="baseline")).measure,
    ):
        raise KeyError


def test_strict_fails_what_could_not_be_judged() -> None:
    """The error names the reason, and who asked for strictness."""
    block = Block(Script(1000, unreadable="end"), strict=True)
    with pytest.raises(Unjudged) as caught, block.measure as m:
        pass
    assert str(caught.value) == (
        "unjudged: the script has no reading at end (strict: ini option x)"
    )
    assert caught.value.record is m.record


@pytest.mark.parametrize(
    "script", [RETURNING, Script(1000, end=9000, collect=1000)], ids=["returned", "garbage"]
)
def test_strict_lets_pass_what_was_returned(script: Script) -> None:
    """Strictness concerns readings that could not be had."""
    with Block(script, strict=True).measure as m:
        pass
    assert m.verdict == "returned"


def test_nothing_can_be_read_inside_the_block() -> None:
    """Figures exist when the block has ended."""
    block = Block(RETURNING)
    names = ("record", "verdict", "retained_bytes", "cause", "ledger", "readings", "returned_ratio")
    for name in names:
        with pytest.raises(RuntimeError, match=r"^nothing to read yet: the measured block has"):
            getattr(block.measure, name)
    with block.measure as m:
        for name in names:
            with pytest.raises(RuntimeError, match=r"^nothing to read yet"):
                getattr(m, name)


@pytest.mark.parametrize("mode", ["fail", "off"])
def test_a_block_runs_once(mode: str) -> None:
    """Its figures are those of one run; another one needs another measure."""
    block = Block(RETURNING, mode=mode)
    with block.measure:
        pass
    with (
        pytest.raises(RuntimeError, match=r"runs once: call memreturn\(\) or measure\(\) again"),
        block.measure,
    ):
        pass
    with (
        Block(RETURNING).measure as m,
        pytest.raises(RuntimeError, match="runs once"),
        m,
    ):
        pass


def failing_instruments() -> Instruments:
    """What a broken installation may do."""
    raise ImportError


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (ReadingUnavailableError("gone"), "gone"),
    ],
)
def test_any_failure_of_ours_is_a_reason_and_no_error(problem: Exception, reason: str) -> None:
    """The code under test never sees that measuring failed."""

    class Broken(ScriptedProbe):
        def close_peak(self, token: int) -> Peak:
            del token
            raise problem

    attempt = Attempt(resolve([]), Broken([RETURNING]).instruments, "t.py::test_x")
    record = attempt.close(attempt.open())
    assert (record.verdict, record.reason) == ("unjudged", reason)
    # Not even where there is no verdict to take.
    attempt.abandon(attempt.open())


def test_a_failure_without_words_is_named_by_its_type() -> None:
    """A reason is never empty."""
    attempt = Attempt(resolve([]), failing_instruments, "t.py::test_x")
    opened = attempt.open()
    assert opened == "ImportError"
    attempt.abandon(opened)
    record = attempt.close(opened)
    assert record.reason == "ImportError"


@pytest.mark.parametrize("wrong", [17, AllocatorStatistics("other", 5)])
def test_statistics_that_cannot_be_are_a_reason(wrong: object) -> None:
    """An allocator from a hook may answer anything; the reason names it, and what it said."""

    class Odd(Allocator):
        name = "pool"

        def statistics(self) -> AllocatorStatistics | None:
            return wrong  # type: ignore[return-value]

    plain = ScriptedProbe([RETURNING]).instruments()
    instruments = dataclasses.replace(plain, allocators=(Odd(),))
    record = (attempt := Attempt(resolve([]), lambda: instruments, "t")).close(attempt.open())
    assert (record.verdict, record.reason) == (
        "unjudged",
        f"allocator pool: TypeError: statistics() gave {wrong!r}",
    )


@pytest.mark.parametrize(
    ("fails_from", "excluded"),
    [
        pytest.param(9, 1, id="all can be read"),
        pytest.param(2, 0, id="the first reading fails"),
        pytest.param(3, 0, id="the second reading fails"),
    ],
)
def test_a_fixture_is_set_up_whether_it_can_be_excluded_or_not(
    fails_from: int, excluded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading that fails leaves it in the window; what the fixture gives goes on."""
    probe = ScriptedProbe([RETURNING])
    capture, numbers = probe.capture, itertools.count(1)

    def limited(*, baseline: bool = False) -> Capture:
        if next(numbers) >= fails_from:
            raise ReadingUnavailableError
        return capture(baseline=baseline)

    monkeypatch.setattr(probe, "capture", limited)
    attempt = Attempt(resolve([]), probe.instruments, "t")
    opened = attempt.open()
    assert list(attempt.open_windows) == [opened]
    setup: Generator[None, str, str]
    setup = _measure.exclude(list(attempt.open_windows), "server", "session")
    next(setup)
    with pytest.raises(StopIteration) as ended:
        setup.send("what the fixture gave")
    assert ended.value.value == "what the fixture gave"
    record = attempt.close(opened)
    assert [(one.fixture, one.scope) for one in record.excluded] == [
        ("server", "session")
    ] * excluded
    assert attempt.open_windows == {}


def test_a_fixture_that_fails_fails() -> None:
    """What it kept until then is excluded all the same."""
    attempt = Attempt(resolve([]), ScriptedProbe([RETURNING]).instruments, "t")
    opened = attempt.open()
    setup: Generator[None, str, str]
    setup = _measure.exclude(list(attempt.open_windows), "server", "session")
    next(setup)
    with pytest.raises(KeyError):
        setup.throw(KeyError())
    assert len(attempt.close(opened).excluded) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interruption_while_measuring_goes_on(stop: type[BaseException]) -> None:
    """Whoever stops the run stops it."""

    def interrupted() -> Instruments:
        raise stop

    with pytest.raises(stop):
        Attempt(resolve([]), interrupted, "t.py::test_x").open()


def test_measure_judges_a_block_outside_pytest(play: Callable[[Script], None]) -> None:
    """The default allowance holds, and the origin of a keyword is the call."""
    play(RETAINING)
    with measure() as m:
        pass
    assert (m.verdict, m.retained_bytes, m.record.allowed_origin) == ("returned", 8000, "default")
    with (
        pytest.raises(MemoryNotReturned, match=r"^kept 7.8 KiB \(allowed 0 B, measure\(\)\)\n"),
        measure(0) as m,
    ):
        pass
    assert m.verdict == "retained"


def test_measure_takes_the_keywords_of_the_marker(play: Callable[[Script], None]) -> None:
    """Sizes, shares, the gate, and a name for messages."""
    play(Script(1000, end=9000, collect=8000, trim=1000))
    with measure("1 KB", trim=True, label="parse") as m:
        pass
    assert (m.verdict, m.record.gate, m.record.label) == ("returned", "trim", "parse")
    play(Script(0, end=200 * 1024))
    with (
        pytest.raises(MemoryNotReturned, match=r"^parse: kept 200.0 KiB \(allowed 100.0 KiB, meas"),
        measure(min_returned="50%", label="parse"),
    ):
        pass


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"max_retained": "lots"}, r"^measure\(\): max_retained: 'lots' is not a size"),
        ({"min_returned": "101%"}, r"^measure\(\): min_returned: '101%' is above 100 %$"),
        ({"trim": 1}, r"^measure\(\): trim: 1 is not True or False$"),
    ],
)
def test_a_wrong_value_is_an_error_before_the_block(
    keywords: dict[str, object], message: str
) -> None:
    """It is raised by the call, so that the block does not run first."""
    with pytest.raises(InvalidSettingError, match=message):
        measure(**keywords)  # type: ignore[arg-type]


def test_a_block_that_cannot_be_judged_warns_where_it_stands(
    play: Callable[[Script], None],
) -> None:
    """Outside pytest a warning is the only voice there is, and it names the line of the block."""
    play(Script(1000, unreadable="end"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with measure() as m:
            pass
    assert m.verdict == "unjudged"
    [warning] = caught
    assert warning.category is UnjudgedWarning
    assert str(warning.message) == "unjudged: the script has no reading at end"
    line = Path(__file__).read_text(encoding="utf-8").splitlines()[warning.lineno - 1]
    assert (Path(warning.filename), line.strip()) == (Path(__file__), "with measure() as m:")


def test_a_block_that_raises_does_not_warn(play: Callable[[Script], None]) -> None:
    """Its own exception says enough."""
    play(RETAINING)
    with pytest.raises(KeyError), measure() as m:
        raise KeyError
    assert m.record.own_outcome == "raised"


def test_instruments_are_made_once_for_a_process() -> None:
    """The kernel has one peak to reset, so all windows share one probe of each name."""
    portable = _measure.instruments("portable")
    assert isinstance(portable.memory, PortableProbe)
    assert _measure.instruments("portable") is portable
    assert _measure.instruments("auto") is not portable


@pytest.mark.parametrize("unreadable", [None, "trim"])
def test_instruments_have_been_read_once_when_they_are_had(
    unreadable: Literal["trim"] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first reading leaves behind is charged to no window; it may fail, as any reading."""
    probe = ScriptedProbe([Script(1000, unreadable=unreadable)])
    capture, read = probe.capture, []

    def watched(*, baseline: bool = False) -> Capture:
        read.append(baseline)
        return capture(baseline=baseline)

    monkeypatch.setattr(probe, "capture", watched)
    monkeypatch.setattr(_measure, "memory_probe", {"scripted": probe}.__getitem__)
    assert _measure.instruments.__wrapped__("scripted").memory is probe
    assert read == [True]


def test_public_names_are_there_when_asked_for() -> None:
    """Each public name is its module's own, and listed; others are errors."""
    assert pytest_memreturn.measure is measure
    for name in pytest_memreturn.__all__:
        assert getattr(pytest_memreturn, name).__name__ == name
        assert name in dir(pytest_memreturn)
    assert "__doc__" in dir(pytest_memreturn)
    with pytest.raises(AttributeError, match="'pytest_memreturn' has no attribute 'measured'"):
        pytest_memreturn.measured  # noqa: B018 - asking is the point
