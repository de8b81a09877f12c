"""Which remedies are tried against what a test retained, and in which order they are told; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_memreturn._explanation import Remedy
from pytest_memreturn._release_calls import (
    MMAP_THRESHOLD,
    ONE_ARENA,
    TRIM_THRESHOLD,
    alternative,
    release_call,
    setting,
)
from pytest_memreturn._sizes import KIB
from pytest_memreturn.reruns._contract import RemedyCandidate, Task

_BY_CTYPES = "such as by ctypes.CDLL(None).malloc_trim(0)"
_AT_START = "set it in the environment that the process starts with"

_GLIBC = (TRIM_THRESHOLD, MMAP_THRESHOLD, ONE_ARENA)
# Which CPython reads.
_PYTHON_MALLOC = ("PYTHONMALLOC", "malloc")

# Remedies that leave this much of a difference are told in the order in which they are simple.
_ALIKE = 1 / 20
_LEAST_ALIKE_BYTES = 256 * KIB


@dataclass(frozen=True, slots=True)
class Attempt:
    """A remedy that is to be tried, and the re-run that tries it."""

    name: str
    how: str
    task: Task


def attempts(
    released: Mapping[str, int],
    variables: Mapping[str, str],
    *,
    has_glibc: bool,
    preloads: Mapping[str, str],
    added: Sequence[RemedyCandidate],
) -> list[Attempt]:
    """What to try, simplest first.

    `released`: what allocators gave back when they were asked in the run itself. `variables`: what
    the run has anyway. `preloads`: allocators that could serve instead, by name. `added`: by hooks.
    """
    names = [name for name, size in released.items() if size > 0 and name != "malloc"]
    found = [_release(name) for name in (["malloc"] if has_glibc else []) + names]
    pairs = [*(_GLIBC if has_glibc else ()), _PYTHON_MALLOC]
    found += [
        Attempt(setting((name, value)), _AT_START, Task(env={name: value}))
        for name, value in pairs
        if variables.get(name) != value
    ]
    loaded = variables.get("LD_PRELOAD", "")
    found += [
        Attempt(
            f"LD_PRELOAD={file}",
            f"{_AT_START}: {name} then serves malloc",
            Task(env={"LD_PRELOAD": f"{file}:{loaded}" if loaded else file}),
        )
        for name, file in preloads.items()
        if file not in loaded
    ]
    found += [_added(one) for one in added]
    found.append(
        Attempt(
            "the work in a child process that ends",
            "hand the work to a process of its own, such as a multiprocessing.Pool "
            "with maxtasksperchild=1",
            Task("child"),
        )
    )
    return found


def _release(name: str) -> Attempt:
    also = _BY_CTYPES if name == "malloc" else alternative(name)
    how = ", ".join(filter(None, ("call it when such work is done", also)))
    return Attempt(release_call(name), how, Task(release=(name,)))


def _added(candidate: RemedyCandidate) -> Attempt:
    remedy = None if candidate.call is None else candidate.name
    return Attempt(candidate.name, candidate.how, Task(remedy=remedy, env=dict(candidate.env)))


def best_first(remedies: Iterable[Remedy], reference_bytes: int) -> tuple[Remedy, ...]:
    """Least retained first; among those that are about alike, as they were given."""
    alike = max(_LEAST_ALIKE_BYTES, int(reference_bytes * _ALIKE))
    told = [one for one in remedies if one.retained_bytes is not None]
    untold = [one for one in remedies if one.retained_bytes is None]
    told.sort(key=lambda one: max(0, one.retained_bytes or 0) // alike)
    return (*told, *untold)
