"""What doctor found, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import format_size
from pytest_memreturn.report.printable import on_one_line
from pytest_memreturn.report.wrapped import wrapped

if TYPE_CHECKING:
    from pytest_memreturn._checkup import Checkup, Finding, State

# What stands before a finding, so that a reader finds what is not as it should be.
_MARKS: Mapping[State, str] = {"good": " ", "optional": "-", "limited": "!", "unjudged": "x"}
_NAME_WIDTH = 11


def render_checkup(found: Checkup, *, width: int) -> Iterator[str]:
    """The findings by topic, then what follows from them, in lines of at most `width` columns."""
    by_topic: dict[str, list[Finding]] = {}
    for one in found.findings:
        by_topic.setdefault(one.topic, []).append(one)
    for topic, findings in by_topic.items():
        yield topic
        for one in findings:
            yield from _finding(one, width)
        yield ""
    for line in _conclusion(found):
        yield from wrapped(line, width)


def _finding(one: Finding, width: int) -> Iterator[str]:
    name = on_one_line(one.name)
    first = f"{_MARKS[one.state]} {name.ljust(_NAME_WIDTH)} "
    rest = " " * (_NAME_WIDTH + 3)
    yield from wrapped(on_one_line(one.text), width, first=first, rest=rest)
    if one.remedy is not None:
        yield from wrapped(on_one_line(one.remedy), width, first=f"{rest}→ ", rest=f"{rest}  ")


def _conclusion(found: Checkup) -> Iterator[str]:
    if found.judges:
        noise = found.noise.get("call")
        within = ""
        if noise is not None:
            # No reading is finer than a page.
            page_bytes = found.environment.get("page_size", 0)
            most = max(page_bytes, -noise.retained_bytes.least, noise.retained_bytes.most)
            within = f", to within {format_size(int(most))}"
        yield f"Tests are judged here{within}."
    else:
        yield f"Tests are UNJUDGED here, for what is marked x: {_names(found, 'unjudged')}."
    if limited := _names(found, "limited"):
        yield f"Less than could be is known of what is marked !: {limited}."


def _names(found: Checkup, state: State) -> str:
    return ", ".join(on_one_line(one.name) for one in found.findings if one.state == state)
