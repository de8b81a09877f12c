"""What becomes of a test's outcome: the verdict's, or its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]

_MARKED = "import pytest\npytestmark = pytest.mark.returns_memory\n"


@pytest.fixture
def module(pytester: pytest.Pytester) -> Callable[[str], None]:
    """Write a test module in which every test is marked."""

    def module(source: str) -> None:
        path = pytester.makepyfile(test_app=source)
        path.write_text(_MARKED + path.read_text(encoding="utf-8"), encoding="utf-8")

    return module


Module: TypeAlias = Callable[[str], None]


def test_retaining_test_fails_in_its_call_phase(run: Run, module: Module) -> None:
    """It is FAILED, no ERROR, and the run ends with the exit status of failed tests."""
    module("def test_keeps_30(): pass\ndef test_returns(): pass")

    result = run()

    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("style", ["auto", "long", "short", "native"])
def test_message_without_frames(run: Run, module: Module, style: str) -> None:
    """In no style is there a traceback, or a path of the plugin: nobody raised but the plugin."""
    module("def test_keeps_30(): pass")

    shown = run(f"--tb={style}").stdout.str()

    assert "kept 30.0 MiB (allowed 2.0 MiB, default)" in shown
    assert "Traceback" not in shown
    assert "pytest_memreturn" not in shown
    assert "test_app.py:3: MemoryNotReturned" in shown


def test_tb_line_ends_with_place_and_headline(
    run: Run, module: Module, failures: Callable[..., str]
) -> None:
    """``--tb=line`` shows where the test is and the headline, uncut."""
    module("def test_keeps_30(): pass")

    lines = failures(run("--tb=line")).splitlines()

    headline = "kept 30.0 MiB (allowed 2.0 MiB, default)"
    assert lines[-1].endswith(f"test_app.py:3: {headline}")
    assert all(line.endswith(headline) for line in lines if "kept" in line)


def test_tb_no_leaves_the_summary(run: Run, module: Module) -> None:
    """``--tb=no`` hides the message; the short summary still has the headline."""
    module("def test_keeps_30(): pass")

    result = run("--tb=no")

    result.stdout.no_fnmatch_line("*footprint*")
    result.stdout.fnmatch_lines(
        ["FAILED test_app.py::test_keeps_30 - kept 30.0 MiB (allowed 2.0 MiB, default)"]
    )


def test_short_summary_has_every_outcome(run: Run, module: Module) -> None:
    """Under ``-rA`` a retaining test is listed as failed, with the headline, among the others."""
    module("""
        def test_returns(): pass
        def test_keeps_30(): pass
        def test_skips(): pytest.skip("not today")
    """)

    result = run("-rA")

    result.stdout.fnmatch_lines_random(
        [
            "PASSED test_app.py::test_returns",
            "SKIPPED * not today",
            "FAILED test_app.py::test_keeps_30 - kept 30.0 MiB (allowed 2.0 MiB, default)",
        ]
    )


def test_xfail_covers_a_retaining_test(run: Run, module: Module, verdicts: Verdicts) -> None:
    """Under ``xfail`` retained memory is an expected failure; the record tells the verdict."""
    module("""
        @pytest.mark.xfail
        def test_keeps_30(): pass
        @pytest.mark.xfail(strict=True)
        def test_keeps_40(): pass
        @pytest.mark.xfail
        def test_returns(): pass
        @pytest.mark.xfail(strict=True)
        def test_returns_strictly(): pass
    """)

    result = run()

    result.assert_outcomes(xfailed=2, xpassed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["[[]XPASS(strict)[]]*", "FAILED test_app.py::test_returns_strictly*"]
    )
    assert verdicts() == {
        "test_keeps_30": "retained",
        "test_keeps_40": "retained",
        "test_returns": "returned",
        "test_returns_strictly": "returned",
    }


@pytest.mark.parametrize(
    ("exception", "outcomes"),
    [
        ("AssertionError", {"xfailed": 1}),
        ("pytest_memreturn.MemoryNotReturned", {"xfailed": 1}),
        ("pytest_memreturn.Unjudged", {"failed": 1}),
        ("ValueError", {"failed": 1}),
    ],
)
def test_xfail_raises(run: Run, module: Module, exception: str, outcomes: dict[str, int]) -> None:
    """``xfail(raises=...)`` tells `MemoryNotReturned`, an `AssertionError`, from other failures."""
    module(f"""
        import pytest_memreturn
        @pytest.mark.xfail(raises={exception})
        def test_keeps_30(): pass
    """)

    run().assert_outcomes(**outcomes)


def test_exitfirst_stops_at_a_retaining_test(run: Run, module: Module, verdicts: Verdicts) -> None:
    """``-x`` stops after it, and the report has what was judged so far."""
    module("def test_a(): pass\ndef test_keeps_30(): pass\ndef test_never(): pass")

    result = run("-x")

    result.assert_outcomes(passed=1, failed=1)
    assert verdicts() == {"test_a": "returned", "test_keeps_30": "retained"}


def test_last_failed_runs_it_again(run: Run, module: Module, verdicts: Verdicts) -> None:
    """``--lf`` picks the retaining test of the last run, and it alone."""
    module("def test_a(): pass\ndef test_keeps_30(): pass\ndef test_b(): pass")
    run()

    result = run("--lf")

    result.assert_outcomes(failed=1)
    assert verdicts() == {"test_keeps_30": "retained"}


@pytest.mark.parametrize(
    ("body", "outcomes", "own_outcome", "reason"),
    [
        ("assert 0, 'my own'", {"failed": 1}, "failed", "the test failed by itself"),
        ("pytest.fail('my own')", {"failed": 1}, "failed", "the test failed by itself"),
        ("raise OSError('my own')", {"failed": 1}, "failed", "the test failed by itself"),
        ("pytest.skip('my own')", {"skipped": 1}, "skipped", "the test was skipped by itself"),
        (
            "pytest.xfail('my own')",
            {"xfailed": 1},
            "xfailed",
            "the test failed as expected by itself",
        ),
    ],
)
def test_own_outcome_stands(  # noqa: PLR0913, PLR0917 - a table's columns
    run: Run,
    module: Module,
    records: Records,
    body: str,
    outcomes: dict[str, int],
    own_outcome: str,
    reason: str,
) -> None:
    """A test that fails, skips or xfails by itself is not judged, and its record says so."""
    module(f"def test_keeps_30(): {body}")

    result = run("-rA")

    result.assert_outcomes(**outcomes)
    assert "my own" in result.stdout.str()
    assert "kept" not in result.stdout.str()
    record = records()["test_keeps_30"]
    assert record["verdict"] == "unjudged"
    assert record["own_outcome"] == own_outcome
    assert record["reason"] == reason
    assert record["retained_bytes"] is None


def test_own_failure_shows_its_own_traceback(run: Run, module: Module) -> None:
    """The traceback of a judged test that fails by itself begins in the test, not in the plugin."""
    module("def test_app():\n    word = 'mine'\n    assert word == 'yours'")

    result = run()

    result.stdout.fnmatch_lines([">*assert word == 'yours'", "test_app.py:5: AssertionError"])
    result.stdout.no_fnmatch_line("*pytest_memreturn*")


@pytest.mark.parametrize(
    ("mark", "outcomes", "own_outcome"),
    [
        ("skip", {"skipped": 1}, "skipped"),
        ("skipif(True, reason='x')", {"skipped": 1}, "skipped"),
        ("xfail(run=False)", {"xfailed": 1}, "xfailed"),
    ],
)
def test_test_that_never_ran(  # noqa: PLR0913, PLR0917 - a table's columns
    run: Run,
    module: Module,
    records: Records,
    mark: str,
    outcomes: dict[str, int],
    own_outcome: str,
) -> None:
    """A mark that keeps a test from running leaves an unjudged record."""
    module(f"@pytest.mark.{mark}\ndef test_keeps_30(): pass")

    run().assert_outcomes(**outcomes)

    record = records()["test_keeps_30"]
    assert (record["verdict"], record["own_outcome"]) == ("unjudged", own_outcome)


def test_set_up_error(run: Run, module: Module, records: Records) -> None:
    """A fixture that fails leaves an error of the test's set-up and an unjudged record."""
    module("""
        @pytest.fixture
        def broken(): raise OSError("no disk")
        def test_keeps_30(broken): pass
    """)

    run().assert_outcomes(errors=1)

    record = records()["test_keeps_30"]
    assert record["verdict"] == "unjudged"
    assert record["own_outcome"] == "error"
    assert record["reason"] == "the test ended with an error in set-up"


def test_teardown_error_leaves_the_verdict(run: Run, module: Module, verdicts: Verdicts) -> None:
    """An error in a fixture's tear-down comes after the verdict, and both are reported."""
    module("""
        @pytest.fixture
        def broken():
            yield
            raise OSError("no disk")
        def test_keeps_30(broken): pass
        def test_returns(broken): pass
    """)

    result = run()

    result.assert_outcomes(failed=1, passed=1, errors=2)
    assert verdicts() == {"test_keeps_30": "retained", "test_returns": "returned"}


def test_fixtures_of_every_scope(run: Run, module: Module, verdicts: Verdicts) -> None:
    """Fixtures of all scopes are set up and torn down as ever; each test is judged for itself."""
    module("""
        import itertools
        def make(scope):
            @pytest.fixture(scope=scope, name=scope)
            def fixture(request):
                yield scope
                print(scope, "is torn down")
            return fixture
        a, b, c, d, e = map(make, ("function", "class", "module", "package", "session"))
        class TestAll:
            def test_keeps_30(self, function, request):
                for scope in ("class", "module", "package", "session"):
                    assert request.getfixturevalue(scope) == scope
            def test_returns(self, function, module): pass
    """)

    result = run("-s")

    result.assert_outcomes(failed=1, passed=1)
    down = re.findall("(function|class|module|package|session) is torn down", result.stdout.str())
    assert down[:4] == ["function", "function", "class", "module"]
    assert set(down[4:]) == {"package", "session"}
    assert verdicts() == {"test_keeps_30": "retained", "test_returns": "returned"}


def test_unmarked_tests_are_left_alone(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts
) -> None:
    """Without a mark and without ``--memreturn`` nothing is judged or said."""
    pytester.makepyfile(test_app="def test_keeps_30(): pass")

    result = run()

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*memory*")
    assert verdicts() == {}


def test_subtest_that_fails_is_the_tests_own_failure(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """A failed ``subTest`` fails the run as ever, and the test around it is not judged."""
    pytester.makepyfile(
        test_app="""
        import unittest, pytest
        @pytest.mark.returns_memory
        class TestApp(unittest.TestCase):
            def test_keeps_30(self):
                with self.subTest(number=1):
                    assert False, "my own"
            def test_keeps_40(self):
                with self.subTest(number=1):
                    pass
        """
    )

    result = run()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["E*my own"])
    found = records()
    assert found["test_keeps_30"]["verdict"] == "unjudged"
    assert found["test_keeps_30"]["own_outcome"] == "failed"
    assert found["test_keeps_40"]["verdict"] == "retained"


def test_doctest_can_be_judged(pytester: pytest.Pytester, run: Run, verdicts: Verdicts) -> None:
    """Under ``--memreturn`` a doctest is judged like any other item."""
    pytester.maketxtfile(test_keeps_30=">>> 1 + 1\n2\n")

    result = run("--memreturn", "--doctest-glob=*.txt")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["kept 30.0 MiB (allowed 2.0 MiB, default)"])
    assert list(verdicts().values()) == ["retained"]


def test_junitxml_has_the_message(pytester: pytest.Pytester, run: Run, module: Module) -> None:
    """The JUnit file has a failure, no error, with the whole message."""
    module("def test_keeps_30(): pass")

    run("--junitxml=junit.xml")

    junit = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert 'errors="0" failures="1"' in junit
    assert '<failure message="kept 30.0 MiB (allowed 2.0 MiB, default)' in junit
    assert "cause      unexplained" in junit


@pytest.mark.parametrize("outcome", ["passed", "retried"])
def test_an_outcome_that_another_plugin_has_a_word_for(
    pytester: pytest.Pytester, run: Run, module: Module, records: Records, outcome: str
) -> None:
    """A test that raised is not judged, whatever others make of that; and the run goes on."""
    pytester.makepyfile(
        forgiving=f"""
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item):
            report = yield
            if report.failed:
                report.outcome = {outcome!r}
            return report
        def pytest_report_teststatus(report):
            if report.outcome == "retried":
                return "retried", "R", "RETRIED"
        """
    )
    pytester.syspathinsert()
    module("def test_raises(): assert 0\ndef test_returns(): pass")

    result = run("-p", "forgiving")

    assert result.ret == pytest.ExitCode.OK
    found = records()["test_raises"]
    assert (found["verdict"], found["own_outcome"]) == ("unjudged", "failed")
    assert found["reason"] == "the test failed by itself"
    assert records()["test_returns"]["verdict"] == "returned"
