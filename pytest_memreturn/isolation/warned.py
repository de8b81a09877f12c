"""Warnings as JSON, and back."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any


def warning_data(warning: warnings.WarningMessage) -> dict[str, Any]:
    """What `warning_of` reads."""
    return {
        "text": str(warning.message),
        "module": warning.category.__module__,
        "category": warning.category.__qualname__,
        "filename": warning.filename,
        "lineno": warning.lineno,
        "line": warning.line,
    }


def warning_of(data: Mapping[str, Any]) -> warnings.WarningMessage:
    """The warning, of its own class where that is known here, or else of one of the same name."""
    category = _category(data["module"], data["category"])
    try:
        message = category(data["text"])
    except Exception:  # noqa: BLE001 - a class that wants more than a text
        message = Warning(data["text"])
    return warnings.WarningMessage(
        message=message,
        category=category,
        filename=data["filename"],
        lineno=data["lineno"],
        line=data["line"],
    )


def _category(module: str, name: str) -> type[Warning]:
    # Not imported for it: whoever knows the class has its module.
    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, type) and issubclass(found, Warning):
        return found
    return type(name, (Warning,), {"__module__": module})
