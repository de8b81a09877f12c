"""The only code that reads the outside world: one contract, one file per source."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError

if TYPE_CHECKING:
    from pytest_memreturn.probes._contract import AllocatorProbe, MemoryProbe

_NEEDED_ON_LINUX = ("/proc/self/status", "/proc/self/smaps", "/proc/self/smaps_rollup")


def memory_probe(name: str) -> MemoryProbe:
    """The probe called `name`; ``auto`` takes the finest that works here.

    Raises `ReadingUnavailableError` for the linux probe anywhere else.
    """
    if name == "linux" or (name == "auto" and _procfs_is_readable()):
        if sys.platform != "linux":
            msg = f"the linux probe cannot read {sys.platform}"
            raise ReadingUnavailableError(msg)
        from pytest_memreturn.probes.linux import LinuxProbe

        return LinuxProbe()
    from pytest_memreturn.probes.portable import PortableProbe

    return PortableProbe()


def allocator_probes() -> tuple[AllocatorProbe, ...]:
    """A probe for every allocator this package knows; each says itself whether it is in use."""
    from pytest_memreturn.probes.glibc import GlibcProbe
    from pytest_memreturn.probes.pymalloc import PymallocProbe

    return (GlibcProbe(), PymallocProbe())


def _procfs_is_readable() -> bool:
    return all(os.access(path, os.R_OK) for path in _NEEDED_ON_LINUX)
