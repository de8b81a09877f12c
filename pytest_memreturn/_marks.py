"""The marks that ask for a verdict: found on tests, and turned into sources of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_memreturn._settings import Source

MARK = "returns_memory"
MARK_HELP = (
    f"{MARK}(max_retained=None, *, min_returned=None, trim=None, settle=None, warmup=None, "
    "rounds=None, max_per_round=None, enabled=True): "
    "fail this test when the memory it took is not returned to the operating system. "
    "max_retained: a size such as '10 MiB'; min_returned: a share of the peak growth, such as "
    "'95%'; trim: judge after every allocator was asked; settle: at most so many seconds to wait "
    "while memory is still on its way back; warmup: run it so often before; rounds: run it so "
    "often, and judge growth per round, which may be max_per_round; enabled=False: opt out."
)


def is_marked(item: pytest.Item) -> bool:
    """Whether the test, or what it lies in, is marked.

    Every test of a run that judges none pays for this: it takes a third of the time that
    `get_closest_marker` does.
    """
    node: pytest.Item | pytest.Collector | None = item
    while node is not None:
        if node.own_markers and _has_ours(node.own_markers):
            return True
        node = node.parent
    return False


def any_asks(items: Sequence[pytest.Item]) -> bool:
    """Whether any test is marked, or asks for the fixture that judges blocks."""
    marked_above: dict[object, bool] = {}
    for item in items:
        # Hundreds of tests have their parents in common, so those are asked once.
        if item.parent not in marked_above:
            marked_above[item.parent] = any(
                _has_ours(node.own_markers) for node in item.listchain()[:-1]
            )
        if marked_above[item.parent] or _has_ours(item.own_markers) or may_open_blocks(item):
            return True
    return False


def _has_ours(marks: Iterable[pytest.Mark]) -> bool:
    for mark in marks:  # noqa: SIM110 - mostly there is none, and a generator costs as much as ten
        if mark.name == MARK:
            return True
    return False


def may_open_blocks(item: pytest.Item) -> bool:
    """Whether the test, or a fixture it names, asks for the fixture that judges blocks."""
    return "memreturn" in getattr(item, "fixturenames", ())


def marker_sources(item: pytest.Item) -> list[Source]:
    """The marks of `item` as checked sources, closest first; raises `InvalidSettingError`."""
    from pytest_memreturn._errors import InvalidSettingError
    from pytest_memreturn._settings import Source, check

    sources = []
    for marked, mark in _closest_first(item):
        origin = f"marker on {marked}"
        keywords: dict[str, object] = {"enabled": True, **mark.kwargs}
        if len(mark.args) > 1 or (mark.args and "max_retained" in mark.kwargs):
            raise InvalidSettingError(
                origin, "max_retained", f"takes one value, got {mark.args!r} {mark.kwargs!r}"
            )
        if mark.args:
            keywords["max_retained"] = mark.args[0]
        sources.append(check(Source(origin, keywords, at_the_test=True)))
    return sources


def _closest_first(item: pytest.Item) -> Iterator[tuple[str, pytest.Mark]]:
    """The marks of `item` with what they stand on, in the order in which a reader sees them.

    pytest itself puts a function's marks before those of its parameter set, and a base class's
    before those of the class derived from it.
    """
    callspec = getattr(item, "callspec", None)
    of_parameters = [id(mark) for mark in callspec.marks] if callspec is not None else []
    for node in reversed(item.listchain()):
        # By name and by identity: the arguments of other people's marks may refuse to be compared.
        marks = [mark for mark in node.own_markers if mark.name == MARK]
        if isinstance(node, pytest.Class):
            marks.reverse()
        elif node is item:
            marks.sort(key=lambda mark: id(mark) not in of_parameters)
        yield from ((node.nodeid or node.name, mark) for mark in marks)
