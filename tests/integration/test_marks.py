"""The mark ``returns_memory``: where it may stand, and what it may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]

MIB = 1024 * 1024


def _allowed(records: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {
        name: f"{one['allowed_bytes'] // MIB} from {one['allowed_origin']}"
        for name, one in records.items()
    }


def test_closest_mark_wins(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Parameter set before function before class before module; the message names which."""
    pytester.makepyfile(
        test_app="""
        import pytest
        memory = pytest.mark.returns_memory
        pytestmark = memory("1 MiB")

        def test_module(): pass

        @memory("2 MiB")
        class TestApp:
            def test_class(self): pass

            @memory("3 MiB")
            def test_function(self): pass

            @memory("3 MiB")
            @pytest.mark.parametrize(
                "n", [pytest.param(1, marks=memory("4 MiB")), pytest.param(2)]
            )
            def test_parameters(self, n): pass
        """
    )

    run().assert_outcomes(passed=5)

    assert _allowed(records()) == {
        "test_module": "1 from marker on test_app.py",
        "test_class": "2 from marker on test_app.py::TestApp",
        "test_function": "3 from marker on test_app.py::TestApp::test_function",
        "test_parameters[1]": "4 from marker on test_app.py::TestApp::test_parameters[1]",
        "test_parameters[2]": "3 from marker on test_app.py::TestApp::test_parameters[2]",
    }


def test_derived_class_is_closer_than_its_base(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """A mark on a class counts before the one that it inherits."""
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.mark.returns_memory("1 MiB", trim=True)
        class Base: pass
        @pytest.mark.returns_memory("4 MiB")
        class TestDerived(Base):
            def test_it(self): pass
        """
    )

    run().assert_outcomes(passed=1)

    assert records()["test_it"]["allowed_bytes"] == 4 * MIB
    assert records()["test_it"]["gate"] == "trim"


def test_keywords_are_resolved_one_by_one(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """A mark that says nothing of a keyword leaves it to the next one out."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory("5 MiB", trim=True)

        @pytest.mark.returns_memory("40 MiB")
        def test_keeps_30(): pass

        @pytest.mark.returns_memory(trim=False)
        def test_holds_30(): pass

        @pytest.mark.returns_memory
        def test_holds_20(): pass
        """
    )

    run().assert_outcomes(passed=2, failed=1)

    found = records()
    assert {name: (one["gate"], one["allowed_bytes"]) for name, one in found.items()} == {
        "test_keeps_30": ("trim", 40 * MIB),
        "test_holds_30": ("collect", 5 * MIB),
        "test_holds_20": ("trim", 5 * MIB),
    }
    assert found["test_holds_30"]["verdict"] == "retained"


def test_mark_opts_in_where_an_outer_one_opted_out(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts
) -> None:
    """``enabled=False`` holds for all that lies inside, until a closer mark."""
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory(enabled=False)
        def test_keeps_20(): pass
        @pytest.mark.returns_memory
        def test_keeps_30(): pass
        """
    )

    run("--memreturn").assert_outcomes(passed=1, failed=1)

    assert verdicts() == {"test_keeps_30": "retained"}


def test_mark_added_by_a_fixture(pytester: pytest.Pytester, run: Run, verdicts: Verdicts) -> None:
    """A mark that a fixture adds during set-up counts."""
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.fixture
        def judged(request): request.applymarker(pytest.mark.returns_memory("1 MiB"))
        def test_keeps_30(judged): pass
        """
    )

    run().assert_outcomes(failed=1)

    assert verdicts() == {"test_keeps_30": "retained"}


@pytest.mark.parametrize(
    ("allowed", "kept"), [('"30 MiB"', 30), ("31457280", 30), ('"31457280"', 30), ("'25 MB'", 23)]
)
def test_exactly_the_allowance_passes(
    pytester: pytest.Pytester, run: Run, allowed: str, kept: int
) -> None:
    """What may stay may stay to the byte; the next MiB may not."""
    pytester.makepyfile(
        test_app=f"""
        import pytest
        pytestmark = pytest.mark.returns_memory({allowed})
        def test_keeps_{kept}(): pass
        def test_keeps_{kept + 1}(): pass
        """
    )

    result = run()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"kept {kept + 1}.0 MiB (allowed *"])


def test_share_of_the_peak(
    pytester: pytest.Pytester, run: Run, failures: Callable[..., str]
) -> None:
    """``min_returned`` allows a share of what the window grew by at its peak, 100 MiB here."""
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.mark.returns_memory(min_returned="90%")
        def test_keeps_10(): pass
        @pytest.mark.returns_memory(min_returned="90%")
        def test_keeps_11(): pass
        @pytest.mark.returns_memory("5 MiB", min_returned="90%")
        def test_keeps_6(): pass
        """
    )

    result = run()

    result.assert_outcomes(passed=1, failed=2)
    shown = failures(result).replace("\n  returned)", " returned)")
    assert (
        "kept 11.0 MiB (allowed 10.0 MiB, marker on test_app.py::test_keeps_11: "
        "90 % of the peak growth returned)" in shown
    )
    assert "kept 6.0 MiB (allowed 5.0 MiB, marker on test_app.py::test_keeps_6)" in shown


@pytest.mark.parametrize(
    ("arguments", "setting", "shown"),
    [
        ('"ten"', "max_retained", "'ten'"),
        ('"5 KB per call"', "max_retained", "'5 KB per call'"),
        ("-1", "max_retained", "-1"),
        ('"-1 MiB"', "max_retained", "'-1 MiB'"),
        ("True", "max_retained", "True"),
        ("1.5", "max_retained", "1.5"),
        ('max_retained="1 M"', "max_retained", "'1 M'"),
        ('min_returned="120%"', "min_returned", "'120%'"),
        ("min_returned=0.95", "min_returned", "0.95"),
        ('min_returned="-5%"', "min_returned", "'-5%'"),
        ('trim="yes"', "trim", "'yes'"),
        ("enabled=1", "enabled", "1"),
        ('"1 MiB", "2 MiB"', "max_retained", "('1 MiB', '2 MiB')"),
        ('"1 MiB", max_retained="2 MiB"', "max_retained", "'2 MiB'"),
        ('leaked="1 MiB"', "leaked", "unknown keyword"),
        ('mode="warn"', "mode", "unknown keyword"),
    ],
)
def test_wrong_mark_is_an_error_of_its_test(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    verdicts: Verdicts,
    arguments: str,
    setting: str,
    shown: str,
) -> None:
    """It names test, origin, keyword and value; other tests run, and the report is written."""
    pytester.makepyfile(
        test_app=f"""
        import pytest
        @pytest.fixture
        def costly(): print("a fixture was set up")
        @pytest.mark.returns_memory({arguments})
        def test_wrong(costly): print("the test ran")
        @pytest.mark.returns_memory
        def test_right(): pass
        """
    )

    result = run("-s")

    result.assert_outcomes(errors=1, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ERROR at setup of test_wrong*"])
    said = next(line for line in result.outlines if "marker on" in line)
    assert said.startswith(f"marker on test_app.py::test_wrong: {setting}: ")
    assert shown in said
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*a fixture was set up*")
    result.stdout.no_fnmatch_line("*the test ran*")
    assert verdicts() == {"test_wrong": "unjudged", "test_right": "returned"}


def test_wrong_mark_on_a_class_names_the_class(pytester: pytest.Pytester, run: Run) -> None:
    """Every test under a wrong mark is an error that says where the mark stands."""
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.mark.returns_memory("much")
        class TestApp:
            def test_a(self): pass
            def test_b(self): pass
        """
    )

    result = run()

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines_random(
        [
            f"test_app.py::TestApp::test_{name}: marker on test_app.py::TestApp: max_retained: "
            "'much' is not a size*"
            for name in "ab"
        ]
    )


def test_wrong_mark_added_by_a_fixture(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts
) -> None:
    """A wrong mark that comes during set-up fails the test before its body runs."""
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.fixture
        def judged(request): request.applymarker(pytest.mark.returns_memory("much"))
        def test_it(judged): print("the test ran")
        """
    )

    result = run("-s")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["marker on test_app.py::test_it: max_retained: 'much' is not*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*the test ran*")
    assert verdicts() == {"test_it": "unjudged"}


def test_mark_is_registered(pytester: pytest.Pytester, run: Run) -> None:
    """The mark stands under ``--strict-markers`` and is listed by ``--markers``."""
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.mark.returns_memory
        def test_it(): pass
        """
    )

    run("--strict-markers").assert_outcomes(passed=1)

    run("--markers").stdout.fnmatch_lines(["@pytest.mark.returns_memory(max_retained=*"])


def test_marks_whose_arguments_refuse_comparison(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts
) -> None:
    """Other people's marks may carry arrays, which raise when they are compared."""
    pytester.makeini("[pytest]\nmarkers = data(array): what the test reads")
    pytester.makepyfile(
        test_app="""
        import pytest

        class Array:
            def __eq__(self, other): raise ValueError("the truth value is ambiguous")
            __hash__ = None

        @pytest.mark.data(Array())
        @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.data(Array()))])
        @pytest.mark.returns_memory
        def test_it(n): pass
        """
    )

    result = run()

    result.assert_outcomes(passed=1)
    assert list(verdicts().values()) == ["returned"]
