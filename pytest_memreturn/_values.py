"""What a user writes for a setting, as a value, or what is wrong with it; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_TIME = re.compile(rf"(?P<number>{_NUMBER.pattern}) ?(?P<unit>s|ms)?", re.ASCII)

_WHOLE = re.compile(r"[0-9]{1,20}", re.ASCII)

# Nobody waits that long for memory: more is a slip, such as milliseconds without their unit.
_MOST_SECONDS = 3600


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


def parse_time_limit(value: object) -> float:
    """`parse_seconds` of more than none."""
    seconds = parse_seconds(value)
    if not seconds:
        msg = f"{value!r} leaves no time at all"
        raise ValueError(msg)
    return seconds


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


def parse_bool(value: object) -> bool:
    """One of the two, as an object of Python."""
    if not isinstance(value, bool):
        msg = f"{value!r} is not True or False"
        raise ValueError(msg)  # noqa: TRY004 - a value from a marker, not a slip in this program
    return value


def whole_number(least: int, most: int) -> Callable[[object], int]:
    """What turns a number, or text such as ``"20"``, into a whole number of these bounds."""

    def parse(value: object) -> int:
        found = value.strip() if isinstance(value, str) else value
        if isinstance(found, str) and _WHOLE.fullmatch(found):
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int):
            msg = f"{value!r} is not a whole number"
            raise ValueError(msg)  # noqa: TRY004 - a value from a marker, not a slip in this program
        if found < least:
            msg = f"{value!r} is less than {least}"
            raise ValueError(msg)
        if found > most:
            msg = f"{value!r} is more than {most:,}"
            raise ValueError(msg)
        return found

    return parse


def one_of(words: Sequence[str]) -> Callable[[object], str]:
    """What takes one of these words, and nothing else."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            msg = f"{value!r} is not one of {', '.join(words)}"
            raise ValueError(msg)
        return value

    return parse


def parse_env(value: object) -> Mapping[str, str | None]:
    """Variables for a process by name; ``None`` for one that is to be taken away."""
    if not isinstance(value, Mapping):
        msg = f"{value!r} is not a mapping of names to values, such as {{'MALLOC_ARENA_MAX': '1'}}"
        raise ValueError(msg)  # noqa: TRY004 - a value from a marker, not a slip in this program
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            msg = f"{name!r} is not a name of a variable"
            raise ValueError(msg)
        if text is not None and (not isinstance(text, str) or "\0" in text):
            msg = f"{name}={text!r} is not text (None takes the variable away)"
            raise ValueError(msg)
    return dict(value)
