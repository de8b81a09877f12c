"""Where chains of references begin: modules, classes, the stacks of threads, pytest's fixtures."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any, cast

from pytest_memreturn.explain.frame_locals import variables
from pytest_memreturn.explain.kinds import module_of, of_type
from pytest_memreturn.explain.links import instance_namespace, isinstance_of, key_in

_NAMESPACE: Any = vars(ModuleType)["__dict__"]
_IDENT: Any = vars(threading.Thread)["ident"]
_NAME: Any = vars(threading.Thread)["name"]
_OWN_MODULES = "pytest_memreturn."


class Roots:
    """What is alive by itself, as it is now. Holds modules and frames: let go of it soon."""

    def __init__(self) -> None:
        self._modules: dict[int, str] = {}
        # As it is, whatever somebody puts there, and while somebody imports.
        for name, module in list(sys.modules.items()):
            if isinstance_of(module, ModuleType):
                self._modules.setdefault(id(namespace_of_module(module)), str(name))
        # Of each frame the variables, by the addresses of what they name: asked once, since each
        # step of each chain looks through all of them.
        self._variables = [(thread, frame, list(variables(frame))) for thread, frame in _frames()]

    def holding(self, holder: object, held: object) -> tuple[str, object] | None:
        """The root that an object is, or is the namespace of; and the first object it holds."""
        module = self._modules.get(id(holder))
        if module is not None:
            return f"{module}.{key_in(cast('dict[Any, Any]', holder), held)}", held
        if isinstance_of(holder, ModuleType):
            # What its names refer to hangs on its namespace: this is its C code's own.
            name = namespace_of_module(holder).get("__name__")
            return f"C code of {name}", held
        if _is_fixture(type(holder)):
            name = dict.get(instance_namespace(holder) or {}, "argname")
            return f"fixture {name!r}" if isinstance(name, str) else "a fixture", held
        if isinstance_of(holder, type):
            name = class_in_words(cast("type", holder))
            return None if name is None else (name, holder)
        return None

    def on_stack(self, objects: Sequence[object]) -> tuple[str, object] | None:
        """The first function that runs just now and names one of these; and which one.

        pytest's own functions come last: what they hold somebody else mostly holds as well.
        """
        addresses = {id(one): number for number, one in enumerate(objects)}
        for thread, frame, named in self._variables:
            for name, address in named:
                if address in addresses:
                    function = f"{_module_of_frame(frame)}.{frame.f_code.co_qualname}()"
                    return f"thread {thread!r}: {function} local {name!r}", objects[
                        addresses[address]
                    ]
        return None


def class_in_words(found: type) -> str | None:
    """A class by its module and name, if it is to be found there."""
    module, name = module_of(found), of_type(found, "__qualname__")
    if module is None:
        return None
    holder: Any = sys.modules.get(module)
    for part in name.split("."):
        if isinstance_of(holder, ModuleType):
            holder = namespace_of_module(holder).get(part)
        elif isinstance_of(holder, type):
            holder = of_type(holder, "__dict__").get(part)
        else:
            return None
    return f"{module}.{name}" if holder is found else None


def namespace_of_module(module: object) -> Any:  # noqa: ANN401 - a dict of anything
    """The namespace of a module, whatever its class makes of its attributes."""
    return _NAMESPACE.__get__(module)


def _is_fixture(found: type) -> bool:
    """Whether pytest keeps the value of a fixture in such objects, until it ends."""
    return module_of(found) == "_pytest.fixtures" and of_type(found, "__qualname__") == "FixtureDef"


def _frames() -> list[tuple[str, FrameType]]:
    """Every frame of every thread with the thread's name, but for those of this package."""
    # As threads themselves have it, whatever a class of somebody's makes of it.
    names = {_IDENT.__get__(one): _NAME.__get__(one) for one in threading.enumerate()}
    found, of_pytest = [], []
    frame: FrameType | None
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented, for debuggers
        while frame is not None:
            module = _module_of_frame(frame)
            if module.partition(".")[0] in {"_pytest", "pluggy", "pytest"}:
                of_pytest.append((names.get(ident, str(ident)), frame))
            elif not module.startswith(_OWN_MODULES):
                found.append((names.get(ident, str(ident)), frame))
            # Not kept at the end: among them is the frame of this function, which would keep
            # itself, and with it those of pytest, until the next collection.
            frame = frame.f_back  # noqa: PLW2901
    return found + of_pytest


def _module_of_frame(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else "?"
