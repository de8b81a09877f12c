"""Which allocators answer here, and which serve without a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_memreturn._checkup import Finding
from pytest_memreturn._sizes import format_size
from pytest_memreturn.probes import machine

if TYPE_CHECKING:
    from pytest_memreturn._instruments import Instruments
    from pytest_memreturn._snapshot import AllocatorStatistics

TOPIC = "allocators"

# What serves malloc itself, so that without any of them nobody knows what malloc holds.
_IN_PLACE_OF_MALLOC = {"malloc", "jemalloc", "tcmalloc", "mimalloc"}


def allocators(instruments: Instruments) -> Iterator[Finding]:
    """Each that is in use, and why one that serves is silent."""
    absent, answering = [], set()
    for one in instruments.allocators:
        alone = dataclasses.replace(instruments, allocators=(one,))
        try:
            found, why = alone.statistics(), one.why_unavailable()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends every judgement
            remedy = f"mend or leave out what gives the statistics of {one.name}"
            yield Finding(TOPIC, one.name, str(error), "unjudged", remedy)
            continue
        if why is not None:
            yield Finding(TOPIC, one.name, f"serves and is silent: {why}", "limited", _LIKE_MAPPED)
        elif found:
            answering.add(one.name)
            yield _answering(found[0])
        else:
            absent.append(one.name)
    if absent:
        yield Finding(TOPIC, "not in use", f"{', '.join(absent)}: asked as soon as they are")
    if not answering & _IN_PLACE_OF_MALLOC:
        yield Finding(
            TOPIC,
            "malloc",
            "none that serves malloc answers: what C code holds is mapped or unexplained",
            "limited",
            "run with glibc, or with jemalloc or tcmalloc in LD_PRELOAD",
        )


def trim() -> Iterator[Finding]:
    """Whether malloc gives back when it is asked."""
    if machine.has_trim():
        yield Finding(TOPIC, "trim", "malloc can be asked for what is free")
        return
    text = "malloc cannot be asked for what is free: trim=True judges as without it"
    yield Finding(TOPIC, "trim", text, "limited", "run the tests where the C library is glibc")


_LIKE_MAPPED = "a build of it that gives statistics; until then what it holds is mapped"


def _answering(found: AllocatorStatistics) -> Finding:
    if found.is_silent:
        return Finding(
            TOPIC,
            found.name,
            "silent while tracemalloc runs: what it holds is unexplained",
            "limited",
            "run without -X tracemalloc and PYTHONTRACEMALLOC",
        )
    text = f"answers: {format_size(found.live_bytes)} live"
    if found.held_bytes is not None:
        text += f" of {format_size(found.held_bytes)} held"
    return Finding(TOPIC, found.name, text)
