"""``--memreturn-max-retained``: the default allowance, and which origin wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]

_INI = "[pytest]\nmemreturn_max_retained = 6 MiB"


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A test with a bare mark, one with an allowance, and one with a share of its own."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_keeps_30(): pass

        @pytest.mark.returns_memory("5 MiB")
        def test_keeps_40(): pass

        @pytest.mark.returns_memory(min_returned="90%")
        def test_keeps_9(): pass
        """
    )


def _headlines(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("kept ")]


OF_THE_MARK = "kept 40.0 MiB (allowed 5.0 MiB, marker on test_app.py::test_keeps_40)"


def test_default(run: Run) -> None:
    """Without any setting 2 MiB may stay, and the message says that this is the default."""
    assert _headlines(run()) == ["kept 30.0 MiB (allowed 2.0 MiB, default)", OF_THE_MARK]


def test_ini(pytester: pytest.Pytester, run: Run) -> None:
    """The ini option counts without the flag, and yields to the mark."""
    pytester.makeini(_INI)

    assert _headlines(run()) == [
        "kept 30.0 MiB (allowed 6.0 MiB, ini option memreturn_max_retained)",
        OF_THE_MARK,
    ]


def test_command_line(pytester: pytest.Pytester, run: Run) -> None:
    """The flag counts before the ini option, and yields to the mark."""
    pytester.makeini(_INI)

    assert _headlines(run("--memreturn-max-retained=7 MiB")) == [
        "kept 30.0 MiB (allowed 7.0 MiB, --memreturn-max-retained)",
        OF_THE_MARK,
    ]


def test_enough_for_all_but_the_mark(run: Run) -> None:
    """An allowance that covers what is kept lets the test pass."""
    result = run("--memreturn-max-retained=30MiB")

    result.assert_outcomes(passed=2, failed=1)
    assert _headlines(result) == [OF_THE_MARK]


def test_zero_is_an_allowance(run: Run) -> None:
    """``0`` is no missing value: nothing may stay."""
    assert _headlines(run("--memreturn-max-retained=0"))[0] == (
        "kept 30.0 MiB (allowed 0 B, --memreturn-max-retained)"
    )
