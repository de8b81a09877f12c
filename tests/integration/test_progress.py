"""In a terminal, what takes long is said while it is done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest

pty = pytest.importorskip("pty", reason="terminals are made so on POSIX only")

_PLAYED = """
from pytest_memreturn.testing import Script, play

MIB = 1024 * 1024

def pytest_configure(config):
    play(config, [Script(50 * MIB, end=80 * MIB)])
"""


STEPS = [
    "memreturn: looks into the heaps",
    "memreturn: looks for what survived",
    "memreturn: looks for what pins free memory",
]

Shown: TypeAlias = Callable[..., str]


@pytest.fixture
def shown(pytester: pytest.Pytester, scripted: None, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What a terminal is sent while a test is explained."""
    monkeypatch.setenv("COLUMNS", "60")
    pytester.makeconftest(_PLAYED)
    pytester.makepyfile("def test_keeps(): pass")
    return _sent


def _sent(*arguments: str) -> str:
    outer, inner = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", "--memreturn", "-p", "no:cacheprovider", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=inner,
            stderr=inner,
            env={**os.environ, "TERM": "dumb"},
        ) as process:
            os.close(inner)
            said = b""
            try:
                while part := os.read(outer, 65536):
                    said += part
            except OSError:  # so Linux says that the other end is closed
                pass
        assert process.returncode == 1
    finally:
        os.close(outer)
    return said.decode()


def _steps(sent: str) -> Sequence[str]:
    return [part.rstrip() for part in sent.split("\r") if part.startswith("memreturn: ")]


@pytest.mark.parametrize("arguments", [(), ("-q",), ("-s",), ("-v",), ("-vv", "-s")])
def test_progress_in_a_terminal(shown: Shown, arguments: Sequence[str]) -> None:
    """On a line that is written over, and gone when the outcome comes, however much is told."""
    sent = shown(*arguments)

    assert _steps(sent) == STEPS
    gone, _, outcome = sent.rpartition("\r" + " " * 59 + "\r")
    assert gone
    if "-v" in arguments or "-vv" in arguments:
        line = "test_progress_in_a_terminal.py::test_keeps FAILED [retained 30.0 MiB"
        assert outcome.startswith(f"\r\n{line}")
    else:
        assert outcome.startswith("F")
    assert "kept 30.0 MiB (allowed 2.0 MiB, default)" in outcome


def test_no_progress_from_a_worker(shown: Shown) -> None:
    """A worker of pytest-xdist has no terminal; the controller shows each verdict as it comes."""
    sent = shown("-p", "xdist", "-n1", "-v")

    assert _steps(sent) == []
    assert "FAILED [retained 30.0 MiB, unexplained] test_no_progress_from_a_worker.py::" in sent


def test_no_progress_in_a_log(pytester: pytest.Pytester, scripted: None) -> None:
    """A log would keep every line that was meant to be written over."""
    pytester.makeconftest(_PLAYED)
    pytester.makepyfile("def test_keeps(): pass")

    result = pytester.runpytest_inprocess("--memreturn", "-v", "-s")

    result.assert_outcomes(failed=1)
    assert "memreturn: " not in result.stdout.str()
