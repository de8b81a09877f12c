"""What pytest itself keeps of a test: told for handlers and streams that are pytest's own."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pytest_memreturn._explanation import Holding
from pytest_memreturn.explain import test_runner
from pytest_memreturn.explain.test_runner import held_by_pytest

LOG, OUTPUT = "log records that pytest captured", "bytes of output that pytest captured"


class Capturing(logging.StreamHandler[io.StringIO]):
    """Keeps records and their texts, as pytest's handler does."""

    __module__ = "_pytest.logging"

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.records: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)
        super().emit(record)


class CapturedStream(io.TextIOWrapper):
    """Keeps what is written in memory, as pytest's stream does under ``--capture=sys``."""

    __module__ = "_pytest.capture"

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> list[logging.Handler]:
    """The root logger's handlers: none, until a test adds some; and streams of nobody's."""
    found: list[logging.Handler] = []
    # Not the root logger itself: the pytest that runs this test has handlers there.
    root = SimpleNamespace(handlers=found)
    names = SimpleNamespace(getLogger=lambda: root, LogRecord=logging.LogRecord)
    monkeypatch.setattr(test_runner, "logging", names)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    return found


@pytest.fixture
def log(handlers: list[logging.Handler]) -> Callable[..., logging.LogRecord]:
    """Hand a record to every handler."""

    def log(message: str, *args: object) -> logging.LogRecord:
        record = logging.LogRecord("app", logging.WARNING, "app.py", 1, message, args, None)
        for handler in handlers:
            handler.handle(record)
        return record

    return log


def test_where_pytest_keeps_nothing_nothing_is_told(handlers: list[logging.Handler]) -> None:
    """Not even that it keeps nothing."""
    handlers.append(Capturing())
    assert held_by_pytest() == ()


def test_records_are_counted_once(
    handlers: list[logging.Handler], log: Callable[..., logging.LogRecord]
) -> None:
    """Pytest has two handlers: both keep the same records, and each a text of its own."""
    handlers += [Capturing(), Capturing()]
    payload = "x" * 100_000
    kept = [log("%s %d", payload + str(number), number) for number in range(3)]
    [holding] = held_by_pytest()
    assert (holding.what, holding.count) == (LOG, 3)
    formatted = 2 * sum(len(record.getMessage()) + 1 for record in kept)
    # Once each, though both handlers keep the records: the arguments, and the finished message.
    parts = sum(sys.getsizeof(part) for one in kept for part in (one.message, *(one.args or ())))
    assert formatted + parts < holding.bytes < formatted + parts + 3 * 5000


@pytest.mark.parametrize(
    "args", [({"name": "y" * 100_000},), ("y" * 100_000,), ()], ids=["by name", "by place", "none"]
)
def test_what_a_message_is_made_of_counts(
    args: tuple[object, ...],
    handlers: list[logging.Handler],
    log: Callable[..., logging.LogRecord],
) -> None:
    """A record keeps its arguments alive, whether by place or by name."""
    handler = Capturing()
    handlers.append(handler)
    record = log("%.0s" if args else "no text", *args)
    handler.stream.truncate(0)
    handler.stream.seek(0)
    [holding] = held_by_pytest()
    assert (holding.count, holding.bytes > 100_000) == (1, bool(args))
    assert isinstance(record.args, dict) == bool(args and isinstance(args[0], dict))


def test_a_text_that_a_record_keeps_counts(
    handlers: list[logging.Handler], log: Callable[..., logging.LogRecord]
) -> None:
    """A formatter leaves the finished message on the record."""
    handlers.append(Capturing())
    record = log("short")
    before = held_by_pytest()[0].bytes
    record.message = "z" * 100_000
    assert held_by_pytest()[0].bytes - before >= 100_000


def test_handlers_of_others_are_not_pytest_s(
    handlers: list[logging.Handler], log: Callable[..., logging.LogRecord]
) -> None:
    """What a program's own handler keeps is the program's."""

    class Own(Capturing):
        __module__ = "app.logs"

    handlers += [Own(), logging.NullHandler()]
    log("%s", "x" * 1000)
    assert held_by_pytest() == ()


def test_handlers_without_records_or_text_keep_none(handlers: list[logging.Handler]) -> None:
    """Pytest has a handler that writes to a file, and one that does nothing."""

    class Silent(logging.Handler):
        __module__ = "_pytest.logging"

    handlers += [Silent(), handler := Capturing()]
    handler.records.append("not a record")
    assert held_by_pytest() == ()


def test_output_in_memory_is_told(
    handlers: list[logging.Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both streams together, without reading it."""
    monkeypatch.setattr(sys, "stdout", CapturedStream())
    monkeypatch.setattr(sys, "stderr", CapturedStream())
    sys.stdout.write("x" * 1000)
    sys.stderr.write("y" * 10)
    assert held_by_pytest() == (Holding(OUTPUT, 1010, 1010),)


@pytest.mark.parametrize("stream", [None, io.StringIO("x" * 1000), io.TextIOWrapper(io.BytesIO())])
def test_output_that_goes_elsewhere_is_not(
    stream: object, handlers: list[logging.Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a file, to a stream of the program's own, or nowhere."""
    monkeypatch.setattr(sys, "stdout", stream)
    assert held_by_pytest() == ()


INNER = f"""
import logging
from pytest_memreturn.explain.test_runner import held_by_pytest

def held(what):
    return next(((one.count, one.bytes) for one in held_by_pytest() if one.what == what), (0, 0))

def test_it():
    before = held({OUTPUT!r})
    for number in range(100):
        logging.getLogger("app").warning("%s", str(number) * 1000)
        print("out" * 100)
    records, log_bytes = held({LOG!r})
    characters, _ = held({OUTPUT!r})
    # The texts as arguments, and once or twice in the form of the report.
    expected = range(2 * 190_000, 3 * 190_000 + 100 * 2000) if LOG_IS_KEPT else range(1)
    assert (records, log_bytes in expected) == (100 * LOG_IS_KEPT, True)
    assert characters - before[0] == 100 * 301 * OUTPUT_IS_KEPT
"""


@pytest.mark.parametrize(
    ("options", "log_is_kept", "output_is_kept"),
    [
        ((), True, False),  # output goes to a file
        (("--capture=sys",), True, True),
        (("-s", "-p", "no:logging"), False, False),
    ],
)
def test_pytest_keeps_what_it_is_said_to_keep(
    options: tuple[str, ...],
    log_is_kept: bool,
    output_is_kept: bool,
    pytester: pytest.Pytester,
) -> None:
    """Its handlers and streams are still where they are looked for."""
    source = INNER.replace("LOG_IS_KEPT", str(log_is_kept))
    pytester.makepyfile(source.replace("OUTPUT_IS_KEPT", str(output_is_kept)))
    # In a process of its own: the outer pytest's handlers and streams are pytest's as well.
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
