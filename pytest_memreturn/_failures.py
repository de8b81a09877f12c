"""Verdicts that fail a test, as exceptions with a stable slug each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_memreturn._record import Record


# Tracebacks and summaries show where a class is from: the place users import it from.
_PUBLIC = "pytest_memreturn"


class VerdictFailure(AssertionError):  # noqa: N818 - base of two names that read as what happened
    """A verdict that fails a test. `record` holds it with its readings, as plain data."""

    slug: ClassVar[str] = "verdict"

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


class MemoryNotReturned(VerdictFailure):
    """Memory was kept beyond the allowance."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "memory-not-returned"


class Unjudged(VerdictFailure):
    """A reading could not be had, under ``--memreturn-strict``."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "unjudged"


class IsolationFailure(VerdictFailure):
    """An isolated test could not be run, or its process ended without a report."""

    __module__ = _PUBLIC
    slug: ClassVar[str] = "isolation-failure"
