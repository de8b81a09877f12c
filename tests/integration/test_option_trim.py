"""``--memreturn-trim`` and ``--no-memreturn-trim``: at which rung the verdict is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """Free memory held until a trim, with no word on it, and with either word in the mark."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_holds_30(): pass

        @pytest.mark.returns_memory(trim=True)
        def test_holds_31(): pass

        @pytest.mark.returns_memory(trim=False)
        def test_holds_32(): pass

        @pytest.mark.returns_memory
        def test_cycles_33(): pass
        """
    )


@pytest.mark.parametrize(
    ("ini", "flags", "gate"),
    [
        (None, (), "collect"),
        ("true", (), "trim"),
        ("false", (), "collect"),
        (None, ("--memreturn-trim",), "trim"),
        (None, ("--no-memreturn-trim",), "collect"),
        ("true", ("--no-memreturn-trim",), "collect"),
        ("false", ("--memreturn-trim",), "trim"),
        (None, ("--no-memreturn-trim", "--memreturn-trim"), "trim"),
    ],
)
def test_mark_before_command_line_before_ini(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    records: Records,
    ini: str | None,
    flags: tuple[str, ...],
    gate: str,
) -> None:
    """The gate is the closest origin's word; memory that a trim returns passes only behind it."""
    if ini is not None:
        pytester.makeini(f"[pytest]\nmemreturn_trim = {ini}")

    result = run(*flags)

    found = records()
    assert {name: one["gate"] for name, one in found.items()} == {
        "test_holds_30": gate,
        "test_holds_31": "trim",
        "test_holds_32": "collect",
        "test_cycles_33": gate,
    }
    assert {name for name, one in found.items() if one["verdict"] == "retained"} == (
        {"test_holds_32"} if gate == "trim" else {"test_holds_30", "test_holds_32"}
    )
    result.assert_outcomes(
        **({"passed": 3, "failed": 1} if gate == "trim" else {"passed": 2, "failed": 2})
    )


def test_ladder_is_climbed_no_further_than_needed(run: Run, records: Records) -> None:
    """Readings are there for the rungs that were needed, and null for the others."""
    run("--memreturn-trim")

    found = {
        name: [rung for rung, size in one["readings"].items() if size is None]
        for name, one in records().items()
    }
    assert found == {
        "test_holds_30": [],
        "test_holds_31": [],
        "test_holds_32": [],
        "test_cycles_33": ["trim"],
    }


def test_message_names_the_trim_that_returned(run: Run) -> None:
    """Where a trim returned what gc did not, the message says so, with the bytes."""
    result = run("-k", "test_holds_30")

    result.stdout.fnmatch_lines(["  try  *trim*tried: returns 30.0*"])
