"""A wrong value on the command line or in the ini file ends the run before its first test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]

_SIZES = ["much", "", "-1", "-1 MiB", "1 M", "5 KB per call", "1.5", "1e6", "5 MiB 3"]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A test that would tell if it ran."""
    pytester.makepyfile(test_app="def test_it(): print('the test ran')")


def _refused(result: pytest.RunResult, message: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"ERROR: {message}")
    assert "Traceback" not in result.stderr.str()
    assert "the test ran" not in result.stdout.str()


@pytest.mark.parametrize("value", _SIZES)
def test_size(pytester: pytest.Pytester, run: Run, value: str) -> None:
    """Text that is not exactly a size is refused, naming origin and value."""
    _refused(
        run("-s", f"--memreturn-max-retained={value}"), f"--memreturn-max-retained: {value!r} "
    )
    pytester.makeini(f"[pytest]\nmemreturn_max_retained = {value}")
    _refused(run("-s"), f"ini option memreturn_max_retained: {value!r} ")


@pytest.mark.parametrize("value", ["Fail", "ignore", ""])
def test_mode(pytester: pytest.Pytester, run: Run, value: str) -> None:
    """A mode that does not exist is refused with those that do."""
    problem = f"{value!r} is not one of fail, warn, off"
    _refused(run("-s", f"--memreturn-mode={value}"), f"--memreturn-mode: {problem}")
    pytester.makeini(f"[pytest]\nmemreturn_mode = {value}")
    _refused(run("-s"), f"ini option memreturn_mode: {problem}")


@pytest.mark.parametrize("name", ["memreturn", "memreturn_trim", "memreturn_strict"])
def test_switch(pytester: pytest.Pytester, run: Run, name: str) -> None:
    """A switch in the ini file is true or false, nothing else."""
    pytester.makeini(f"[pytest]\n{name} = perhaps")

    result = run("-s")

    _refused(result, f"ini option {name}: ")
    assert "'perhaps'" in result.stderr.str()


def test_closer_value_does_not_hide_a_wrong_one(pytester: pytest.Pytester, run: Run) -> None:
    """A wrong ini value is refused even where the command line would win."""
    pytester.makeini("[pytest]\nmemreturn_max_retained = much")

    _refused(
        run("-s", "--memreturn-max-retained=1 MiB"), "ini option memreturn_max_retained: 'much' "
    )


def test_flag_without_its_value(run: Run) -> None:
    """A flag that lacks its value is refused by pytest itself."""
    result = run("--memreturn-max-retained")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --memreturn-max-retained: expected one argument*"])
