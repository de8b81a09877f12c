"""Allocators that are installed and could serve malloc in a fresh process."""

from __future__ import annotations

import platform
import shutil
import subprocess

# By the beginnings of their file names, the plainer one first.
LIBRARIES = {
    "jemalloc": ("libjemalloc.so",),
    "tcmalloc": ("libtcmalloc_minimal.so", "libtcmalloc.so"),
    "mimalloc": ("libmimalloc.so",),
}
_SECONDS = 10


def has_glibc() -> bool:
    """Whether the C library is glibc, whose malloc knows the variables that are tried."""
    return platform.libc_ver()[0] == "glibc"


def preloadable(listing: str | None = None) -> dict[str, str]:
    """By name, the file to put into ``LD_PRELOAD``: its soname where the loader knows it.

    `listing`: what ``ldconfig -p`` prints.
    """
    if listing is None:
        listing = _ldconfig()
    names = [line.split()[0] for line in listing.splitlines() if "=>" in line]
    found: dict[str, str] = {}
    for allocator, prefixes in LIBRARIES.items():
        for prefix in prefixes:
            # What follows is the version, and not another library.
            versions = sorted(name for name in names if name.startswith(prefix))
            if versions:
                found.setdefault(allocator, versions[-1])
    return found


def _ldconfig() -> str:
    # For an ordinary user it is often not on the path.
    program = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if program is None:
        return ""
    try:
        ended = subprocess.run(
            [program, "-p"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ended.stdout
