"""How objects hold one another, in words."""

from __future__ import annotations

import functools
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_memreturn.explain import links
from pytest_memreturn.explain.links import instance_namespace, isinstance_of, key_in, link

HELD = bytearray(b"held")


class Plain:
    """With attributes in a dict."""

    def __init__(self) -> None:
        self.body = HELD
        self.other = 1

    def method(self) -> None:
        """Bound to an instance."""


class Slotted:
    """With attributes in slots, the first of them empty."""

    __slots__ = ("absent", "body")

    def __init__(self) -> None:
        self.body = HELD


class Hostile(dict[Any, Any]):
    """Runs code of its own wherever it can."""

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401
        raise AssertionError(name)

    __iter__ = __len__ = __eq__ = __hash__ = items = values = None  # type: ignore[assignment]


class HostilePartial(functools.partial[object]):
    """One whose attributes must not be asked."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError


class HostileKey:
    """A key that nobody may print or compare, once it is in."""

    def __repr__(self) -> str:
        raise AssertionError


def closure() -> Callable[[], object]:
    """A function that has closed over something."""
    late: Any
    kept = HELD

    def inner() -> object:
        return (kept, late)

    if not kept:
        late = 1
    return inner


def function(one: object = HELD, *, two: object = None) -> object:
    """With a default value."""
    return one, two


def generator() -> Iterator[object]:
    """That waits with a variable."""
    kept = HELD
    yield kept


async def coroutine() -> None:
    """That has not begun."""


def waiting() -> Iterator[object]:
    """A generator that waits."""
    found = generator()
    next(found)
    return found


def raised() -> ValueError:
    """An exception that was raised."""
    with pytest.raises(ValueError, match="1") as caught:
        raise ValueError(1, HELD)
    return caught.value


EXCEPTION = raised()
PLAIN, SLOTTED = Plain(), Slotted()
HOSTILE = Hostile({"a": HELD})


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        pytest.param({"x": 1, "body": HELD}, "['body']", id="key"),
        pytest.param({17: HELD}, "[17]", id="number as key"),
        pytest.param({"k" * 50: HELD}, f"['{'k' * 28}…]", id="long key"),
        pytest.param({"é" * 10**6: HELD}, f"['{'é' * 28}…]", id="very long key"),
        pytest.param({b"\x00" * 20: HELD}, "[b'" + r"\x00" * 6 + r"\x0…]", id="long in words"),
        pytest.param({10**5000: HELD}, "[<int>]", id="a number too large to be written out"),
        pytest.param({(1, 2): HELD}, "[<tuple>]", id="other key"),
        pytest.param({HostileKey(): HELD}, "[<HostileKey>]", id="hostile key"),
        pytest.param(HOSTILE, "['a']", id="hostile dict"),
        pytest.param([0, 1, HELD], "[2]", id="list"),
        pytest.param((HELD,), "[0]", id="tuple"),
        pytest.param(deque([0, HELD]), "[1]", id="deque"),
        pytest.param(closure(), " closure of 'kept'", id="closure"),
        pytest.param(function, " default value", id="default"),
        pytest.param(functools.partial(print, 1, HELD), " argument [1]", id="partial"),
        pytest.param(functools.partial(print, end=HELD), " argument ['end']", id="keyword"),
        pytest.param(functools.partial(print), "", id="partial without it"),
        pytest.param(HostilePartial(print, HELD), " argument [0]", id="hostile partial"),
        pytest.param(waiting(), " local 'kept'", id="generator"),
        pytest.param(PLAIN, ".body", id="attribute"),
        pytest.param(SLOTTED, ".body", id="slot"),
        pytest.param(EXCEPTION, "[1]", id="argument of an exception"),
        pytest.param(object(), "", id="nobody knows how"),
    ],
)
def test_how_something_is_held(holder: object, words: str) -> None:
    """Index, key, attribute, variable; without a line of anybody's code."""
    assert link(holder, HELD) == words


def test_how_other_things_are_held() -> None:
    """Of which there is another one each time."""
    key = frozenset({1})
    assert link({key: 1}, key) == " key"
    assert link({key}, key) == " member"
    assert link(frozenset({key}), key) == " member"
    assert link([HELD], key) == ""
    assert link(PLAIN.method, PLAIN) == ".__self__"
    assert link(PLAIN.method, HELD) == ""
    assert link(EXCEPTION, EXCEPTION.__traceback__) == ".__traceback__"
    assert link(function, key) == ""
    frame = sys._getframe()
    assert link(frame, key) == " local 'key'"
    assert link(frame, HELD) == ""
    ended = generator()
    list(ended)
    assert link(ended, HELD) == ""
    begun = coroutine()
    assert link(begun, HELD) == ""
    begun.close()


def test_a_variable_may_have_no_value_yet() -> None:
    """Then the next one is looked at."""

    def inner() -> object:
        return absent, body

    body = HELD
    assert link(inner, HELD) == " closure of 'body'"
    absent = None
    assert inner() == (absent, body)


def test_an_instance_has_a_namespace_or_none() -> None:
    """As its class was made."""
    assert instance_namespace(PLAIN) is PLAIN.__dict__
    assert instance_namespace(SLOTTED) is None
    assert instance_namespace(HOSTILE) == {}
    assert instance_namespace([]) is None


def test_a_class_may_name_its_dict_otherwise() -> None:
    """A property of that name is none that is asked."""

    class Named:
        __slots__ = ()

        @property
        def __dict__(self) -> Any:  # type: ignore[override]  # noqa: ANN401
            raise AssertionError

    assert instance_namespace(Named()) is None
    assert link(Named(), HELD) == ""


def test_what_another_thread_changes_meanwhile() -> None:
    """Is looked at for as long as it stays as it is; no copy is made, which may be large."""
    names: dict[object, object] = {"a": 1, "b": 2}
    found = links._items(names)
    assert next(found) == ("a", 1)
    names["c"] = HELD
    assert list(found) == []
    waiting = deque([1, HELD])
    items = iter(waiting)
    waiting.append(3)
    assert links._index(items, HELD) is None


def test_names_in_a_namespace() -> None:
    """By what they name."""
    assert key_in({"a": 1, "b": HELD}, HELD) == "b"
    assert key_in({3: HELD}, HELD) == "?"
    assert key_in({}, HELD) == "?"


def test_what_something_truly_is() -> None:
    """Not what it says."""

    class Lies:
        __class__ = dict  # type: ignore[assignment]

    assert isinstance(Lies(), dict)
    assert not isinstance_of(Lies(), dict)
    assert isinstance_of(HOSTILE, dict)
    gc.collect()
