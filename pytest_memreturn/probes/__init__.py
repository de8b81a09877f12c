"""The only code that reads the outside world: one contract, one file per source."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_memreturn._errors import ReadingUnavailableError

if TYPE_CHECKING:
    from pytest_memreturn.probes._contract import MemoryProbe, OutsideProbe, TreeProbe
    from pytest_memreturn.probes.motion import MotionProbe

NEEDED_ON_LINUX = ("/proc/self/status", "/proc/self/smaps", "/proc/self/smaps_rollup")


def memory_probe(name: str) -> MemoryProbe:
    """The probe called `name`; ``auto`` takes the finest that works here.

    Raises `ReadingUnavailableError` for the linux probe anywhere else.
    """
    if _reads_procfs(name):
        if sys.platform != "linux":
            msg = f"the linux probe cannot read {sys.platform}"
            raise ReadingUnavailableError(msg)
        from pytest_memreturn.probes.linux import LinuxProbe

        return LinuxProbe()
    from pytest_memreturn.probes.portable import PortableProbe

    return PortableProbe()


def outside_probe(name: str) -> OutsideProbe:
    """What finds memory outside the process, beside the memory probe called `name`."""
    from pytest_memreturn.probes.outside import LinuxOutside, PortableOutside

    return LinuxOutside() if _reads_procfs(name) else PortableOutside()


def motion_probe(name: str) -> MotionProbe:
    """What tells whether memory is still on its way back, beside the memory probe `name`."""
    from pytest_memreturn.probes.motion import LinuxMotion, PortableMotion

    return LinuxMotion() if _reads_procfs(name) else PortableMotion()


def tree_probe(name: str) -> TreeProbe:
    """What reads other processes, beside the memory probe called `name`."""
    if _reads_procfs(name):
        from pytest_memreturn.probes.trees import LinuxTrees

        return LinuxTrees()
    from pytest_memreturn.probes.portable_trees import PortableTrees

    return PortableTrees()


def _reads_procfs(name: str) -> bool:
    return name == "linux" or (name == "auto" and _procfs_is_readable())


def _procfs_is_readable() -> bool:
    return all(os.access(path, os.R_OK) for path in NEEDED_ON_LINUX)
