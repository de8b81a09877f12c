"""Errors and warnings, each with a stable slug that the messages page of the docs explains."""

from __future__ import annotations

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
