"""Settings by precedence, each with the origin that messages name; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Literal, TypeAlias, TypeVar, cast

from pytest_memreturn._errors import InvalidSettingError
from pytest_memreturn._sizes import MIB, parse_size
from pytest_memreturn._values import (
    one_of,
    parse_bool,
    parse_env,
    parse_seconds,
    parse_share,
    parse_time_limit,
    whole_number,
)

# At "end" nothing is forced: a process that is watched from outside is taken as it is.
Gate: TypeAlias = Literal["end", "collect", "trim"]
# The last one is nobody's to choose: it comes with --memreturn-save.
Mode: TypeAlias = Literal["fail", "warn", "off", "record"]

# What is judged together: the body of a test; that with its set-up and tear-down; all tests of a
# class, or of a module, with theirs.
Reach: TypeAlias = Literal["call", "test", "class", "module"]

T = TypeVar("T")

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

GATES: tuple[Gate, ...] = ("end", "collect", "trim")
MODES: tuple[Mode, ...] = ("fail", "warn", "off")
REACHES: tuple[Reach, ...] = ("call", "test", "class", "module")
# Of more than one test, and so for a mark on what they lie in.
_OF_MANY = ("class", "module")

# Who may serve malloc where a test is isolated; the first one is the C library's own.
ALLOCATORS = ("malloc", "jemalloc", "tcmalloc", "mimalloc")

# Each says how a test is isolated, and so that it is.
_IMPLY_ISOLATION = ("env", "allocator")


@dataclass(frozen=True, slots=True)
class Sourced(Generic[T]):
    """A value and where it came from, such as ``marker on test_x``."""

    value: T
    origin: str


_ONE_ROUND, _NO_WARMUP = Sourced(1, "default"), Sourced(0, "default")
_BODY: Sourced[Reach] = Sourced("call", "default")


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
    isolate: Sourced[bool]
    env: Sourced[Mapping[str, str | None]]
    allocator: Sourced[str | None]
    isolate_timeout_seconds: Sourced[float | None]
    window: Sourced[Reach] = _BODY
    rounds: Sourced[int] = _ONE_ROUND
    warmup: Sourced[int] = _NO_WARMUP


DEFAULTS = Source(
    "default",
    {
        "enabled": False,
        "max_retained": DEFAULT_MAX_RETAINED_BYTES,
        "trim": False,
        "settle": DEFAULT_SETTLE_SECONDS,
        "window": _BODY.value,
        "rounds": _ONE_ROUND.value,
        "warmup": _NO_WARMUP.value,
        "max_per_round": 0,
        "mode": "fail",
        "strict": False,
        "explain": False,
        "explain_timeout": DEFAULT_EXPLAIN_TIMEOUT_SECONDS,
        "isolate": False,
        "env": {},
    },
)


_PARSERS: Mapping[str, Callable[[object], object]] = {
    "enabled": parse_bool,
    "max_retained": cast("Callable[[object], object]", parse_size),
    "min_returned": parse_share,
    "trim": parse_bool,
    "settle": parse_seconds,
    "window": one_of(REACHES),
    "rounds": whole_number(1, _MOST_ROUNDS),
    "warmup": whole_number(0, _MOST_ROUNDS),
    "max_per_round": cast("Callable[[object], object]", parse_size),
    "mode": one_of(MODES),
    "strict": parse_bool,
    "explain": parse_bool,
    "explain_timeout": parse_time_limit,
    "isolate": parse_bool,
    "env": parse_env,
    "allocator": one_of(ALLOCATORS),
    "isolate_timeout": parse_time_limit,
}

# What a marker takes; of that a block under the fixture or measure() takes what is no matter of a
# whole test. The rest concerns a whole run.
_ROUNDS_KEYWORDS = ("warmup", "rounds", "max_per_round")
LOCAL_KEYWORDS = (
    *("max_retained", "min_returned", "trim", "settle", "window"),
    *_ROUNDS_KEYWORDS,
    *("enabled", "isolate", *_IMPLY_ISOLATION),
)


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
    if parsed.get("window") in _OF_MANY and not source.at_the_test:
        msg = f"{parsed['window']!r} is for a mark on a {parsed['window']}: here, call or test"
        raise InvalidSettingError(source.origin, "window", msg)
    for keyword in _IMPLY_ISOLATION:
        if parsed.get(keyword) and not parsed.setdefault("isolate", True):
            msg = "goes with isolate=True only: nothing else starts a process for it"
            raise InvalidSettingError(source.origin, keyword, msg)
    return dataclasses.replace(source, values=parsed)


def _closest(sources: Iterable[Source]) -> dict[str, Sourced[object]]:
    """Each keyword as the first of `sources` has it that has it."""
    found: dict[str, Sourced[object]] = {}
    for source in sources:
        for keyword in source.values.keys() - found.keys():
            found[keyword] = Sourced(source.values[keyword], source.origin)
    return found


_BY_DEFAULT = _closest([DEFAULTS])


# Left out of the defaults: no allocator but the run's own, and as much time as a test likes.
_NONE: Sourced[object] = Sourced(None, DEFAULTS.origin)


def resolve(sources: Sequence[Source]) -> Settings:
    """Settings from checked sources, closest first, over the defaults.

    A share given at the test replaces a size given further away (on the command line, in
    the ini file or by default): whoever wrote it chose how this test is limited. A size and a
    share given at the test must both hold. So do rounds replace a size that is given further away
    than they are, and never one that is given as near. Rounds are those of a body: a wider window
    that is given at the test has none, and one that is not is none where the test has rounds. A
    test that asks for one round has no warm-up but its own.
    Raises `InvalidSettingError` where both are given at the test, and where a limit for each round
    is given at a test without rounds.
    """
    found = {**_BY_DEFAULT, **_closest(sources)}
    at_the_test = _closest(one for one in sources if one.at_the_test)
    found["warmup"] = _warmup(found["warmup"], at_the_test)
    if "window" not in at_the_test:
        found["window"] = _narrowed(found["window"], at_the_test)
    if found["window"].value != "call":
        # What is for one test's body alone, or for one test.
        of_less: tuple[str, ...] = _ROUNDS_KEYWORDS
        if found["window"].value in _OF_MANY:
            of_less = (*_ROUNDS_KEYWORDS, "isolate", *_IMPLY_ISOLATION)
        _refuse_beside(found["window"], of_less, at_the_test)
        found |= {one: _BY_DEFAULT.get(one, _NONE) for one in of_less}
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
        window=cast("Sourced[Reach]", found["window"]),
        rounds=cast("Sourced[int]", found["rounds"]),
        warmup=cast("Sourced[int]", found["warmup"]),
        strict=cast("Sourced[bool]", found["strict"]),
        explain=cast("Sourced[bool]", found["explain"]),
        explain_timeout_seconds=cast("Sourced[float]", found["explain_timeout"]),
        isolate=cast("Sourced[bool]", found["isolate"]),
        env=cast("Sourced[Mapping[str, str | None]]", found["env"]),
        allocator=cast("Sourced[str | None]", found.get("allocator", _NONE)),
        isolate_timeout_seconds=cast("Sourced[float | None]", found.get("isolate_timeout", _NONE)),
    )


def _warmup(warmup: Sourced[object], at_the_test: Mapping[str, Sourced[object]]) -> Sourced[object]:
    """A test that asks to run once runs once: no run around it warms it up."""
    rounds = at_the_test.get("rounds")
    if rounds is not None and rounds.value == 1 and "warmup" not in at_the_test:
        return Sourced(_BY_DEFAULT["warmup"].value, rounds.origin)
    return warmup


def _narrowed(
    window: Sourced[object], at_the_test: Mapping[str, Sourced[object]]
) -> Sourced[object]:
    """The window of a whole run, at a test that asks for rounds: those are of its body."""
    for keyword in _ROUNDS_KEYWORDS:
        asked = at_the_test.get(keyword)
        if asked is not None and asked.value != _BY_DEFAULT[keyword].value:
            return Sourced("call", asked.origin)
    return window


def _refuse_beside(
    window: Sourced[object], keywords: Iterable[str], at_the_test: Mapping[str, Sourced[object]]
) -> None:
    for keyword in keywords:
        default = _BY_DEFAULT.get(keyword, _NONE)
        if keyword in at_the_test and at_the_test[keyword].value != default.value:
            what = "rounds are those of a test's body"
            if keyword not in _ROUNDS_KEYWORDS:
                what = "each test would have an interpreter of its own"
            msg = f"{what}, and the window is {window.value!r} ({window.origin})"
            raise InvalidSettingError(at_the_test[keyword].origin, keyword, msg)


def _size_beside_rounds(
    size: Sourced[object] | None, at_the_test: Mapping[str, Sourced[object]]
) -> Sourced[object] | None:
    """The size that must hold beside growth for each round: a default is nobody's choice."""
    if size is None or size is _BY_DEFAULT["max_retained"]:
        return None
    return at_the_test.get("max_retained") if "rounds" in at_the_test else size
