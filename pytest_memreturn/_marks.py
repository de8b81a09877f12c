"""The marks that ask for a verdict: found on tests, and turned into sources of settings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from _pytest.nodes import Node

    from pytest_memreturn._settings import Source

# What a mark with such a window, one over many tests, stands on.
_STANDS_ON: dict[object, type[pytest.Collector]] = {"class": pytest.Class, "module": pytest.Module}

MARK = "returns_memory"
MARK_HELP = (
    f"{MARK}(max_retained=None, *, min_returned=None, trim=None, settle=None, window=None, "
    "warmup=None, rounds=None, max_per_round=None, enabled=True, isolate=None, env=None, "
    "allocator=None): "
    "fail this test when the memory it took is not returned to the operating system. "
    "max_retained: a size such as '10 MiB'; min_returned: a share of the peak growth, such as "
    "'95%'; trim: judge after every allocator was asked; settle: at most so many seconds to wait "
    "while memory is still on its way back; window: what is judged, 'call', 'test' (with set-up "
    "and tear-down), or 'class' or 'module' in a mark on one; warmup: run it so often before; "
    "rounds: run it so often, and judge growth per round, which may be max_per_round; "
    "enabled=False: opt out; isolate=True: run it in a fresh interpreter; env: with these "
    "variables; allocator: with this one serving malloc, such as 'jemalloc'."
)

_ISOLATING = frozenset({"isolate", "env", "allocator"})


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


def any_is_wide(items: Sequence[pytest.Item]) -> bool:
    """Whether a mark of any test says what the window is."""
    nodes = {node for item in items for node in item.listchain()}
    return any(
        mark.name == MARK and "window" in mark.kwargs for node in nodes for mark in node.own_markers
    )


def any_asks(items: Sequence[pytest.Item]) -> bool:
    """Whether any test is marked, or asks for the fixture that judges blocks."""
    return _any_has(items, _has_ours) or any(map(may_open_blocks, items))


def any_isolates(items: Sequence[pytest.Item]) -> bool:
    """Whether a mark of any test asks for a fresh interpreter, or says something of it."""
    return _any_has(items, _has_isolating)


def _any_has(items: Sequence[pytest.Item], has: Callable[[Iterable[pytest.Mark]], bool]) -> bool:
    """Whether the test, or what it lies in, has marks of which this is so."""
    above: dict[object, bool] = {}
    for item in items:
        # Hundreds of tests have their parents in common, so those are asked once.
        if item.parent not in above:
            above[item.parent] = any(has(node.own_markers) for node in item.listchain()[:-1])
        if above[item.parent] or has(item.own_markers):
            return True
    return False


def _has_isolating(marks: Iterable[pytest.Mark]) -> bool:
    return any(
        mark.name == MARK and not mark.kwargs.keys().isdisjoint(_ISOLATING) for mark in marks
    )


def _has_ours(marks: Iterable[pytest.Mark]) -> bool:
    for mark in marks:  # noqa: SIM110 - mostly there is none, and a generator costs as much as ten
        if mark.name == MARK:
            return True
    return False


def may_open_blocks(item: pytest.Item) -> bool:
    """Whether the test, or a fixture it names, asks for the fixture that judges blocks."""
    return "memreturn" in getattr(item, "fixturenames", ())


def marked_nodes(item: pytest.Item) -> list[tuple[Node, Source]]:
    """The marks of `item` as checked sources, closest first, with what they stand on.

    Raises `InvalidSettingError`.
    """
    from pytest_memreturn._errors import InvalidSettingError
    from pytest_memreturn._settings import Source, check

    sources: list[tuple[Node, Source]] = []
    for node, mark in _closest_first(item):
        origin = f"marker on {node.nodeid or node.name}"
        keywords: dict[str, object] = {"enabled": True, **mark.kwargs}
        if len(mark.args) > 1 or (mark.args and "max_retained" in mark.kwargs):
            raise InvalidSettingError(
                origin, "max_retained", f"takes one value, got {mark.args!r} {mark.kwargs!r}"
            )
        if mark.args:
            keywords["max_retained"] = mark.args[0]
        source = check(Source(origin, keywords, at_the_test=True))
        _check_window(node, source)
        sources.append((node, source))
    return sources


def _check_window(node: Node, source: Source) -> None:
    """A window over many tests is for a mark on what these lie in."""
    from pytest_memreturn._errors import InvalidSettingError

    window = source.values.get("window")
    if window in _STANDS_ON and not isinstance(node, _STANDS_ON[window]):
        msg = f"{window!r} judges all tests of a {window}: put the mark on the {window}"
        raise InvalidSettingError(source.origin, "window", msg)


def own_sources(item: pytest.Item) -> list[Source] | None:
    """Those by which `item` is judged by itself; ``None`` if it is not.

    It is not where it is judged together with others, by a mark on what they lie in, unless a mark
    that is closer asks for more.
    """
    closer: list[Source] = []
    marked = _marks_by_node(item)
    for number, (_, sources) in enumerate(marked):
        if _is_over_many(sources):
            if not number:
                return None
            further = [_without_window(one) for _, others in marked[number:] for one in others]
            return closer + further
        closer += sources
    return closer


def _marks_by_node(item: pytest.Item) -> list[tuple[Node, list[Source]]]:
    found: dict[Node, list[Source]] = {}
    for node, source in marked_nodes(item):
        found.setdefault(node, []).append(source)
    return list(found.items())


def _is_over_many(sources: Iterable[Source]) -> bool:
    """Whether one verdict over many tests is asked for, by the closest mark that names a window."""
    windows = (one.values["window"] for one in sources if "window" in one.values)
    return next(windows, None) in _STANDS_ON


def _without_window(source: Source) -> Source:
    values = {keyword: one for keyword, one in source.values.items() if keyword != "window"}
    return dataclasses.replace(source, values=values)


def windows_of_many(item: pytest.Item) -> list[tuple[Node, list[Source]]]:
    """What asks for one verdict over all its tests, the widest first, with what it is judged by."""
    marked = _marks_by_node(item)
    found = [
        (node, [one for _, others in marked[number:] for one in others])
        for number, (node, sources) in enumerate(marked)
        if _is_over_many(sources)
    ]
    return found[::-1]


def _closest_first(item: pytest.Item) -> Iterator[tuple[Node, pytest.Mark]]:
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
        yield from ((node, mark) for mark in marks)
