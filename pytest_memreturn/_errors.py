"""Errors and warnings, each with a stable slug that the messages page of the docs explains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

# Messages show where a class is from: the place users import it from.
_PUBLIC = "pytest_memreturn"


class InvalidSettingError(ValueError):
    """A setting that cannot be right. The text names the setting, the value and the origin."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "invalid-setting"

    def __init__(self, origin: str, setting: str, problem: str) -> None:
        super().__init__(f"{origin}: {setting}: {problem}")
        self.origin = origin
        self.setting = setting
        self.problem = problem


class ReadingUnavailableError(Exception):
    """A reading could not be had: the verdict is ``unjudged``, with this text as the reason."""

    slug: ClassVar[str] = "reading-unavailable"


class UnwatchableError(ReadingUnavailableError):
    """A process that cannot be watched; the text names its pid, and says why."""

    setting: ClassVar[str] = "pid"


class UnreleasableError(UnwatchableError):
    """A process that cannot be made to give back what is free; the text says what is needed."""

    setting: ClassVar[str] = "release"


@contextmanager
def reading_of(kind: str, name: str) -> Iterator[None]:
    """Whatever goes wrong inside is a reading that could not be had, and says whose it was."""
    try:
        yield
    except ReadingUnavailableError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        msg = f"{kind} {name}: {text}"
        raise ReadingUnavailableError(msg) from error


class MemreturnWarning(UserWarning):
    """Base of every warning of this plugin, so that one filter covers them all."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "memreturn"


class MemoryNotReturnedWarning(MemreturnWarning):
    """What `MemoryNotReturned` says, under ``--memreturn-mode=warn``."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "memory-not-returned"


class UnjudgedWarning(MemreturnWarning):
    """A block under `measure` could not be judged; the text says why."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "unjudged"
