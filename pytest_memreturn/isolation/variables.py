"""The variables that an isolated test's interpreter starts with."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_memreturn.reruns.installed import LIBRARIES, preloadable

_PRELOAD = "LD_PRELOAD"

# Where their libraries are to be had, by the names that Debian and Fedora have for the packages.
_PACKAGES = {
    "jemalloc": ("libjemalloc2", "jemalloc"),
    "tcmalloc": ("libtcmalloc-minimal4", "gperftools-libs"),
    "mimalloc": ("libmimalloc3", "mimalloc"),
}


def with_changes(variables: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The variables with what is set, and without what is ``None``."""
    found = {**variables, **changes}
    return {name: value for name, value in found.items() if value is not None}


def with_allocator(
    variables: Mapping[str, str], allocator: str, libraries: Mapping[str, str] | None = None
) -> tuple[dict[str, str], str | None]:
    """The variables by which an allocator serves malloc, and the file that must then be loaded.

    ``malloc`` is the C library's own: no other is loaded before it. `libraries`: those that are
    installed, by name. Raises `ValueError` that says what to install.
    """
    others = [one for one in _entries(variables) if not _is_allocator(one)]
    if allocator == "malloc":
        return with_changes(variables, {_PRELOAD: ":".join(others) or None}), None
    file = (preloadable() if libraries is None else libraries).get(allocator)
    if file is None:
        debian, fedora = _PACKAGES[allocator]
        msg = (
            f"allocator={allocator!r}: the loader knows no library of that allocator: "
            f"install {debian} (Debian, Ubuntu) or {fedora} (Fedora), or what has "
            f"{' or '.join(LIBRARIES[allocator])} in it"
        )
        raise ValueError(msg)
    return with_changes(variables, {_PRELOAD: ":".join([file, *others])}), file


def _entries(variables: Mapping[str, str]) -> list[str]:
    # The loader takes spaces as well as colons.
    return variables.get(_PRELOAD, "").replace(":", " ").split()


def _is_allocator(file: str) -> bool:
    name = file.rpartition("/")[2]
    return any(name.startswith(known) for names in LIBRARIES.values() for known in names)
