"""``python -m pytest_memreturn compare``: what retains more than it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_memreturn.__main__ import main


@pytest.fixture(autouse=True)
def _project(scripted: Path) -> None:
    """A folder to run in."""


def write(pytester: pytest.Pytester, name: str, *sizes: float) -> None:
    """Write the report of a run with a test for each size."""
    steps = "".join(
        f"""
def test_{number}(request, memreturn):
    play(request.config, [Script(9 << 20, (9 << 20) + int({size} * (1 << 20)))])
    try:
        with memreturn(label="step"):
            pass
    except AssertionError:
        pass
"""
        for number, size in enumerate(sizes)
    )
    pytester.makepyfile(test_app="from pytest_memreturn.testing import Script, play\n" + steps)
    pytester.runpytest_inprocess(f"--memreturn-report=json:{name}")


def test_nothing_is_worse(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    """Less than the tolerance more; a test that keeps less; one that went. Status 0."""
    write(pytester, "old.json", 0, 9, 3)
    write(pytester, "new.json", 1, 5)
    capsys.readouterr()
    assert main(["compare", "old.json", "new.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 in both reports, 0 came, 1 went: none is worse"
    assert "9.0  5.0    -4.0  unexplained       test_app.py::test_1 [step]" in lines


def test_more_is_retained(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, with the tests that are worse."""
    write(pytester, "old.json", 0, 9)
    write(pytester, "new.json", 7, 9)
    capsys.readouterr()
    assert main(["compare", "old.json", "new.json"]) == 1
    shown = capsys.readouterr().out
    assert (
        "WORSE test_app.py::test_0 [step] - keeps 7.0 MiB (unexplained), 7.0 MiB more than before\n"
    ) in shown
    assert "test_1" not in shown
    assert main(["compare", "old.json", "new.json", "--verbose"]) == 1
    assert "test_1" in capsys.readouterr().out


@pytest.mark.parametrize(("tolerance", "status"), [("512 KiB", 1), ("1MiB", 0), ("0", 1)])
def test_how_much_more_may_be_retained(
    pytester: pytest.Pytester, tolerance: str, status: int
) -> None:
    """A size as everywhere; a test of the same verdict may keep as much more."""
    write(pytester, "old.json", 0.25)
    write(pytester, "new.json", 1.25)
    assert main(["compare", "old.json", "new.json", "--tolerance", tolerance]) == status
