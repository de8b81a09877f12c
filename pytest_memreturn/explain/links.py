"""How one object holds another, in words: an index, a key, an attribute, a variable."""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import (
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
)
from typing import Any

from pytest_memreturn.explain.frame_locals import variables
from pytest_memreturn.explain.kinds import of_type

_MOST_CHARACTERS = 30
_MOST_BITS = 64
_SHOWN_KEYS = (int, float, bool, type(None))
_SEQUENCES = (list, tuple, deque)
_PARTIAL: Any = vars(functools.partial)


def link(holder: Any, held: object) -> str:  # noqa: ANN401 - anything holds anything
    """What leads from the `holder` to what is `held`; empty where nobody can say.

    Asks the built-in types themselves, so that no code of anybody's class runs.
    """
    for kind, find in _FINDERS:
        if isinstance_of(holder, kind):
            found: str | None = find(holder, held)
            if found is not None:
                return found
    return _attribute(holder, held) or ""


def isinstance_of(one: object, kind: type) -> bool:
    """Whether it truly is one, whatever its ``__class__`` says."""
    return kind in of_type(type(one), "__mro__")


def instance_namespace(one: object) -> Any:  # noqa: ANN401 - a dict of anything
    """The dict of an instance's attributes; ``None`` where it has none."""
    for base in of_type(type(one), "__mro__"):
        found = of_type(base, "__dict__").get("__dict__")
        if isinstance_of(found, GetSetDescriptorType):
            # A type of C code's may have room for it, and an instance none.
            with contextlib.suppress(AttributeError):
                return found.__get__(one)
    return None


def key_in(namespace: Any, held: object) -> str:  # noqa: ANN401 - a dict of anything
    """The name of what is `held` in a namespace; ``?`` where it is gone."""
    name = next((name for name, value in _items(namespace) if value is held), None)
    return name if isinstance(name, str) else "?"


def _items(holder: Any) -> Iterator[tuple[object, object]]:  # noqa: ANN401
    """What is in a dict, for as long as no other thread changes it: a copy may be large."""
    with contextlib.suppress(RuntimeError):
        yield from dict.items(holder)


def _in_dict(holder: Any, held: object) -> str | None:  # noqa: ANN401
    for key, value in _items(holder):
        if value is held:
            return f"[{_key(key)}]"
        if key is held:
            return " key"
    return None


def _key(key: object) -> str:
    if type(key) is str or type(key) is bytes:
        # Of a text of any length no more than is shown.
        text = repr(key[:_MOST_CHARACTERS])
        if len(key) <= _MOST_CHARACTERS and len(text) <= _MOST_CHARACTERS:
            return text
        return f"{text[: _MOST_CHARACTERS - 1]}…"
    # Python refuses to write out a very large number.
    is_short = type(key) is not int or key.bit_length() <= _MOST_BITS
    if type(key) in _SHOWN_KEYS and is_short:
        return repr(key)
    return f"<{of_type(type(key), '__qualname__')}>"


def _in_sequence(holder: Any, held: object) -> str | None:  # noqa: ANN401
    kind = next(kind for kind in _SEQUENCES if isinstance_of(holder, kind))
    return _index(kind.__iter__(holder), held)


def _index(items: Iterable[object], held: object) -> str | None:
    with contextlib.suppress(RuntimeError):  # another thread has changed it meanwhile
        return next((f"[{number}]" for number, one in enumerate(items) if one is held), None)
    return None


def _in_function(function: FunctionType, held: object) -> str | None:
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=False):
        if _content(cell) is held:
            return f" closure of {name!r}"
    for defaults in (function.__defaults__ or (), (function.__kwdefaults__ or {}).values()):
        if any(one is held for one in defaults):
            return " default value"
    return None


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None


def _in_frame(frame: FrameType, held: object) -> str | None:
    name = next((name for name, address in variables(frame) if address == id(held)), None)
    return None if name is None else f" local {name!r}"


def _in_generator(generator: Any, held: object) -> str | None:  # noqa: ANN401
    frame = generator.gi_frame if isinstance_of(generator, GeneratorType) else generator.cr_frame
    return None if frame is None else _in_frame(frame, held)


def _in_method(method: MethodType, held: object) -> str | None:
    return ".__self__" if method.__self__ is held else None


def _in_partial(partial: Any, held: object) -> str | None:  # noqa: ANN401
    args, keywords = (_PARTIAL[name].__get__(partial) for name in ("args", "keywords"))
    found = _index(args, held) or _in_dict(keywords, held)
    return None if found is None else f" argument {found}"


def _in_exception(exception: BaseException, held: object) -> str | None:
    for name in ("__traceback__", "__context__", "__cause__"):
        if BaseException.__dict__[name].__get__(exception) is held:
            return f".{name}"
    return _index(BaseException.__dict__["args"].__get__(exception), held)


def _in_set(_holder: object, _held: object) -> str | None:
    return " member"


_FINDERS: Sequence[tuple[type, Any]] = (
    (dict, _in_dict),
    *((kind, _in_sequence) for kind in _SEQUENCES),
    (set, _in_set),
    (frozenset, _in_set),
    (FunctionType, _in_function),
    (MethodType, _in_method),
    (functools.partial, _in_partial),
    (FrameType, _in_frame),
    (GeneratorType, _in_generator),
    (CoroutineType, _in_generator),
    (BaseException, _in_exception),
)


def _attribute(holder: Any, held: object) -> str | None:  # noqa: ANN401
    """An attribute of an instance, in its dict or in a slot."""
    namespace = instance_namespace(holder)
    if namespace is not None:
        for name, value in _items(namespace):
            if value is held and isinstance(name, str):
                return f".{name}"
    for base in of_type(type(holder), "__mro__"):
        for name, slot in of_type(base, "__dict__").items():
            # What a slot gives is what it holds; what a getter gives may be made on the spot.
            if type(slot) is MemberDescriptorType and _in_slot(slot, holder) is held:
                return f".{name}"
    return None


def _in_slot(slot: Any, holder: object) -> object:  # noqa: ANN401 - typeshed lets it give anything
    try:
        return slot.__get__(holder)
    except AttributeError:  # nothing is in it
        return None
