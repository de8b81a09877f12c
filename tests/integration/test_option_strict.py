"""``--memreturn-strict``: a test that could not be judged fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]

REASON = "the script has no reading at end"


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A test whose memory can't be read, one that can, and one that skips by itself."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory
        def test_unreadable(): pass
        def test_returns(): pass
        def test_skips(): pytest.skip("not today")
        """
    )


def test_unjudged_passes_but_never_quietly(run: Run, records: Records) -> None:
    """Without it the test passes, and the summary names it with the reason."""
    result = run()

    result.assert_outcomes(passed=2, skipped=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "=* memory returned to the operating system *=",
            f"UNJUDGED test_app.py::test_unreadable - {REASON}",
        ]
    )
    result.stdout.no_fnmatch_line("UNJUDGED *test_skips*")
    record = records()["test_unreadable"]
    assert (record["verdict"], record["reason"]) == ("unjudged", REASON)
    assert record["own_outcome"] is None


@pytest.mark.parametrize(
    ("origin", "named"),
    [("flag", "--memreturn-strict"), ("ini", "ini option memreturn_strict")],
)
def test_strict_fails_it(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    records: Records,
    failures: Callable[[pytest.RunResult], str],
    origin: str,
    named: str,
) -> None:
    """Only the test that could not be read fails, and its message says who was so strict."""
    if origin == "ini":
        pytester.makeini("[pytest]\nmemreturn_strict = true")

    result = run(*(["--memreturn-strict"] if origin == "flag" else []))

    result.assert_outcomes(passed=1, failed=1, skipped=1)
    lines = failures(result).splitlines()
    assert lines[1:] == [
        f"unjudged: {REASON} (strict: {named})",
        "",
        "test_app.py:3: Unjudged",
    ]
    assert records()["test_unreadable"]["verdict"] == "unjudged"


def test_warn_does_not_soften_it(run: Run) -> None:
    """The mode is about retained memory: a reading that is missing fails under ``warn`` too."""
    run("--memreturn-strict", "--memreturn-mode=warn").assert_outcomes(
        passed=1, failed=1, skipped=1
    )
