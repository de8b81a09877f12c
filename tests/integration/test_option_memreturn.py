"""``--memreturn``: judge every test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """One test of each kind: unmarked, marked, and opted out."""
    pytester.makepyfile(
        test_app="""
        import pytest

        def test_keeps_10(): pass
        def test_returns(): pass

        @pytest.mark.returns_memory("25 MiB")
        def test_keeps_20(): pass

        @pytest.mark.returns_memory(enabled=False)
        def test_keeps_30(): pass
        """
    )


EVERY_TEST = {"test_keeps_10": "retained", "test_returns": "returned", "test_keeps_20": "returned"}


def test_without_it_only_marked_tests_are_judged(run: Run, verdicts: Verdicts) -> None:
    """The mark alone asks for a verdict, unless it opts out."""
    run().assert_outcomes(passed=4)

    assert verdicts() == {"test_keeps_20": "returned"}


def test_flag_judges_every_test(run: Run, verdicts: Verdicts) -> None:
    """Marks refine what is allowed, and ``enabled=False`` opts out."""
    run("--memreturn").assert_outcomes(failed=1, passed=3)

    assert verdicts() == EVERY_TEST


def test_ini_judges_every_test(pytester: pytest.Pytester, run: Run, verdicts: Verdicts) -> None:
    """The ini option counts without the flag."""
    pytester.makeini("[pytest]\nmemreturn = true")

    run().assert_outcomes(failed=1, passed=3)

    assert verdicts() == EVERY_TEST


def test_pyproject_judges_every_test(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts
) -> None:
    """The same in ``pyproject.toml``, where the value is a boolean of TOML."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nmemreturn = true")

    run().assert_outcomes(failed=1, passed=3)

    assert verdicts() == EVERY_TEST


def test_ini_can_be_overridden_for_a_run(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts
) -> None:
    """``-o memreturn=false`` goes back to marked tests only."""
    pytester.makeini("[pytest]\nmemreturn = true")

    run("-o", "memreturn=false").assert_outcomes(passed=4)

    assert verdicts() == {"test_keeps_20": "returned"}
