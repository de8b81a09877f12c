"""What the variables of a frame name, without a change to it."""

from __future__ import annotations

import gc
import struct
import sys
from types import CellType, FrameType, SimpleNamespace
from typing import Any, cast

import pytest

from pytest_memreturn.explain import frame_locals
from pytest_memreturn.explain.frame_locals import variables
from pytest_memreturn.probes.own_memory import OwnMemory


def here(first: object, second: object = None) -> tuple[dict[str, int], dict[str, int]]:
    """What is found of a function that runs, and what it has."""
    own, shared = [first], {"second": second}

    def inner() -> object:
        return shared, sys._getframe()

    found = dict(variables(sys._getframe()))
    named = {"first": first, "second": second, "own": own, "shared": shared, "inner": inner}
    return found, {name: id(one) for name, one in named.items()}


def test_the_variables_of_a_function_that_runs() -> None:
    """Arguments, others, and those that another function closes over; not the unset ones."""
    found, expected = here("a", "b")
    assert {name: found.get(name) for name in expected} == expected


def test_the_variables_of_a_function_that_is_closed_over() -> None:
    """They are seen through their cells."""
    shared = ["shared"]

    def inner() -> dict[str, int]:
        assert shared
        return dict(variables(sys._getframe()))

    assert inner()["shared"] == id(shared)


def ended() -> tuple[FrameType, int]:
    """The frame of a function that has raised, and where its buffer is."""
    address = 0

    def fails() -> None:
        nonlocal address
        buffer = bytearray(10)
        address = id(buffer)
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is its frame that matters
        fails()
    return caught.tb.tb_next.tb_frame, address  # type: ignore[union-attr]


def test_the_variables_of_a_frame_that_an_exception_keeps() -> None:
    """By the time somebody looks, the function has long ended."""
    frame, address = ended()
    assert dict(variables(frame))["buffer"] == address


def test_nothing_is_kept_for_having_been_looked_at() -> None:
    """When the frame is cleared, what its variables named is gone."""
    frame, _ = ended()
    assert dict(variables(frame))
    frame.clear()
    # A frame that keeps a copy of its variables shows it here.
    assert not [one for one in gc.get_referents(frame) if isinstance(one, bytearray)]
    assert "buffer" not in dict(variables(frame))


def test_the_names_of_a_class_that_is_being_made() -> None:
    """A class and a module have no variables but their namespace."""
    found: dict[str, int] = {}

    class Made:
        one = (1, "x")
        found.update(variables(sys._getframe()))

    assert found["one"] == id(Made.one)


def test_a_suspended_generator_has_variables() -> None:
    """As they are where it waits."""

    def generator() -> Any:  # noqa: ANN401 - as varied as it is
        buffer = bytearray(5)
        yield id(buffer)

    waiting = generator()
    address = next(waiting)
    assert dict(variables(waiting.gi_frame))["buffer"] == address


def test_where_a_frame_is_laid_out_otherwise_nothing_is_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of an interpreter that says it is one, and is another."""
    monkeypatch.setattr(frame_locals, "_CODE_AT", 16)
    assert list(variables(sys._getframe())) == []


@pytest.mark.parametrize("answer", [b"12345", None], ids=["cut short", "unmapped"])
def test_where_a_frame_is_gone_meanwhile_there_is_nothing_to_see(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    """Its thread went on: what it had may lie in memory that is no longer mapped."""

    def read(*_: object) -> bytes:
        if answer is None:
            raise OSError
        return answer

    monkeypatch.setattr(frame_locals, "_CODE_AT", 0)
    monkeypatch.setattr(OwnMemory, "read", read)
    assert list(variables(sys._getframe())) == []


def test_a_frame_is_read_as_it_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of 3.12, in a memory of our own: an argument, and two in cells, one of them empty."""

    def function(first: object) -> object:
        own, unset = first, None
        return lambda: (own, unset)

    code, frame = function.__code__, cast("FrameType", SimpleNamespace(f_code=function.__code__))
    assert (code.co_varnames, code.co_cellvars) == (("first",), ("own", "unset"))
    memory = {
        id(frame) + 24: [0x1000],
        0x1000: [id(code)],
        0x1048: [0x2000, 0x3000, 0x4000],
        0x2008: [id(int), 5],
        0x3008: [id(CellType), 0x5000],
        0x4008: [id(CellType), 0],
    }

    def read(_: OwnMemory, address: int, size: int) -> bytes:
        assert size == 8 * len(memory[address])
        return struct.pack(f"{size // 8}Q", *memory[address])

    monkeypatch.setattr(frame_locals, "_CODE_AT", 0)
    monkeypatch.setattr(OwnMemory, "read", read)
    assert dict(variables(frame)) == {"first": 0x2000, "own": 0x5000, "unset": 0x4000}
    memory[0x1048][0] = 0
    assert "first" not in dict(variables(frame))
    memory[id(frame) + 24] = [0]
    assert dict(variables(frame)) == {}
