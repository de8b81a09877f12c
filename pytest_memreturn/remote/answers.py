"""What an interpreter answered that was made to give back what is free; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_memreturn.allocators.glibc import parse_arenas
from pytest_memreturn.allocators.pymalloc import parse_statistics

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics

_SECTION = re.compile(rb"([a-z]{1,20}) (\d{1,8})\n")


def sections_of(data: bytes) -> dict[str, bytes]:
    """The sections of an answer, as far as they are whole."""
    found = {}
    place = 0
    while (head := _SECTION.match(data, place)) is not None:
        place = head.end() + int(head[2])
        if place > len(data):
            break
        found[head[1].decode()] = data[head.end() : place]
    return found


def statistics_in(data: bytes) -> tuple[AllocatorStatistics, ...]:
    """What its allocators said; of one that is not in use, or not understood, nothing."""
    sections = sections_of(data)
    python = parse_statistics(sections.get("python", b""))
    arenas = parse_arenas(sections.get("malloc", b""))
    malloc = arenas.statistics() if arenas.is_in_use else None
    return tuple(one for one in (python, malloc) if one is not None)


def problem_in(data: bytes) -> str | None:
    """What went wrong there, in its own words."""
    error = sections_of(data).get("error")
    return None if error is None else error.decode(errors="replace")
