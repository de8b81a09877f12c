"""What is to be known of a machine before anything is measured on it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from pytest_memreturn.probes._files import read_small


class Memory(NamedTuple):
    """The machine's memory and swap space, in bytes."""

    total_bytes: int
    available_bytes: int
    swap_bytes: int
    swap_used_bytes: int


def memory() -> Memory:
    """What psutil knows of it; raises what it raises."""
    main, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Memory(main.total, main.available, swap.total, swap.used)


def has_trim() -> bool:
    """Whether the C library's malloc can be asked for what is free."""
    return hasattr(psutil, "heap_trim")


def is_linux() -> bool:
    """Whether the kernel is one that procfs tells of."""
    return sys.platform == "linux"


def unreadable(paths: Iterable[str]) -> dict[str, str]:
    """By path, why a file cannot be read; those that can are left out."""
    problems = {}
    for path in paths:
        try:
            read_small(path)
        except OSError as error:
            problems[path] = error.strerror or str(error)
    return problems


def own_memory_problem() -> str | None:
    """Why this process's own memory cannot be read through the kernel; ``None`` where it can."""
    from pytest_memreturn.probes.own_memory import OwnMemory

    try:
        with OwnMemory(1):
            return None
    except OSError as error:
        return error.strerror or str(error)
