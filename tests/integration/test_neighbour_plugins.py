"""Plugins that people have beside this one: each at work in the same run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

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


@pytest.fixture
def run_apart(pytester: pytest.Pytester, scripted: Path) -> Run:
    """Run in a process of its own, for plugins that change the process that they run in."""
    del scripted
    return lambda *args: pytester.runpytest_subprocess("--memreturn-report=report.json", *args)


# The first two attempts at each of these fail: by the verdict, by itself, in set-up or tear-down.
_FLAKY = """
    from pytest_memreturn.testing import Script, play
    MIB, tries = 1024 * 1024, {}

    def attempt(name):
        tries[name] = tries.get(name, 0) + 1
        return tries[name]

    @pytest.fixture
    def broken_first():
        assert attempt("set-up") > 2
    @pytest.fixture
    def ends_badly_first():
        yield
        assert attempt("tear-down") > 2

    def test_verdict(pytestconfig):
        pass
    def test_by_itself():
        assert attempt("itself") > 2
    def test_set_up(broken_first): pass
    def test_tear_down(ends_badly_first): pass
    def test_keeps_30(): pass
    def test_returns(): pass
    @pytest.mark.returns_memory(enabled=False)
    def test_block(memreturn):
        with memreturn(): pass
        assert attempt("block") > 1
"""
_FLAKY_CONFTEST = """

_tries = {}

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.name == "test_verdict":
        _tries[item] = _tries.get(item, 0) + 1
        high = 50 * MIB if _tries[item] > 2 else (50 + 10 * _tries[item]) * MIB
        play(item.config, [Script(50 * MIB, high, peak_rss_bytes=PEAK)])
    else:
        play(item.config, [script_for(item.name)])
"""


@pytest.mark.parametrize("way", ["alone", "spread"])
def test_rerunfailures(
    pytester: pytest.Pytester, run: Run, records: Records, module: Module, way: str
) -> None:
    """Each attempt is judged, the last one counts, and its record names those before it."""
    conftest = pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + _FLAKY_CONFTEST, encoding="utf-8")
    module(_FLAKY)

    arguments = ("-p", "xdist", "-n2") if way == "spread" else ()
    result = run(
        *("-p", "pytest_rerunfailures", "--reruns=2", "--memreturn-report"),
        *("--junit-xml=junit.xml", *arguments),
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["rerun"] == 11
    found = records()
    assert {name: one["verdict"] for name, one in found.items()} == {
        "test_verdict": "returned",
        "test_by_itself": "returned",
        "test_set_up": "returned",
        "test_tear_down": "returned",
        "test_keeps_30": "retained",
        "test_returns": "returned",
        "test_block block 1": "returned",
    }
    earlier = {
        name: [(each["verdict"], each["retained_bytes"]) for each in one["earlier_attempts"]]
        for name, one in found.items()
    }
    mib = 1024 * 1024
    assert earlier == {
        "test_verdict": [("retained", 10 * mib), ("retained", 20 * mib)],
        "test_by_itself": [("unjudged", None)] * 2,
        "test_set_up": [("unjudged", None)] * 2,
        "test_tear_down": [("returned", 0)] * 2,
        "test_keeps_30": [("retained", 30 * mib)] * 2,
        "test_returns": [],
        "test_block block 1": [("returned", 0)],
    }
    result.stdout.fnmatch_lines_random(
        [
            "7 judged: 6 returned, 1 retained (30.0 MiB)",
            "* test_app.py::test_verdict (attempt 3)",
            "* test_app.py::test_block [[]block 1[]] (attempt 2)",
        ]
    )
    cases = [
        {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
        for case in ET.parse(pytester.path / "junit.xml").iter("testcase")  # noqa: S314 - our own
        if case.attrib["name"] == "test_verdict"
    ]
    assert cases[-1]["memreturn_verdict"] == "returned"
    assert "memreturn_cause" not in cases[-1]


def test_timeout_by_signal(run_apart: Run, records: Records, module: Module) -> None:
    """A test that is timed out fails by itself and is not judged; the next one is."""
    module("""
        import time
        def test_sleeps(): time.sleep(60)
        def test_keeps_30(): pass
    """)

    result = run_apart("-p", "pytest_timeout", "--timeout=3", "--timeout-method=signal")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*Timeout (>3.0s) from pytest-timeout*"])
    found = records()
    assert found["test_sleeps"]["verdict"] == "unjudged"
    assert found["test_sleeps"]["reason"] == "the test failed by itself"
    assert found["test_keeps_30"]["verdict"] == "retained"


def test_timeout_by_thread(pytester: pytest.Pytester, run_apart: Run, module: Module) -> None:
    """pytest-timeout then ends the process, and with it the run: an older report stays whole."""
    module("import time\ndef test_sleeps(): time.sleep(60)")
    (pytester.path / "report.json").write_text("old", encoding="utf-8")

    result = run_apart("-p", "pytest_timeout", "--timeout=3", "--timeout-method=thread")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*+ Timeout +*"])
    assert (pytester.path / "report.json").read_text(encoding="utf-8") == "old"


def test_timeout_is_no_matter_of_the_explanation(
    pytester: pytest.Pytester, run_apart: Run, records: Records, module: Module
) -> None:
    """A test that has ended in time is not failed for as long as its re-runs take."""
    module("def test_keeps_30(): pass")
    conftest = pytester.path / "conftest.py"
    # The re-run, which takes longer than the test may, returns its memory: that is all of it.
    again = """
import pathlib, time
began = pathlib.Path("began")
if began.exists():
    time.sleep(5)
    script_for = lambda name: Script(BASE, peak_rss_bytes=PEAK)
began.touch()
"""
    conftest.write_text(conftest.read_text(encoding="utf-8") + again, encoding="utf-8")

    result = run_apart("-p", "pytest_timeout", "--timeout=4", "--memreturn-explain")

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*from pytest-timeout*")
    record = records()["test_keeps_30"]
    assert record["verdict"] == "retained"
    assert record["explanation"]["incomplete"]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_randomly(run_apart: Run, verdicts: Verdicts, module: Module, seed: str) -> None:
    """In any order the verdicts are the same."""
    module("""
        def test_keeps_30(): pass
        def test_keeps_40(): pass
        def test_returns(): pass
        def test_fails(): assert 0
    """)

    result = run_apart("-p", "pytest_randomly", f"--randomly-seed={seed}")

    result.assert_outcomes(failed=3, passed=1)
    assert verdicts() == {
        "test_keeps_30": "retained",
        "test_keeps_40": "retained",
        "test_returns": "returned",
        "test_fails": "unjudged",
    }


def test_repeat(run: Run, verdicts: Verdicts, module: Module) -> None:
    """Each repetition is a test with a node id of its own."""
    module("def test_keeps_30(): pass\ndef test_returns(): pass")

    result = run("-p", "pytest_repeat", "--count=3")

    result.assert_outcomes(failed=3, passed=3)
    assert verdicts() == {
        f"{name}[{number}-3]": verdict
        for number in (1, 2, 3)
        for name, verdict in (("test_keeps_30", "retained"), ("test_returns", "returned"))
    }


def test_memray_side_by_side(run_apart: Run, verdicts: Verdicts, module: Module) -> None:
    """Under ``--memray`` both report; a limit that is exceeded is the test's own failure."""
    module("""
        def test_keeps_30(): bytearray(5 * 1024 * 1024)
        def test_returns(): bytearray(5 * 1024 * 1024)
        @pytest.mark.limit_memory("1 MB")
        def test_limited(): return bytearray(5 * 1024 * 1024) and None
    """)

    result = run_apart("-p", "pytest_memray.plugin", "--memray", "--memreturn-report")

    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*MEMRAY REPORT*",
            "*Total memory allocated: 5.*",
        ]
    )
    found = verdicts()
    assert found["test_keeps_30"] == "retained"
    assert found["test_returns"] == "returned"


def test_hypothesis(run: Run, verdicts: Verdicts, module: Module) -> None:
    """A test with ``@given`` is judged as a whole, all its examples together."""
    module("""
        from hypothesis import given, settings, strategies as st
        ran = []
        @given(st.integers())
        @settings(max_examples=5, database=None)
        def test_keeps_30(number): ran.append(number)
        @given(st.integers())
        @settings(max_examples=5, database=None)
        def test_returns(number): pass
        @given(st.integers())
        @settings(max_examples=5, database=None)
        def test_fails(number): assert 0
        def test_ran(): assert len(ran) > 1
    """)

    result = run("-p", "_hypothesis_pytestplugin")

    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["kept 30.0 MiB (allowed 2.0 MiB, default)"])
    assert verdicts() == {
        "test_keeps_30": "retained",
        "test_returns": "returned",
        "test_fails": "unjudged",
        "test_ran": "returned",
    }


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has subtests from 9.0 on")
def test_subtests(run: Run, records: Records, module: Module) -> None:
    """A test with subtests is judged as a whole, unless one of them fails."""
    module("""
        def test_keeps_30(subtests):
            for number in range(3):
                with subtests.test(number=number): pass
        def test_returns(subtests):
            with subtests.test("first"): pass
        def test_fails(subtests):
            for number in range(3):
                with subtests.test(number=number): assert number != 1
        def test_skips(subtests):
            with subtests.test("first"): pytest.skip("not today")
    """)

    result = run()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    found = records()
    assert {name: one["verdict"] for name, one in found.items()} == {
        "test_keeps_30": "retained",
        "test_returns": "returned",
        "test_fails": "unjudged",
        "test_skips": "returned",
    }
    assert (found["test_fails"]["reason"], found["test_fails"]["own_outcome"]) == (
        "a subtest failed",
        "failed",
    )


def test_django(
    pytester: pytest.Pytester, run_apart: Run, records: Records, module: Module
) -> None:
    """A test with a database is judged; making the database is not its doing."""
    pytester.makepyfile(
        app_settings="""
        SECRET_KEY = "test"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        USE_TZ = True
        """
    )
    module("""
        @pytest.mark.django_db
        def test_keeps_30():
            from django.contrib.auth.models import User
            User.objects.create(username="me")
            assert User.objects.count() == 1
        def test_returns(db):
            from django.contrib.auth.models import User
            assert User.objects.count() == 0
        def test_no_database():
            from django.contrib.auth.models import User
            User.objects.count()
    """)

    result = run_apart("-p", "pytest_django.plugin", "--ds=app_settings")

    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["kept 30.0 MiB (allowed 2.0 MiB, default)"])
    found = records()
    assert {name: one["verdict"] for name, one in found.items()} == {
        "test_keeps_30": "retained",
        "test_returns": "returned",
        "test_no_database": "unjudged",
    }
