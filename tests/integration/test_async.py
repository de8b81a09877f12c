"""Asynchronous tests under pytest-asyncio and anyio are judged like others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]

_TESTS = """
import asyncio
import pytest

pytestmark = [pytest.mark.returns_memory, *{marks}]
{head}

async def test_keeps_30():
    await asyncio.sleep(0)

async def test_returns():
    await asyncio.sleep(0)

async def test_fails():
    await asyncio.sleep(0)
    assert False, "my own"

async def test_skips():
    pytest.skip("my own")

async def test_block_keeps_20(memreturn):
    with pytest.raises(AssertionError), memreturn():
        await asyncio.sleep(0)
"""

_EXPECTED = {
    "test_keeps_30": "retained",
    "test_returns": "returned",
    "test_fails": "unjudged",
    "test_skips": "unjudged",
    "test_block_keeps_20 block 1": "retained",
    "test_block_keeps_20": "retained",
}


def _check(result: pytest.RunResult, found: Mapping[str, str]) -> None:
    result.assert_outcomes(passed=1, failed=3, skipped=1)
    result.stdout.fnmatch_lines(["kept 30.0 MiB (allowed 2.0 MiB, default)"])
    result.stdout.no_fnmatch_line("*_session.py*")
    assert {name.replace("[asyncio]", ""): verdict for name, verdict in found.items()} == _EXPECTED


@pytest.mark.parametrize(("mode", "marks"), [("auto", "[]"), ("strict", "[pytest.mark.asyncio]")])
def test_pytest_asyncio(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts, mode: str, marks: str
) -> None:
    """Under pytest-asyncio, in both its modes."""
    pytester.makepyfile(test_app=_TESTS.format(marks=marks, head=""))

    # Its default is about to change, and it warns whoever does not choose.
    scope = "asyncio_default_fixture_loop_scope=function"

    _check(run("-p", "asyncio", f"--asyncio-mode={mode}", "-o", scope), verdicts())


def test_anyio(pytester: pytest.Pytester, run: Run, verdicts: Verdicts) -> None:
    """Under anyio's own plugin."""
    head = "@pytest.fixture\ndef anyio_backend(): return 'asyncio'"
    pytester.makepyfile(test_app=_TESTS.format(marks="[pytest.mark.anyio]", head=head))

    _check(run("-p", "anyio"), verdicts())
