"""Settings by precedence, each with the origin that messages name; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Generic, Literal, TypeAlias, TypeVar, cast

from pytest_memreturn._errors import InvalidSettingError
from pytest_memreturn._sizes import MIB, parse_size

Gate: TypeAlias = Literal["collect", "trim"]
# The last one is nobody's to choose: it comes with --memreturn-save.
Mode: TypeAlias = Literal["fail", "warn", "off", "record"]

T = TypeVar("T")

_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_TIME = re.compile(rf"(?P<number>{_NUMBER.pattern}) ?(?P<unit>s|ms)?", re.ASCII)

# A first call leaves behind caches and interned strings of some hundred KiB that nobody would
# call a leak, while an empty test moves by at most 16 KiB: 2 MiB lies well between noise and
# what a container feels.
DEFAULT_MAX_RETAINED_BYTES = 2 * MIB

# What polars freed was back within 1.1 s, and under a jemalloc with a decay of 1 s within 2.6 s.
DEFAULT_SETTLE_SECONDS = 3.0

# One re-run: as long as a slow test may take, and no night.
DEFAULT_EXPLAIN_TIMEOUT_SECONDS = 60.0

# More rounds than that are a slip: at a millisecond for each it would take minutes.
_MOST_ROUNDS = 100_000
_WHOLE = re.compile(r"[0-9]{1,20}", re.ASCII)

# Nobody waits that long for memory: more is a slip, such as milliseconds without their unit.
_MOST_SECONDS = 3600

MODES: tuple[Mode, ...] = ("fail", "warn", "off")


@dataclass(frozen=True, slots=True)
class Sourced(Generic[T]):
    """A value and where it came from, such as ``marker on test_x``."""

    value: T
    origin: str


_ONE_ROUND, _NO_WARMUP = Sourced(1, "default"), Sourced(0, "default")


@dataclass(frozen=True, slots=True)
class Source:
    """Settings that one origin gives, by keyword.

    `at_the_test`: they are written at the test, or the block, itself. `of_block`: at a block, which
    runs once.
    """

    origin: str
    values: Mapping[str, object]
    at_the_test: bool = False
    of_block: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a ratchet file has for a test, and how much more is not yet more."""

    retained_bytes: int
    tolerance_bytes: int
    file: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be retained: bytes, a share of the peak growth that must come back, or both.

    `recorded` lets stay what stayed before, where that is more. `max_per_round`: growth in bytes
    for each round, where there are rounds; what else is ``None`` then does not matter.
    """

    max_retained_bytes: Sourced[int] | None
    min_returned: Sourced[Fraction] | None
    recorded: Recorded | None = None
    max_per_round: Sourced[int] | None = None

    @property
    def of_whole_window(self) -> bool:
        """Whether how much a window retains matters, however it came."""
        return self.max_retained_bytes is not None or self.min_returned is not None

    @property
    def chosen(self) -> bool:
        """Whether somebody asked for them, or they are what everybody gets."""
        size = self.max_retained_bytes
        return self.min_returned is not None or size is None or size.origin != DEFAULTS.origin


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides how one test, or one block, is judged."""

    enabled: Sourced[bool]
    limits: Limits
    gate: Sourced[Gate]
    settle_seconds: Sourced[float]
    mode: Sourced[Mode]
    strict: Sourced[bool]
    explain: Sourced[bool]
    explain_timeout_seconds: Sourced[float]
    rounds: Sourced[int] = _ONE_ROUND
    warmup: Sourced[int] = _NO_WARMUP


DEFAULTS = Source(
    "default",
    {
        "enabled": False,
        "max_retained": DEFAULT_MAX_RETAINED_BYTES,
        "trim": False,
        "settle": DEFAULT_SETTLE_SECONDS,
        "rounds": _ONE_ROUND.value,
        "warmup": _NO_WARMUP.value,
        "max_per_round": 0,
        "mode": "fail",
        "strict": False,
        "explain": False,
        "explain_timeout": DEFAULT_EXPLAIN_TIMEOUT_SECONDS,
    },
)


def parse_share(value: object) -> Fraction:
    """``"95%"`` as 19/20. Raises `ValueError` for anything but a percentage from 0 % to 100 %."""
    if not isinstance(value, str) or not value.strip().endswith("%"):
        msg = f"{value!r} is not a share: write a percentage as text, such as '95%'"
        raise ValueError(msg)
    number = value.strip().removesuffix("%").strip()
    if not _NUMBER.fullmatch(number):
        msg = f"{value!r} is not a percentage"
        raise ValueError(msg)
    share = Fraction(number) / 100
    if share > 1:
        msg = f"{value!r} is above 100 %"
        raise ValueError(msg)
    return share


def parse_seconds(value: object) -> float:
    """Seconds from a number, or from text such as ``"5"``, ``"2 s"`` or ``"500 ms"``.

    Raises `ValueError`, with a sentence that starts with the value, for anything else, for a
    negative number and for more than an hour.
    """
    seconds = _seconds(value)
    if seconds is None:
        msg = f"{value!r} is not a time: write seconds as a number, or text such as '500 ms'"
        raise ValueError(msg)
    if seconds < 0:
        msg = f"{value!r} is negative: a time is 0 or more seconds"
        raise ValueError(msg)
    if seconds > _MOST_SECONDS:
        msg = f"{value!r} is more than an hour"
        raise ValueError(msg)
    return float(seconds)


def _parse_time_limit(value: object) -> float:
    seconds = parse_seconds(value)
    if not seconds:
        msg = f"{value!r} leaves no time at all"
        raise ValueError(msg)
    return seconds


def _parse_count(least: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and _WHOLE.fullmatch(text):
            text = int(text)
        if isinstance(text, bool) or not isinstance(text, int):
            msg = f"{value!r} is not a whole number"
            raise ValueError(msg)  # noqa: TRY004 - a value from a marker, not a slip in this program
        if text < least:
            msg = f"{value!r} is less than {least}"
            raise ValueError(msg)
        if text > _MOST_ROUNDS:
            msg = f"{value!r} is more than {_MOST_ROUNDS:,}"
            raise ValueError(msg)
        return text

    return parse


def _seconds(value: object) -> Fraction | None:
    if isinstance(value, str):
        found = _TIME.fullmatch(value.strip())
        if found is None:
            return None
        return Fraction(found["number"]) / (1000 if found["unit"] == "ms" else 1)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return Fraction(value)
    except (ValueError, OverflowError):  # not a number, or infinite
        return None


def _parse_bool(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{value!r} is not True or False"
        raise ValueError(msg)  # noqa: TRY004 - a value from a marker, not a slip in this program
    return value


def _parse_mode(value: object) -> Mode:
    if value not in MODES:
        msg = f"{value!r} is not one of {', '.join(MODES)}"
        raise ValueError(msg)
    return value


_PARSERS: Mapping[str, Callable[[object], object]] = {
    "enabled": _parse_bool,
    "max_retained": cast("Callable[[object], object]", parse_size),
    "min_returned": parse_share,
    "trim": _parse_bool,
    "settle": parse_seconds,
    "rounds": _parse_count(1),
    "warmup": _parse_count(0),
    "max_per_round": cast("Callable[[object], object]", parse_size),
    "mode": _parse_mode,
    "strict": _parse_bool,
    "explain": _parse_bool,
    "explain_timeout": _parse_time_limit,
}

# What a marker takes; of that a block under the fixture or measure() takes all but rounds, which
# only a test has. The rest concerns a whole run.
_ROUNDS_KEYWORDS = ("warmup", "rounds", "max_per_round")
LOCAL_KEYWORDS = ("max_retained", "min_returned", "trim", "settle", *_ROUNDS_KEYWORDS, "enabled")


def check(source: Source) -> Source:
    """The same source with its values parsed; raises `InvalidSettingError` for a wrong one.

    ``None`` means that the origin leaves the setting to the next one.
    """
    parsed: dict[str, object] = {}
    for keyword, value in source.values.items():
        if source.at_the_test and keyword not in LOCAL_KEYWORDS:
            msg = f"unknown keyword; returns_memory takes {', '.join(LOCAL_KEYWORDS)}"
            raise InvalidSettingError(source.origin, keyword, msg)
        if value is None:
            continue
        try:
            parsed[keyword] = _PARSERS[keyword](value)
        except ValueError as error:
            raise InvalidSettingError(source.origin, keyword, str(error)) from None
    return replace(source, values=parsed)


def _closest(sources: Iterable[Source]) -> dict[str, Sourced[object]]:
    """Each keyword as the first of `sources` has it that has it."""
    found: dict[str, Sourced[object]] = {}
    for source in sources:
        for keyword in source.values.keys() - found.keys():
            found[keyword] = Sourced(source.values[keyword], source.origin)
    return found


_BY_DEFAULT = _closest([DEFAULTS])


def resolve(sources: Sequence[Source]) -> Settings:
    """Settings from checked sources, closest first, over the defaults.

    A share given at the test replaces a size given further away (on the command line, in
    the ini file or by default): whoever wrote it chose how this test is limited. A size and a
    share given at the test must both hold. So do rounds replace a size that is given further away
    than they are, and never one that is given as near. Raises `InvalidSettingError` where a limit
    for each round is given at a test without rounds.
    """
    found = {**_BY_DEFAULT, **_closest(sources)}
    at_the_test = _closest(one for one in sources if one.at_the_test)
    share = at_the_test.get("min_returned")
    size = (found if share is None else at_the_test).get("max_retained")
    per_round = None
    if any(one.of_block for one in sources):
        found |= {one: _BY_DEFAULT[one] for one in _ROUNDS_KEYWORDS}
    elif found["rounds"].value != 1:
        per_round = found["max_per_round"]
        size = _size_beside_rounds(size, at_the_test)
    elif "max_per_round" in at_the_test and found["rounds"] is _BY_DEFAULT["rounds"]:
        origin = at_the_test["max_per_round"].origin
        msg = "there are no rounds to compare: add rounds=, or --memreturn-rounds"
        raise InvalidSettingError(origin, "max_per_round", msg)
    trim = found["trim"]
    return Settings(
        enabled=cast("Sourced[bool]", found["enabled"]),
        limits=Limits(
            cast("Sourced[int] | None", size),
            cast("Sourced[Fraction] | None", share),
            max_per_round=cast("Sourced[int] | None", per_round),
        ),
        gate=Sourced("trim" if trim.value else "collect", trim.origin),
        settle_seconds=cast("Sourced[float]", found["settle"]),
        mode=cast("Sourced[Mode]", found["mode"]),
        strict=cast("Sourced[bool]", found["strict"]),
        explain=cast("Sourced[bool]", found["explain"]),
        explain_timeout_seconds=cast("Sourced[float]", found["explain_timeout"]),
        rounds=cast("Sourced[int]", found["rounds"]),
        warmup=cast("Sourced[int]", found["warmup"]),
    )


def _size_beside_rounds(
    size: Sourced[object] | None, at_the_test: Mapping[str, Sourced[object]]
) -> Sourced[object] | None:
    """The size that must hold beside growth for each round: a default is nobody's choice."""
    if size is None or size is _BY_DEFAULT["max_retained"]:
        return None
    return at_the_test.get("max_retained") if "rounds" in at_the_test else size
