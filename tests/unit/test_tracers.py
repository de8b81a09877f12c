"""Who traces: asked of a stand-in for `sys`, since whoever runs this may be traced itself."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from pytest_memreturn.explain import tracers as module
from pytest_memreturn.explain.tracers import tracers


class InC:
    """Like a tracer that is written in C: its module is that of its type."""

    __module__ = "coverage.tracer"


def function() -> None:
    """Like a tracer that is written in Python."""


function.__module__ = "pydevd.tracing"


def tools(*names: str) -> SimpleNamespace:
    """What CPython 3.12 and later has, with tools of such names."""
    return SimpleNamespace(get_tool=dict(enumerate(names)).get)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ()),
        ({"trace": InC()}, ("coverage",)),
        ({"trace": function}, ("pydevd",)),
        ({"profile": function, "trace": InC()}, ("coverage", "pydevd")),
        ({"monitoring": tools()}, ()),
        ({"monitoring": tools("debugger", "coverage.py")}, ("debugger", "coverage")),
        ({"monitoring": tools("coverage.py"), "trace": InC()}, ("coverage",)),
    ],
)
def test_tracers_are_named_by_their_packages(
    given: dict[str, object], found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, by whatever way it traces."""
    stand_in = SimpleNamespace(
        gettrace=lambda: given.get("trace"), getprofile=lambda: given.get("profile")
    )
    if "monitoring" in given:
        stand_in.monitoring = given["monitoring"]
    monkeypatch.setattr(module, "sys", stand_in)
    assert tracers() == found


def test_this_process_can_be_asked() -> None:
    """Whatever the answer is where this runs."""
    assert bool(tracers()) >= (sys.gettrace() is not None)
