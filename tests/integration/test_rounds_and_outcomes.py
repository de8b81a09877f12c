"""Bodies that run again and again keep their outcome, in whatever way they are tests."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
App: TypeAlias = Callable[[str], None]

pytestmark = pytest.mark.usefixtures("told_process")


def each(source: str) -> str:
    """Tests that warm up once, and run as many rounds as no verdict cuts short."""
    return "pytestmark = memory(warmup=1, rounds=11)\n" + textwrap.dedent(source)


def reasons(records: Records) -> dict[str, str | None]:
    """Why there is no verdict, by test; ``None`` where there is one."""
    return {name: one["reason"] for name, one in records().items()}


def test_a_failure_says_in_which_round(run: Run, records: Records, app: App) -> None:
    """It is the test's own, with the output of that round alone; nothing runs after it."""
    app(
        each(
            """
        import logging
        RUNS = []
        def test_fails():
            RUNS.append(1)
            print("this is", len(RUNS))
            logging.warning("that is %d", len(RUNS))
            assert len(RUNS) < 4
        def test_skips():
            RUNS.append(2)
            if len(RUNS) == 6: pytest.skip("enough")
        def test_warms_up(): assert 0
        @pytest.mark.xfail
        def test_xfails(): assert 0
        @memory(enabled=False)
        def test_runs(): assert RUNS == [1] * 4 + [2] * 2
        """
        )
    )

    result = run()

    result.assert_outcomes(failed=2, skipped=1, xfailed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["E       assert 4 < 4", "*in round 3 of 11*", "this is 4", "*that is 4*"]
    )
    result.stdout.no_fnmatch_line("this is 3")
    assert reasons(records) == {
        "test_fails": "the test failed by itself, in round 3 of 11",
        "test_skips": "the test was skipped by itself, in round 1 of 11",
        "test_warms_up": "the test failed by itself, in warm-up 1 of 1",
        "test_xfails": "the test failed as expected by itself, in warm-up 1 of 1",
    }


def test_an_exception_that_takes_no_notes(run: Run, records: Records, app: App) -> None:
    """Its round is in the record."""
    app(
        each(
            """
        class Curt(Exception):
            add_note = None
        def test_it(): raise Curt
        """
        )
    )

    run().assert_outcomes(failed=1)

    assert reasons(records)["test_it"] == "the test failed by itself, in warm-up 1 of 1"


def test_unittest(run: Run, records: Records, app: App) -> None:
    """Each round is set up and torn down, and what unittest catches ends them."""
    app(
        each(
            """
        import unittest
        SEEN = []
        class TestCase(unittest.TestCase):
            fails = skips = 0
            def setUp(self):
                SEEN.append("up")
                self.addCleanup(SEEN.append, "clean")
            def tearDown(self): SEEN.append("down")
            def test_a(self): SEEN.append("run")
            def test_fails(self):
                type(self).fails += 1
                assert self.fails < 4
            def test_keeps(self): told.python += 65536
            def test_skips(self):
                type(self).skips += 1
                if self.skips == 3: self.skipTest("enough")
            @unittest.expectedFailure
            def test_xfails(self): assert 0
            def test_subtests(self):
                for number in range(3):
                    with self.subTest(number=number): pass
        @memory(enabled=False)
        def test_seen(): assert SEEN[:8] == ["up", "run", "down", "clean"] * 2
        """
        )
    )

    result = run()

    result.assert_outcomes(failed=2, skipped=1, passed=3, xfailed=1)
    result.stdout.fnmatch_lines(["E       (in round 3 of 11)"])
    assert reasons(records) == {
        "test_a": None,
        "test_fails": "the test failed by itself, in round 3 of 11",
        "test_keeps": None,
        "test_skips": "the test was skipped by itself, in round 2 of 11",
        "test_subtests": None,
        "test_xfails": "the test failed as expected by itself, in warm-up 1 of 1",
    }
    assert records()["test_keeps"]["verdict"] == "retained"


def test_unittest_that_is_awaited(run: Run, records: Records, app: App) -> None:
    """Each round, and each run before them, has a loop of its own."""
    app(
        each(
            """
        import asyncio, unittest
        LOOPS = []
        class TestCase(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self): LOOPS.append(asyncio.get_running_loop())
            async def asyncTearDown(self): assert LOOPS.pop() is asyncio.get_running_loop()
            async def test_returns(self): assert not LOOPS[-1].is_closed()
            async def test_keeps(self): told.python += 65536
        @memory(enabled=False)
        def test_ended(): assert LOOPS == []
        """
        )
    )

    run().assert_outcomes(passed=2, failed=1)

    assert {name: one["rounds"]["growth"] for name, one in records().items()} == {
        "test_returns": "none",
        "test_keeps": "steady",
    }


def test_doctests(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """Each round has the names that the first one had: those of the module, and of fixtures."""
    pytester.makepyfile(
        words='''
        """Of a module.

        >>> import told
        >>> twice("ab"), getfixture("tmp_path").name, seen
        ('abab', 'words0', 0)
        >>> seen = 1
        """
        seen = 0
        def twice(word):
            """
            >>> twice("a")
            'aa'
            """
            return word * 2
        '''
    )
    pytester.makefile(".txt", test_text=">>> getfixture('tmp_path').name\n'test_text_txt0'\n")

    flags = ("--doctest-modules", "--memreturn", "--memreturn-rounds=11", "--memreturn-warmup=1")
    run(*flags, "words.py", "test_text.txt").assert_outcomes(passed=3)

    assert {one["rounds"]["run"] for one in records().values()} == {11}


def test_unittest_under_pdb(run: Run, app: App) -> None:
    """Where pytest puts tear-down off to the end, each round has its own all the same."""
    app(
        """
        import unittest
        SEEN = []
        @memory(rounds=3)
        class TestCase(unittest.TestCase):
            def setUp(self): SEEN.append("up")
            def tearDown(self): SEEN.append("down")
            def test_it(self): pass
        def test_seen(): assert SEEN == ["up", "down"] * 3
        """
    )

    run("--pdb").assert_outcomes(passed=2)


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has subtests from 9.0 on")
def test_subtests(pytester: pytest.Pytester, run: Run, records: Records, app: App) -> None:
    """They are counted once, and one that fails ends the rounds."""
    app(
        each(
            """
        RUNS = []
        def test_all_pass(subtests):
            for number in range(3):
                with subtests.test(number=number): pass
        def test_one_fails(subtests):
            RUNS.append(1)
            with subtests.test("now"): assert len(RUNS) < 5
        def test_some_end_otherwise(subtests):
            with subtests.test("skips"): pytest.skip("this one")
            with subtests.test("xfails"): pytest.xfail("that one")
        @memory(enabled=False)
        def test_runs(): assert len(RUNS) == 5
        """
        )
    )

    result = run("-v", "--junit-xml=junit.xml")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*SUBFAILED*[[]now]*", "*2 failed, 3 passed, 1 skipped, 1 xfailed, 4 subtests passed*"]
    )
    junit = (pytester.path / "junit.xml").read_text("utf-8")
    assert junit.count("<skipped ") == 2
    assert re.findall('(?:failures|skipped|tests)="[0-9]+"', junit) == [
        'failures="2"',
        'skipped="2"',
        'tests="11"',
    ]
    assert reasons(records) == {
        "test_all_pass": None,
        "test_some_end_otherwise": None,
        "test_one_fails": "a subtest failed, in round 4 of 11",
    }


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_pytest_keeps_one_round(
    pytester: pytest.Pytester, run: Run, records: Records, app: App, capture: str
) -> None:
    """Each begins as the first one did, and what pytest keeps does not grow with them."""
    app(
        each(
            """
        import logging, os, warnings
        @pytest.fixture
        def patched(monkeypatch, tmp_path):
            logging.getLogger().addHandler(logging.NullHandler())
            monkeypatch.chdir(tmp_path)
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.setenv("BEFORE", "1")
            monkeypatch.setattr(os, "sep", "/")
        @pytest.fixture
        def warned(recwarn): warnings.warn("before")
        def test_all(patched, warned, caplog, capsys, monkeypatch, recwarn, record_property):
            logging.warning("once")
            print("once")
            warnings.warn("once")
            record_property("once", 1)
            monkeypatch.setattr(told, "new", 1, raising=False)
            monkeypatch.setenv("BEFORE", os.environ["BEFORE"] + "1")
            monkeypatch.chdir("/")
            monkeypatch.syspath_prepend("/")
            assert len(caplog.records) == 1
            seen = [str(one.message) for one in recwarn if "record_property" not in str(one)]
            assert seen == ["before", "once"]
            assert capsys.readouterr().out == "once\\n"
            assert os.environ["BEFORE"] == "11"
        def test_loud():
            logging.warning("loud")
            warnings.warn("loud")
            print("loud")
        @memory(enabled=False)
        def test_after():
            assert not hasattr(told, "new")
            assert "BEFORE" not in os.environ
            assert os.getcwd() != "/"
        """
        )
    )

    result = run(f"--capture={capture}", "-rP", "--junit-xml=junit.xml", "-k", "all or after")
    result.assert_outcomes(passed=2, deselected=1)
    assert (pytester.path / "junit.xml").read_text("utf-8").count('name="once"') == 1

    result = run(f"--capture={capture}", "-rP", "-k", "loud")
    result.assert_outcomes(passed=1, warnings=1, deselected=2)
    if capture != "no":
        assert result.outlines.count("loud") == 1
    assert reasons(records) == {"test_loud": None}


def test_without_pytests_own_plugins(run: Run, app: App) -> None:
    """Whoever captures nothing, and catches no warnings, has rounds as well."""
    app(each("def test_it(): told.python += 65536"))

    result = run("-p", "no:capture", "-p", "no:logging", "-p", "no:warnings")

    result.assert_outcomes(failed=1)


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_async(run: Run, records: Records, app: App, plugin: str) -> None:
    """Each round is awaited."""
    app(
        each(
            f"""
        import asyncio
        AWAITED = []
        @pytest.fixture
        def anyio_backend(): return "asyncio"
        @pytest.mark.{plugin}
        async def test_returns():
            await asyncio.sleep(0)
            AWAITED.append(1)
        @pytest.mark.{plugin}
        async def test_keeps():
            await asyncio.sleep(0)
            told.python += 65536
        @memory(enabled=False)
        def test_awaited(): assert len(AWAITED) == 12
        """
        )
    )
    scope = ("-o", "asyncio_default_fixture_loop_scope=function") if plugin == "asyncio" else ()

    run("-p", plugin, *scope).assert_outcomes(passed=2, failed=1)

    assert {name: one["rounds"]["growth"] for name, one in records().items()} == {
        "test_returns": "none",
        "test_keeps": "steady",
    }


def test_parameters_and_fixtures(run: Run, records: Records, app: App) -> None:
    """Each parameter has rounds of its own; fixtures are set up once, also one of a wider scope."""
    app(
        each(
            """
        SET_UP = []
        @pytest.fixture
        def once(): SET_UP.append(1)
        @pytest.fixture(scope="session")
        def wide():
            SET_UP.append(2)
            told.mapped += 5 * 2**20
        @pytest.mark.parametrize("number", [1, 2])
        def test_it(number, once, request, monkeypatch): request.getfixturevalue("wide")
        @memory(enabled=False)
        def test_set_up(): assert SET_UP == [1, 2, 1]
        """
        )
    )

    run().assert_outcomes(passed=3)

    assert {one["verdict"] for one in records().values()} == {"returned"}


def test_ctrl_c(pytester: pytest.Pytester, app: App) -> None:
    """It ends the run at once."""
    app(
        each(
            """
        RUNS = []
        def test_it():
            RUNS.append(1)
            if len(RUNS) == 3: raise KeyboardInterrupt
        """
        )
    )

    result = pytester.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_pytest_timeout(run: Run, records: Records, app: App) -> None:
    """It counts the time of all rounds, and says in which one it was up."""
    app(
        """
        import time
        @pytest.mark.timeout(1, method="signal")
        @memory(rounds=100)
        def test_it(): time.sleep(0.3)
        """
    )

    run("-p", "pytest_timeout").assert_outcomes(failed=1)

    (reason,) = reasons(records).values()
    assert reason is not None
    assert reason.startswith("the test failed by itself, in round ")


def test_rerunfailures(run: Run, records: Records, app: App) -> None:
    """Each attempt has all its rounds."""
    app(
        each(
            """
        RUNS = []
        def test_it():
            RUNS.append(1)
            assert len(RUNS) != 5
        @memory(enabled=False)
        def test_runs(): assert len(RUNS) == 5 + 12
        """
        )
    )

    result = run("-p", "pytest_rerunfailures", "--reruns=1", "-p", "no:randomly")

    result.stdout.fnmatch_lines(["*2 passed, 1 rerun*"])
    (record,) = records().values()
    assert record["rounds"]["growth"] == "none"
    (earlier,) = record["earlier_attempts"]
    assert earlier["reason"] == "the test failed by itself, in round 4 of 11"


def test_xdist(run: Run, records: Records, app: App) -> None:
    """Rounds travel with the record."""
    app(each("def test_it(): told.python += 65536"))

    run("-p", "xdist", "-n1").assert_outcomes(failed=1)

    (record,) = records().values()
    assert record["rounds"]["exceeds"]
    assert len(record["rounds"]["points"]) == 12


def test_a_body_that_somebody_else_runs(pytester: pytest.Pytester, run: Run, app: App) -> None:
    """Where a plugin keeps the body from running there is nothing to judge."""
    app(each("def test_it(): told.python += 65536"))
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text("utf-8") + "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_runtest_call(item):\n"
        "    item.runtest = lambda: None\n",
        encoding="utf-8",
    )

    result = run("--memreturn-strict")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["unjudged: the body of the test did not run (strict: *"])


def test_instruments_that_can_not_be_had(
    pytester: pytest.Pytester, run: Run, records: Records, app: App
) -> None:
    """The body runs once, and is not judged."""
    app(each("RUNS = []\ndef test_it(): RUNS.append(1)\ndef test_runs(): assert RUNS == [1] * 2"))
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text("utf-8")
        + """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    def broken(): raise OSError("no instruments")
    item.config.stash[INSTRUMENTS] = broken
""",
        encoding="utf-8",
    )

    run().assert_outcomes(passed=2)

    assert reasons(records) == dict.fromkeys(["test_it", "test_runs"], "OSError: no instruments")


def test_the_item_has_its_body_back(pytester: pytest.Pytester, run: Run, app: App) -> None:
    """Also where somebody had put something in its place before."""
    app(each("def test_it(): pass\ndef test_other(): pass"))
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text("utf-8")
        + """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.name == "test_it":
        item.runtest = item.runtest

@pytest.hookimpl
def pytest_runtest_teardown(item):
    assert ("runtest" in vars(item)) == (item.name == "test_it")
""",
        encoding="utf-8",
    )

    run().assert_outcomes(passed=2)
