"""In a terminal, what takes long is said while it is done."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="terminals are made so on POSIX only")

_PLAYED = """
from pytest_memreturn.testing import Script, play

MIB = 1024 * 1024

def pytest_configure(config):
    play(config, [Script(50 * MIB, end=80 * MIB)])
"""


@pytest.fixture
def shown(pytester: pytest.Pytester, scripted: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal is sent while a test is explained."""
    monkeypatch.setenv("COLUMNS", "60")
    pytester.makeconftest(_PLAYED)
    pytester.makepyfile("def test_keeps(): pass")
    outer, inner = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", "--memreturn", "-p", "no:cacheprovider"],
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


def test_progress_in_a_terminal(shown: str) -> None:
    """On a line that is written over, and gone when the report comes."""
    steps = [part.rstrip() for part in shown.split("\r") if part.startswith("memreturn: ")]
    assert steps == [
        "memreturn: looks into the heaps",
        "memreturn: looks for what survived",
        "memreturn: looks for what pins free memory",
    ]
    assert "\r" + " " * 59 in shown
    assert "kept 30.0 MiB (allowed 2.0 MiB, default)" in shown
