"""A chain of references in words that a person reads."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from types import CellType, CoroutineType, FrameType, FunctionType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any

from pytest_memreturn._sizes import format_size
from pytest_memreturn.explain.kinds import of_type, size_of
from pytest_memreturn.explain.links import instance_namespace, isinstance_of, key_in, link

if TYPE_CHECKING:
    from pytest_memreturn.explain.kinds import Kinds

_ARROW = " → "
# Of a long chain, so many links at either end.
_NAMED_AT_AN_END = 4


def in_words(root: str, objects: Sequence[Any], kinds: Kinds) -> str:
    """A chain from its root on: `objects` begin with the one that the root holds.

    Such as ``app.cache.RESULTS (list) → [17] → dict['body'] → bytes 1.0 MiB``.
    """
    first, *others = objects
    if isinstance_of(first, type) and others[1:] and is_namespace(first, others[0]):
        # A class is as good a place to have a name in as a module is.
        root, objects = f"{root}.{key_in(others[0], others[1])}", others[1:]
    links = list(_links(objects, kinds))
    if len(links) > 2 * _NAMED_AT_AN_END + 1:
        left_out = len(links) - 2 * _NAMED_AT_AN_END
        links[_NAMED_AT_AN_END:-_NAMED_AT_AN_END] = [f"… {left_out} more …"]
    target = objects[-1]
    named = f"{_name(target, kinds)} {format_size(size_of(target, kinds.of(target)))}"
    if len(objects) == 1:
        return f"{root} ({named})"
    return _ARROW.join([f"{root} ({_name(objects[0], kinds)})", *links, named])


def _links(objects: Sequence[object], kinds: Kinds) -> Iterator[str]:
    """From each object to the next; what stands between for technical reasons is passed over."""
    at = 0
    while at < len(objects) - 1:
        holder, held = objects[at], objects[at + 1]
        words, steps = _step(holder, objects[at + 1 :])
        prefix = "" if at == 0 else _name(holder, kinds)
        at += steps
        if words is not None and (text := f"{prefix}{words}".strip()):
            yield text
        del holder, held


def _step(holder: Any, ahead: Sequence[Any]) -> tuple[str | None, int]:  # noqa: ANN401
    """How an object holds one of the next, in words, and how many steps that takes."""
    held = ahead[0]
    if len(ahead) > 1 and is_namespace(holder, held):
        return f".{key_in(held, ahead[1])}", 2
    if isinstance_of(holder, FunctionType) and held is holder.__closure__:
        content = ahead[2:]
        return (link(holder, content[0]), 3) if content else (" closure", 1)
    if isinstance_of(holder, CellType) or isinstance_of(holder, TracebackType):
        return None, 1
    return link(holder, held), 1


def is_namespace(holder: Any, held: object) -> bool:  # noqa: ANN401
    """Whether `held` is the dict in which a class or an instance has its attributes."""
    if not isinstance_of(held, dict):
        return False
    if isinstance_of(holder, type):
        return any(one is held for one in gc.get_referents(of_type(holder, "__dict__")))
    return instance_namespace(holder) is held


def _name(one: Any, kinds: Kinds) -> str:  # noqa: ANN401
    """What an object is, in as few words as will do."""
    if isinstance_of(one, FunctionType):
        return f"{one.__qualname__}()"
    if isinstance_of(one, FrameType):
        return f"frame of {one.f_code.co_qualname}()"
    if isinstance_of(one, GeneratorType) or isinstance_of(one, CoroutineType):
        return f"{kinds.of(one).name} {one.__qualname__}()"
    if isinstance_of(one, type):
        return f"class {of_type(one, '__qualname__')}"
    return kinds.of(one).name
