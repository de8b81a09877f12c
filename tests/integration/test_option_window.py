"""Windows wider than a test's body: ``window=`` and ``--memreturn-window``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Scripted: TypeAlias = Callable[..., None]


@pytest.fixture
def windows(pytester: pytest.Pytester, scripted: None) -> Scripted:
    """Play so many MiB of growth for each window that opens, in their order; the last for ever."""
    del scripted

    def windows(*grown: int) -> None:
        pytester.makeconftest(
            f"""
            import pytest
            from pytest_memreturn.testing import Script, play

            MIB = 1024 * 1024

            @pytest.hookimpl(tryfirst=True)
            def pytest_configure(config):
                play(config, [Script(50 * MIB, (50 + one) * MIB) for one in {grown}])
            """
        )

    return windows


def test_from_set_up_to_tear_down(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """A test that keeps memory is an error at its tear-down, with the message of any other."""
    windows(0, 40)
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.returns_memory(window="test")

        @pytest.fixture
        def data(): yield

        def test_returns(data): pass
        def test_keeps(data): pass
        """
    )
    found = run()
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    found.assert_outcomes(passed=2, errors=1)
    found.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_keeps*",
            "kept 40.0 MiB (allowed 2.0 MiB, default)",
            "test_from_set_up_to_tear_down.py:9: MemoryNotReturned",
            "ERROR *::test_keeps - kept 40.0 MiB (allowed 2.0 MiB, default)",
        ]
    )
    told = {name: (one["window"], one["verdict"]) for name, one in records().items()}
    assert told == {"test_returns": ("test", "returned"), "test_keeps": ("test", "retained")}


@pytest.mark.parametrize("by_ini", [True, False])
def test_for_a_whole_run(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted, by_ini: bool
) -> None:
    """On the command line or in the ini file; a mark may want the body alone."""
    windows(0)
    pytester.makepyfile(
        """
        import pytest

        def test_whole(): pass

        @pytest.mark.returns_memory(window="call")
        def test_body(): pass

        @pytest.mark.returns_memory(rounds=1, warmup=0)
        def test_once(): pass

        @pytest.mark.returns_memory(rounds=2)
        def test_rounds(): pass

        @pytest.mark.returns_memory(warmup=1)
        def test_warms_up(): pass
        """
    )
    if by_ini:
        pytester.makeini("[pytest]\nmemreturn_window = test")
    found = run("--memreturn", *([] if by_ini else ["--memreturn-window=test"]))
    assert found.ret == pytest.ExitCode.OK
    told = {name: one["window"] for name, one in records().items()}
    assert told == {
        "test_whole": "test",
        "test_body": "call",
        "test_once": "test",
        "test_rounds": "call",
        "test_warms_up": "call",
    }


SERVICE = """
    import pytest

    @pytest.mark.returns_memory("3 MiB", window="class")
    class TestService:
        @pytest.fixture(scope="class")
        @classmethod
        def server(cls): yield
        def test_one(self, server): pass
        def test_two(self, server): pass

    def test_other(): pass
"""


def test_one_verdict_over_a_class(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """It is reported at the tear-down of the last test, and says whose it is."""
    windows(40, 0)
    pytester.makepyfile(SERVICE)
    found = run("--memreturn")
    found.assert_outcomes(passed=3, errors=1)
    name = "test_one_verdict_over_a_class.py::TestService"
    found.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of TestService.test_two*",
            f"class {name} (2 tests): kept 40.0 MiB (allowed 3.0 MiB,",
            f"  marker on {name})",
        ]
    )
    (service, other) = records()["TestService"], records()["test_other"]
    assert (service["nodeid"], service["window"], service["test_count"]) == (name, "class", 2)
    assert service["excluded"] == []
    assert (other["window"], other["verdict"]) == ("call", "returned")


def test_several_marks_on_one_class(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """They ask for one verdict together, and the closest one counts, keyword by keyword."""
    windows(40)
    pytester.makepyfile(
        """
        import pytest

        memory = pytest.mark.returns_memory

        @memory("30 MiB", window="class")
        @memory("50 MiB", trim=True)
        class TestTwo:
            def test_it(self): pass

        @memory("30 MiB", window="class", trim=True)
        class Base: pass

        @memory("50 MiB")
        class TestDerived(Base):
            def test_it(self): pass

        @memory("35 MiB", window="call")
        class TestEach(Base):
            def test_each(self): pass
        """
    )
    run().assert_outcomes(passed=2, failed=1, errors=1)
    told = {
        name: (one["window"], one["verdict"], one["allowed_bytes"] // 2**20, one["gate"])
        for name, one in records().items()
    }
    assert told == {
        "TestTwo": ("class", "retained", 30, "trim"),
        "TestDerived": ("class", "returned", 50, "trim"),
        "test_each": ("call", "retained", 35, "trim"),
    }


def test_one_verdict_over_a_module(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """A closer mark has its test judged by itself as well; one that opts out opts out of that."""
    windows(40, 0, 40)
    pytester.makepyfile(
        test_a="""
        import pytest

        pytestmark = pytest.mark.returns_memory(window="module")

        def test_with(): pass

        @pytest.mark.returns_memory("5 MiB")
        def test_itself(): pass

        @pytest.mark.returns_memory(enabled=False)
        def test_without(): pass
        """,
        test_b="def test_b(): pass",
    )
    found = run()
    found.assert_outcomes(passed=4, errors=1)
    told = {name: (one["window"], one["test_count"]) for name, one in records().items()}
    assert told == {"test_a.py": ("module", 3), "test_itself": ("call", 1)}
    assert records()["test_itself"]["allowed_origin"] == "marker on test_a.py::test_itself"
    found.stdout.fnmatch_lines(["module test_a.py (3 tests): kept 40.0 MiB*"])


def test_two_that_close_together(run: Run, pytester: pytest.Pytester, windows: Scripted) -> None:
    """One error has both messages."""
    windows(40, 30)
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.returns_memory(window="module")

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_a(self): pass
        """
    )
    found = run()
    found.assert_outcomes(passed=1, errors=1)
    found.stdout.fnmatch_lines(
        ["class *::TestA (1 test): kept 30.0 MiB*", "module *.py (1 test): kept 40.0 MiB*"]
    )


_TWO_AT_ONCE = """
import pytest

pytestmark = pytest.mark.returns_memory(window="module")

@pytest.mark.returns_memory(window="class")
class TestA:
    def test_a(self): pass
"""


def test_the_gravest_of_two_that_close_together(run: Run, pytester: pytest.Pytester) -> None:
    """Whatever kinds they are, the error has both messages."""
    pytester.makeconftest(
        """
        import pytest
        from pytest_memreturn.testing import Script, play

        MIB = 1024 * 1024

        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(config):
            play(config, [Script(50 * MIB, 90 * MIB), Script(50 * MIB, unreadable="end")])
        """
    )
    pytester.makepyfile(_TWO_AT_ONCE)
    found = run("--memreturn-strict")
    found.assert_outcomes(passed=1, errors=1)
    found.stdout.fnmatch_lines(
        [
            "module *.py (1 test): kept 40.0 MiB*",
            "unjudged: *(strict: --memreturn-strict)",
            "*: MemoryNotReturned",
        ]
    )


def test_two_warnings_that_are_errors(
    run: Run, pytester: pytest.Pytester, windows: Scripted
) -> None:
    """They are one, as any two."""
    windows(40, 30)
    pytester.makepyfile(_TWO_AT_ONCE)
    found = run("--memreturn-mode=warn", "-W", "error::pytest_memreturn.MemoryNotReturnedWarning")
    found.assert_outcomes(passed=1, errors=1)
    found.stdout.fnmatch_lines(
        ["*TestA (1 test): kept 30.0*", "*.py (1 test): kept 40.0*", "*: MemoryNotReturnedWarning"]
    )


def test_an_expected_failure_does_not_hide_the_verdict_over_others(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """It is the last test's, and so is a verdict of its own."""
    windows(40)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_a(self): pass
            @pytest.mark.xfail
            def test_b(self): pass

        @pytest.mark.xfail
        @pytest.mark.returns_memory(window="test")
        def test_own(): pass
        """
    )
    run().assert_outcomes(passed=1, xpassed=2, errors=1, xfailed=1)
    assert {name: one["verdict"] for name, one in records().items()} == {
        "TestA": "retained",
        "test_own": "retained",
    }


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_bodies_that_do_not_run_are_not_judged(
    run: Run, pytester: pytest.Pytester, records: Records, option: str
) -> None:
    """In no window."""
    pytester.makepyfile(_TWO_AT_ONCE)
    run(option)
    assert records() == {}


def test_an_isolated_test_with_its_fixtures(pytester: pytest.Pytester, records: Records) -> None:
    """Its window opens where it is set up."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.returns_memory(isolate=True, window="test")
        def test_it(tmp_path): assert "PYTEST_MEMRETURN_ISOLATED" in os.environ
        """
    )
    found = pytester.runpytest_subprocess("--memreturn-report=report.json")
    found.assert_outcomes(passed=1)
    record = records()["test_it"]
    assert (record["window"], record["verdict"]) == ("test", "returned")
    assert record["isolation"] is not None


def test_an_isolated_test_in_a_class(pytester: pytest.Pytester, records: Records) -> None:
    """It runs elsewhere: the verdict over its class is about the others, whatever becomes of it."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_a(self): pass
            @pytest.mark.returns_memory(isolate=True)
            def test_isolated(self): pass
            @pytest.mark.returns_memory(isolate=True)
            def test_dies(self): os._exit(3)
            @pytest.mark.returns_memory(isolate="what")
            def test_is_wrong(self): pass
            def test_b(self): pass
        """
    )
    found = pytester.runpytest_subprocess("--memreturn-report=report.json")
    found.assert_outcomes(passed=3, failed=1, errors=1)
    told = {name: (one["window"], one["verdict"]) for name, one in records().items()}
    assert told == {
        "TestA": ("class", "unjudged"),
        "test_isolated": ("call", "returned"),
        "test_dies": ("call", "unjudged"),
        "test_is_wrong": ("call", "unjudged"),
    }
    assert records()["TestA"]["reason"].endswith("::test_is_wrong failed inside it")
    assert records()["TestA"]["test_count"] == 2


def test_tests_that_do_not_run_in_one_go(
    run: Run, pytester: pytest.Pytester, windows: Scripted
) -> None:
    """Each stretch is judged, and none has what ran in between."""
    windows(0)
    pytester.makepyfile(SERVICE)
    names = ("TestService::test_one", "test_other", "TestService::test_two")
    file = "test_tests_that_do_not_run_in_one_go.py"
    found = run(*(f"{file}::{name}" for name in names), "--memreturn-report")
    found.assert_outcomes(passed=3)
    # Both stretches were judged.
    found.stdout.fnmatch_lines(["2 judged: 2 returned*"])


@pytest.mark.parametrize("body", ["assert False", "pytest.xfail('known')"])
def test_a_test_that_fails_spoils_the_window_over_it(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted, body: str
) -> None:
    """Its traceback keeps its locals alive: nobody can tell them from a leak."""
    windows(40)
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_bad(self): {body}
            def test_good(self): pass
        """
    )
    found = run()
    assert "errors" not in found.parseoutcomes()
    record = records()["TestA"]
    assert record["verdict"] == "unjudged"
    assert record["reason"].endswith("::test_bad failed inside it")


def test_several_that_fail(run: Run, pytester: pytest.Pytester, records: Records) -> None:
    """The first is named, and how many more."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.returns_memory(window="class")
        class TestA:
            @pytest.mark.parametrize("n", range(3))
            def test_bad(self, n): assert 0
        """
    )
    run()
    assert records()["TestA"]["reason"].endswith("::TestA::test_bad[0] and 2 more failed inside it")


def test_tests_with_an_outcome_of_their_own(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """They are not judged, and each says so once."""
    windows(40)
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.returns_memory(window="test")

        def test_fails(): assert False
        def test_skips(): pytest.skip("no")
        def test_xfails(): pytest.xfail("known")
        """
    )
    run()
    told = {name: (one["own_outcome"], one["reason"]) for name, one in records().items()}
    assert told == {
        "test_fails": ("failed", "the test failed by itself"),
        "test_skips": ("skipped", "the test was skipped by itself"),
        "test_xfails": ("xfailed", "the test failed as expected by itself"),
    }
    assert {(one["window"], one["verdict"]) for one in records().values()} == {("test", "unjudged")}


def test_a_test_that_is_skipped_is_no_matter_to_the_others(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """It kept nothing."""
    windows(0)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_skipped(self): pytest.skip("no")
            def test_other(self): pass
        """
    )
    run()
    assert (records()["TestA"]["verdict"], records()["TestA"]["test_count"]) == ("returned", 2)


def test_what_came_back_with_the_fixtures_is_said(
    pytester: pytest.Pytester, records: Records
) -> None:
    """Beneath the failure of a body that retained; in a run of its own, by true readings."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def rows(): return []

        @pytest.mark.returns_memory
        def test_it(rows): rows.append(bytearray(40_000_000))
        """
    )
    found = pytester.runpytest_subprocess("--memreturn-report=report.json")
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    found.stdout.fnmatch_lines(
        [
            "kept 3*.* MiB (allowed 2.0 MiB, default)",
            "*- memory at teardown -*",
            "3*.* MiB of the 3*.* MiB came back when the test's fixtures were torn down: *test*",
        ]
    )
    assert records()["test_it"]["torn_down_bytes"] > 30_000_000


def test_what_pytest_keeps_of_a_test_does_not_count(
    pytester: pytest.Pytester, records: Records
) -> None:
    """Arguments of log records, and what `unittest` sets up; in a run of its own, truly read."""
    pytester.makepyfile(
        """
        import logging, unittest
        import pytest

        pytestmark = pytest.mark.returns_memory(window="test")

        class Big:
            def __init__(self): self.data = bytearray(40_000_000)
            def __repr__(self): return "big"

        def test_logs(): logging.warning("%r", Big())

        class TestSetsUp(unittest.TestCase):
            def setUp(self): self.data = bytearray(40_000_000)
            def test_sets_up(self): pass
            @pytest.mark.returns_memory(window="call")
            def test_body(self): pass

        @pytest.mark.returns_memory(window="class")
        class TestClass(unittest.TestCase):
            def setUp(self): self.data = bytearray(40_000_000)
            def test_one(self): logging.warning("%r", Big())

        @pytest.fixture
        def kept(): return []

        def test_keeps(kept, cache=[]): cache.append(Big())
        """
    )
    found = pytester.runpytest_subprocess("--memreturn-report=report.json")
    found.assert_outcomes(passed=4, failed=1, errors=1)
    assert {name: one["verdict"] for name, one in records().items()} == {
        "test_logs": "returned",
        "test_sets_up": "returned",
        "test_body": "retained",
        "TestClass": "returned",
        "test_keeps": "retained",
    }
    assert records()["test_body"]["torn_down_bytes"] > 30_000_000


def test_a_test_that_is_never_set_up(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """What is skipped, or fails in its set-up, leaves no window open."""
    windows(40, 0)
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken(): raise OSError

        @pytest.mark.skip
        @pytest.mark.returns_memory(window="test")
        def test_skipped(): pass

        @pytest.mark.returns_memory(window="test")
        def test_broken(broken): pass

        @pytest.mark.returns_memory(window="test")
        def test_after(): pass
        """
    )
    found = run()
    found.assert_outcomes(skipped=1, errors=1, passed=1)
    told = {name: (one["verdict"], one["own_outcome"]) for name, one in records().items()}
    assert told == {
        "test_skipped": ("unjudged", "skipped"),
        "test_broken": ("unjudged", "error"),
        "test_after": ("returned", None),
    }


def test_a_tear_down_that_fails(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """It keeps its own error, and there is no verdict: its traceback keeps memory, too."""
    windows(40)
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken():
            yield
            raise OSError("the tear-down's own")

        @pytest.mark.returns_memory(window="test")
        def test_it(broken): pass

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_a(self): pass
            def test_b(self, broken): pass
        """
    )
    found = run()
    found.assert_outcomes(passed=3, errors=2)
    found.stdout.fnmatch_lines(["E*OSError: the tear-down's own"])
    told = {name: (one["verdict"], one["test_count"]) for name, one in records().items()}
    assert told == {"test_it": ("unjudged", 1), "TestA": ("unjudged", 2)}


def test_subtests(run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted) -> None:
    """One that fails leaves its test without a verdict."""
    windows(40)
    pytester.makepyfile(
        """
        import unittest, pytest

        @pytest.mark.returns_memory(window="test")
        class TestIt(unittest.TestCase):
            def test_it(self):
                with self.subTest("a"):
                    self.fail("in a subtest")
        """
    )
    run()
    assert records()["test_it"]["verdict"] == "unjudged"


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_modes(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted, mode: str
) -> None:
    """A warning in the place of the error, or nothing at all."""
    windows(40)
    pytester.makepyfile(SERVICE)
    found = run("--memreturn", f"--memreturn-mode={mode}")
    warnings = {"warn": 1, "off": 0}[mode] * 2  # of the class, and of the other test
    found.assert_outcomes(passed=3, warnings=warnings)
    assert len(records()) == warnings


def test_it_is_recorded_and_compared(
    run: Run, pytester: pytest.Pytester, windows: Scripted
) -> None:
    """The ratchet has a class as it has a test."""
    windows(40)
    pytester.makepyfile(SERVICE)
    assert run("--memreturn-save=m.json").ret == pytest.ExitCode.OK
    assert "::TestService" in (pytester.path / "m.json").read_text("utf-8")
    windows(40)
    compared = run("--memreturn-compare=m.json", "--memreturn-save=m.json")
    assert compared.ret == pytest.ExitCode.OK
    assert "::TestService" in (pytester.path / "m.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("mark", "where", "problem"),
    [
        (
            'window="class"',
            "test",
            "'class' judges all tests of a class: put the mark on the class",
        ),
        ('window="module"', "class", "'module' judges all tests of a module: put the mark on*"),
        ('window="session"', "test", "'session' is not one of call, test, class, module"),
        ('window="test", rounds=5', "test", "rounds are those of a test's body, and the window*"),
    ],
)
def test_a_window_that_cannot_be(
    run: Run, pytester: pytest.Pytester, mark: str, where: str, problem: str
) -> None:
    """It is an error of its test, which names the value and where it is."""
    on = {"test": "", "class": f"@pytest.mark.returns_memory({mark})"}[where]
    of = f"@pytest.mark.returns_memory({mark})" if where == "test" else ""
    pytester.makepyfile(
        f"""
        import pytest

        {on}
        class TestA:
            {of}
            def test_a(self): pass

        def test_b(): pass
        """
    )
    found = run()
    found.assert_outcomes(passed=1, errors=1)
    found.stdout.fnmatch_lines([f"*marker on *TestA*: *{problem}"])


@pytest.mark.parametrize("word", ["class", "body"])
def test_a_window_that_no_run_can_have(run: Run, pytester: pytest.Pytester, word: str) -> None:
    """It is a usage error before the first test."""
    pytester.makepyfile("def test_a(): pass")
    found = run("--memreturn", f"--memreturn-window={word}")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines([f"*--memreturn-window: '{word}' is *"])


def test_a_mark_that_comes_too_late(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """A fixture cannot move the beginning of what has begun: there is no verdict, and why."""
    windows(40)
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def marks(request):
            request.node.add_marker(pytest.mark.returns_memory(window="test"))

        def test_it(marks): pass
        """
    )
    found = run()
    found.assert_outcomes(passed=1)
    assert records()["test_it"]["verdict"] == "unjudged"
    assert "set-up had begun" in records()["test_it"]["reason"]


@pytest.mark.parametrize("option", ["-pno:xdist", "-n1"])
def test_a_run_that_is_interrupted(
    pytester: pytest.Pytester, records: Records, windows: Scripted, option: str
) -> None:
    """What is torn down at the end of the run has no verdict, and says so."""
    windows(0)
    pytester.makepyfile(
        """
        import pytest

        memory = pytest.mark.returns_memory

        @memory(window="class")
        class TestDone:
            def test_a(self): pass

        @memory(window="class", trim=True)
        class TestA:
            @pytest.mark.skip
            def test_a(self): pass
            @memory(window="test")
            def test_b(self): raise KeyboardInterrupt
            def test_c(self): pass
        """
    )
    plugin = () if option.startswith("-p") else ("-p", "xdist")
    found = pytester.runpytest_subprocess(*plugin, option, "--memreturn-report=report.json")
    assert found.ret == pytest.ExitCode.INTERRUPTED
    told = {name: (one["window"], one["gate"], one["reason"]) for name, one in records().items()}
    why = "the run ended while it ran: KeyboardInterrupt"
    if option == "-n1":
        why = "worker gw0 was interrupted while it ran"
    assert told == {
        "TestDone": ("class", "collect", None),
        "TestA": ("class", "trim", why),
        "test_b": ("test", "trim", why),
    }


def test_a_worker_that_dies(pytester: pytest.Pytester, records: Records) -> None:
    """The verdict over the class it was in is missing, and a test has the window it had."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.returns_memory(window="class")
        class TestA:
            def test_a(self): pass
            @pytest.mark.returns_memory(window="test")
            def test_b(self): os._exit(3)
        """
    )
    pytester.runpytest_subprocess("-p", "xdist", "-n1", "--memreturn-report=report.json")
    told = {name: (one["window"], one["reason"]) for name, one in records().items()}
    why = "worker gw0 died while it ran"
    assert told == {"TestA": ("class", why), "test_b": ("test", why)}


def test_under_xdist(run: Run, pytester: pytest.Pytester, records: Records) -> None:
    """Each worker judges what it ran of a class."""
    pytester.makepyfile(SERVICE)
    found = pytester.runpytest_subprocess(
        "-p", "xdist", "-n2", "--dist=loadscope", "--memreturn-report=report.json"
    )
    assert found.ret == pytest.ExitCode.OK
    record = records()["TestService"]
    assert (record["window"], record["test_count"], record["verdict"]) == ("class", 2, "returned")
    assert record["worker"] in {"gw0", "gw1"}


def test_a_class_is_not_run_again(
    run: Run, pytester: pytest.Pytester, records: Records, windows: Scripted
) -> None:
    """``--memreturn-explain`` says what it does not tell."""
    windows(40, 0)
    pytester.makepyfile(SERVICE)
    run("--memreturn-explain")
    (incomplete,) = records()["TestService"]["explanation"]["incomplete"]
    assert "a test runs again, and not a whole class" in incomplete
