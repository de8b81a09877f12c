"""Exceptions and warnings, each with a stable slug that the messages page of the docs explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


class VerdictFailure(AssertionError):  # noqa: N818 - base of two names that read as what happened
    """A verdict that fails a test. `record` holds it with its readings, as plain data."""

    slug: ClassVar[str] = "verdict"

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


class MemoryNotReturned(VerdictFailure):
    """Memory was kept beyond the allowance."""

    slug: ClassVar[str] = "memory-not-returned"


class Unjudged(VerdictFailure):
    """A reading could not be had, under ``--memreturn-strict``."""

    slug: ClassVar[str] = "unjudged"


class InvalidSettingError(ValueError):
    """A setting that cannot be right. The text names the setting, the value and the origin."""

    slug: ClassVar[str] = "invalid-setting"

    def __init__(self, origin: str, setting: str, problem: str) -> None:
        super().__init__(f"{origin}: {setting}: {problem}")
        self.origin = origin
        self.setting = setting
        self.problem = problem


class ReadingUnavailableError(Exception):
    """A reading could not be had: the verdict becomes ``unjudged``, with this text as the reason."""

    slug: ClassVar[str] = "reading-unavailable"


class MemreturnWarning(UserWarning):
    """Base of every warning of this plugin, so that one filter covers them all."""

    slug: ClassVar[str] = "memreturn"


class MemoryNotReturnedWarning(MemreturnWarning):
    """What `MemoryNotReturned` says, under ``--memreturn-mode=warn``."""

    slug: ClassVar[str] = "memory-not-returned"


class UnjudgedWarning(MemreturnWarning):
    """A block under `measure` could not be judged; the text says why."""

    slug: ClassVar[str] = "unjudged"
