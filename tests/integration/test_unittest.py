"""``unittest.TestCase`` methods are judged like functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]


@pytest.fixture
def test_case(pytester: pytest.Pytester) -> Callable[[str], None]:
    """Write a module with one marked test case that has these methods."""

    def test_case(methods: str) -> None:
        path = pytester.makepyfile(test_app=methods)
        body = path.read_text(encoding="utf-8").replace("\n", "\n    ")
        path.write_text(
            "import unittest, pytest\n@pytest.mark.returns_memory\n"
            f"class TestApp(unittest.TestCase):\n    {body}\n",
            encoding="utf-8",
        )

    return test_case


TestCaseWriter: TypeAlias = Callable[[str], None]


def test_methods_are_judged(run: Run, test_case: TestCaseWriter, verdicts: Verdicts) -> None:
    """A method that retains fails without a traceback; one that returns passes."""
    test_case("def test_keeps_30(self): pass\ndef test_returns(self): pass")

    result = run()

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["kept 30.0 MiB (allowed 2.0 MiB, default)", "test_app.py:4: MemoryNotReturned"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert verdicts() == {"test_keeps_30": "retained", "test_returns": "returned"}


@pytest.mark.parametrize(
    ("methods", "outcomes", "own_outcome"),
    [
        ("def test_keeps_30(self): self.fail('my own')", {"failed": 1}, "failed"),
        ("def test_keeps_30(self): raise OSError('my own')", {"failed": 1}, "failed"),
        ("def test_keeps_30(self): self.skipTest('my own')", {"skipped": 1}, "skipped"),
        (
            "@unittest.skip('my own')\ndef test_keeps_30(self): pass",
            {"skipped": 1},
            "skipped",
        ),
        (
            "def setUp(self): raise OSError('my own')\ndef test_keeps_30(self): pass",
            {"failed": 1},
            "failed",
        ),
        (
            "def tearDown(self): raise OSError('my own')\ndef test_keeps_30(self): pass",
            {"failed": 1},
            "failed",
        ),
        (
            "@unittest.expectedFailure\ndef test_keeps_30(self): self.fail('my own')",
            {"xfailed": 1},
            "xfailed",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["fail", "warn"])
def test_own_outcome_stands(  # noqa: PLR0913, PLR0917 - a table's columns
    run: Run,
    test_case: TestCaseWriter,
    records: Records,
    methods: str,
    outcomes: dict[str, int],
    own_outcome: str,
    mode: str,
) -> None:
    """A method that fails or skips by itself, set-up included, is not judged."""
    test_case(methods)

    result = run("-rA", f"--memreturn-mode={mode}")

    result.assert_outcomes(**outcomes)
    assert "kept" not in result.stdout.str()
    record = records()["test_keeps_30"]
    assert (record["verdict"], record["own_outcome"]) == ("unjudged", own_outcome)


def test_set_up_and_tear_down_run_around_each_method(
    run: Run, test_case: TestCaseWriter, verdicts: Verdicts
) -> None:
    """``setUp``, ``tearDown`` and clean-ups run as ever around a judged method."""
    test_case("""
        def setUp(self): print("up"); self.addCleanup(print, "cleaned")
        def tearDown(self): print("down")
        def test_keeps_30(self): print("method")
    """)

    result = run("-s")

    result.assert_outcomes(failed=1)
    said = [line.rpartition(" ")[2] for line in result.outlines]
    assert [word for word in said if word in {"up", "method", "down", "cleaned"}] == [
        "up",
        "method",
        "down",
        "cleaned",
    ]
    assert verdicts() == {"test_keeps_30": "retained"}


def test_expected_failure_covers_a_retaining_method(
    run: Run, test_case: TestCaseWriter, verdicts: Verdicts
) -> None:
    """The ``xfail`` mark of pytest works on a retaining method too."""
    test_case("@pytest.mark.xfail\ndef test_keeps_30(self): pass")

    run().assert_outcomes(xfailed=1)

    assert verdicts() == {"test_keeps_30": "retained"}


def test_asynchronous_test_case(run: Run, pytester: pytest.Pytester, verdicts: Verdicts) -> None:
    """Methods of ``IsolatedAsyncioTestCase`` are judged too."""
    pytester.makepyfile(
        test_app="""
        import unittest, pytest
        @pytest.mark.returns_memory
        class TestApp(unittest.IsolatedAsyncioTestCase):
            async def test_keeps_30(self): pass
            async def test_returns(self): pass
        """
    )

    run().assert_outcomes(failed=1, passed=1)

    assert verdicts() == {"test_keeps_30": "retained", "test_returns": "returned"}
