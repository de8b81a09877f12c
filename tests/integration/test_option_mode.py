"""``--memreturn-mode``: what a retained verdict does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """One test that keeps memory and one that doesn't."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory
        def test_keeps_30(): pass
        def test_returns(): pass
        """
    )


BOTH = {"test_keeps_30": "retained", "test_returns": "returned"}


@pytest.mark.parametrize("flags", [(), ("--memreturn-mode=fail",), ("--memreturn-mode", "fail")])
def test_fail_is_the_default(run: Run, verdicts: Verdicts, flags: tuple[str, ...]) -> None:
    """A retaining test fails."""
    run(*flags).assert_outcomes(failed=1, passed=1)

    assert verdicts() == BOTH


@pytest.mark.parametrize("origin", ["flag", "ini"])
def test_warn(pytester: pytest.Pytester, run: Run, verdicts: Verdicts, origin: str) -> None:
    """The test passes, pytest shows the whole message as a warning at the test, exit status 0."""
    if origin == "ini":
        pytester.makeini("[pytest]\nmemreturn_mode = warn")

    result = run(*(["--memreturn-mode=warn"] if origin == "flag" else []))

    result.assert_outcomes(passed=2, warnings=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "test_app.py::test_keeps_30",
            "*test_app.py:3: MemoryNotReturnedWarning: test_app.py::test_keeps_30*",
            "*footprint * 50.0 → peak 150.0 →*",
        ]
    )
    assert "kept 30.0 MiB (allowed 2.0 MiB, default)" in result.stdout.str()
    assert verdicts() == BOTH


def test_warning_can_be_filtered(run: Run, verdicts: Verdicts) -> None:
    """The warning's class is public, so that a filter can name it, or its base."""
    for name in ("MemoryNotReturnedWarning", "MemreturnWarning"):
        result = run("--memreturn-mode=warn", "-W", f"ignore::pytest_memreturn.{name}")

        result.assert_outcomes(passed=2, warnings=0)
        assert verdicts() == BOTH


def test_warning_as_error(run: Run, verdicts: Verdicts) -> None:
    """Where warnings are errors the test fails with the message, and keeps its verdict."""
    result = run("--memreturn-mode=warn", "-W", "error")

    result.assert_outcomes(failed=1, passed=1)
    shown = result.stdout.str()
    assert "kept 30.0 MiB (allowed 2.0 MiB, default)" in shown
    assert "_session.py" not in shown
    assert "plugin.py" not in shown
    assert verdicts() == BOTH


@pytest.mark.parametrize("origin", ["flag", "ini"])
def test_off(pytester: pytest.Pytester, run: Run, verdicts: Verdicts, origin: str) -> None:
    """Nothing is judged, not even under ``--memreturn``, and the report has no tests."""
    if origin == "ini":
        pytester.makeini("[pytest]\nmemreturn_mode = off")

    result = run("--memreturn", *(["--memreturn-mode=off"] if origin == "flag" else []))

    result.assert_outcomes(passed=2)
    assert verdicts() == {}


def test_command_line_before_ini(pytester: pytest.Pytester, run: Run) -> None:
    """The flag counts before the ini option."""
    pytester.makeini("[pytest]\nmemreturn_mode = off")

    run("--memreturn-mode=fail").assert_outcomes(failed=1, passed=1)
