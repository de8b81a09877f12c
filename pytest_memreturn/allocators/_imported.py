"""Parts of libraries that the program has imported."""

from __future__ import annotations

import sys
from typing import Any


def imported(module: str, name: str) -> Any | None:  # noqa: ANN401 - whatever the library has
    """What `module` has under `name`; ``None`` if it is not imported, or not that far yet.

    Imports nothing, not even a module whose import was put off until its first use.
    """
    try:
        # Asked like this, a module of importlib.util.LazyLoader does not load itself.
        names = object.__getattribute__(sys.modules.get(module), "__dict__")
    except AttributeError:
        return None
    return names.get(name)
