"""What is asked of the types of objects, without running a line of anybody's code."""

from __future__ import annotations

import sys
from types import MethodDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

from pytest_memreturn.allocators._imported import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# One of these is in the namespace of a class that is written in Python, or of a base of it.
_NAMES_OF_CLASS_STATEMENTS = frozenset({"__dict__", "__weakref__", "__slots__"})
_OWN_MODULES = "pytest_memreturn."


class Kind:
    """What a census asks of a type, asked once."""

    __slots__ = (
        "fixed_bytes",
        "is_followed",
        "is_in_one_piece",
        "is_native",
        "is_ours",
        "name",
        "numpy_base",
        "size_method",
        "tells_size",
        "type",
    )

    def __init__(self, found: type, numpy_array: Any | None) -> None:  # noqa: ANN401 - a type
        mro = of_type(found, "__mro__")
        module, name = module_of(found), of_type(found, "__qualname__")
        # Keeps the type's address from being given to another one.
        self.type = found
        self.name: str = name if module == "builtins" else f"{module}.{name}"
        self.is_ours = module is not None and module.startswith(_OWN_MODULES)
        self.is_followed = found is dict or found is tuple
        # The items of bytes, tuples and numbers follow their fixed part, and so does a text; what
        # lies behind a bytearray or a list is anybody's.
        self.is_in_one_piece = of_type(found, "__itemsize__") > 0 or found is str
        # May own memory of which Python knows nothing; whoever tells a size of its own tells of it.
        self.is_native = (
            module != "builtins"
            and _NAMES_OF_CLASS_STATEMENTS.isdisjoint(_names_in(mro))
            and "__sizeof__" not in _names_in(mro)
        )
        self.tells_size = tells_size(found)
        self.size_method = _size_method(found) if self.tells_size else object.__sizeof__
        self.fixed_bytes: int = of_type(found, "__basicsize__")
        self.numpy_base: Callable[[object], object] | None = None
        if numpy_array is not None and any(base is numpy_array for base in mro):
            self.numpy_base = numpy_array.base.__get__


class Kinds:
    """The kinds of all objects of one census: some hundred, of a million objects."""

    def __init__(self) -> None:
        # By address: a metaclass may compare and hash its classes in any way.
        self._known: dict[int, Kind] = {}
        self._numpy_array = imported("numpy", "ndarray")

    def of(self, one: object) -> Kind:
        """The kind of an object."""
        return self.of_type(type(one))

    def of_type(self, found: type) -> Kind:
        """The kind of all objects of a type."""
        kind = self._known.get(id(found))
        if kind is None:
            kind = self._known[id(found)] = Kind(found, self._numpy_array)
        return kind


def types_of_modules() -> frozenset[int]:
    """The ids of the types of modules, which are not to be asked what they refer to.

    What a module's names refer to hangs on its dict, which gc tracks. What a C module keeps besides
    must not be touched: _asyncio of CPython 3.12 shows dead objects of its free list, and to take a
    reference to one and drop it makes that list a ring. A module that `sys.modules` has let go of
    counts as well, and so does whatever somebody has put there in a module's place.
    """
    return frozenset(
        {*map(id, every_type(ModuleType)), *map(id, map(type, list(sys.modules.values())))}
    )


def kinds_among(objects: Iterable[object]) -> set[int]:
    """The ids of the types of some objects."""
    return set(map(id, map(type, objects)))


def every_type(root: type = object) -> list[type]:
    """A type and every type there is below it, by the way of who derives from whom."""
    found: dict[int, type] = {id(root): root}
    pending: list[type] = [root]
    while pending:
        one: type
        for one in type.__subclasses__(pending.pop()):
            if id(one) not in found:
                found[id(one)] = one
                pending.append(one)
    return list(found.values())


def _names_in(mro: tuple[type, ...]) -> set[str]:
    """What the namespaces of some classes have, but for that of `object`."""
    return {name for base in mro if base is not object for name in of_type(base, "__dict__")}


def tells_size(found: type) -> bool:
    """Whether C code tells the size of its objects, and no method of a class statement.

    That of a pandas frame goes through all of its texts.
    """
    return type(_size_method(found)) is MethodDescriptorType


def _size_method(found: type) -> Any:  # noqa: ANN401 - a class statement may put anything there
    namespaces = (of_type(base, "__dict__") for base in of_type(found, "__mro__"))
    return next(one["__sizeof__"] for one in namespaces if "__sizeof__" in one)


def size_of(one: object, kind: Kind) -> int:
    """The size of an object as `sys.getsizeof` tells it; without a line of anybody's code."""
    try:
        return sys.getsizeof(one) if kind.tells_size else object.__sizeof__(one)
    except Exception:  # noqa: BLE001 - nor need an extension know it
        return 0


def module_of(found: type) -> str | None:
    """The name of the module of a class, where it is one: a class body may put anything there."""
    try:
        module = of_type(found, "__module__")
    except AttributeError:  # a C extension may give none
        return None
    return module if type(module) is str else None


def of_type(found: type, name: str) -> Any:  # noqa: ANN401 - a class may name anything its module
    """An attribute of a class as `type` has it, whatever its metaclass has in its place."""
    return type.__dict__[name].__get__(found)
