"""The hooks: allocators and accounts that a ``conftest.py`` or another plugin adds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pytest_memreturn import AllocatorStatistics

MIB = 1024 * 1024

Run: TypeAlias = Callable[..., pytest.RunResult]
Failures: TypeAlias = Callable[[pytest.RunResult], str]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]

# The footprint is played: it grows from 50 to 80 MiB, or stands still. What the pool says of
# itself, and what the device holds, a test sets through the fixture.
_POOL = """
import pytest
from pytest_memreturn import AccountProbe, Allocator, AllocatorStatistics
from pytest_memreturn._explanation import Survivors
from pytest_memreturn.testing import Script, play

MIB = 1024 * 1024

class Pool(Allocator):
    name = "my-pool"
    live = held = 0

    def statistics(self):
        return AllocatorStatistics(self.name, self.live * MIB, self.held * MIB)

    def release(self):
        self.held = self.live

class Device(AccountProbe):
    account = "my-device"

    def __init__(self):
        self.held = 0

    def read_bytes(self):
        return self.held * MIB

POOL, DEVICE = Pool(), Device()

@pytest.fixture
def pool():
    return POOL

@pytest.fixture
def device():
    return DEVICE

def grows(config):
    in_malloc = Survivors(in_malloc_bytes=0)
    play(config, [Script(50 * MIB, 80 * MIB, survivors=in_malloc)])

def stands_still(config):
    play(config, [Script(50 * MIB)])
"""

_TELLS_WHEN_ASKED = """
import os
from pathlib import Path

def _tell(hook):
    with Path({folder!r}, "asked.txt").open("a") as file:
        print(hook, os.environ.get("PYTEST_XDIST_WORKER", "alone"), file=file)
    return []

def pytest_memreturn_allocators(config):
    return _tell("allocators")

def pytest_memreturn_probes(config):
    return _tell("probes")
"""

_MARKED = """
import pytest

@pytest.mark.returns_memory
def test_it():
    print("the test ran")
"""


@pytest.fixture
def asked(pytester: pytest.Pytester) -> Callable[[], list[str]]:
    """Which hooks were asked where, in a project that adds nothing by them."""
    pytester.makeconftest(_TELLS_WHEN_ASKED.format(folder=str(pytester.path)))
    told = Path(pytester.path, "asked.txt")
    return lambda: sorted(told.read_text("utf-8").splitlines()) if told.exists() else []


def test_an_allocator_of_a_conftest_has_accounts(
    pytester: pytest.Pytester, run: Run, records: Records, failures: Failures
) -> None:
    """What it hands out and what it holds stand in the message and in the report."""
    pytester.makeconftest(
        _POOL + "pytest_configure = grows\ndef pytest_memreturn_allocators(): return [POOL]"
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_keeps(pool):
            pool.live, pool.held = 20, 28
        """
    )

    result = run()

    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    shown = failures(result)
    assert "kept 30.0 MiB (allowed 2.0 MiB, default)" in shown
    assert "cause      live-native: 20.0 MiB is held by native code" in shown
    assert "and        held-by-my-pool: 8.0 MiB is free inside my-pool" in shown
    assert "where      my-pool-live 20.0 · my-pool-free 8.0 · unexplained 2.0 (MiB)" in shown
    record = records()["test_keeps"]
    assert record["ledger"] == {
        "my-pool-live": 20 * MIB,
        "my-pool-free": 8 * MIB,
        "unexplained": 2 * MIB,
    }
    assert record["explanation"]["allocators"] == [
        {"name": "my-pool", "live_bytes": 20 * MIB, "held_bytes": 28 * MIB, "arenas": None}
    ]


@pytest.mark.parametrize(("trim", "verdict"), [(False, "retained"), (True, "returned")])
def test_a_trim_asks_an_allocator_of_a_hook(
    pytester: pytest.Pytester, run: Run, verdicts: Verdicts, trim: bool, verdict: str
) -> None:
    """Its release is asked at the gate ``trim``, and what it gives back counts."""
    pytester.makeconftest(
        _POOL
        + """
class Pages(Device):
    account = "my-pages"
    def read_bytes(self):
        return POOL.held * MIB

pytest_configure = stands_still
def pytest_memreturn_allocators(): return [POOL]
def pytest_memreturn_probes(): return [Pages()]
"""
    )
    pytester.makepyfile(
        test_app=f"""
        import pytest

        @pytest.mark.returns_memory(trim={trim})
        def test_it(pool):
            pool.held = 30
        """
    )

    result = run()

    result.assert_outcomes(passed=int(trim), failed=int(not trim))
    assert verdicts() == {"test_it": verdict}


def test_level_ground_asks_an_allocator_of_a_hook(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """What an earlier test left free in a pool hides nothing that the next one keeps."""
    pytester.makeconftest(
        _POOL + "pytest_configure = grows\ndef pytest_memreturn_allocators(): return [POOL]"
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        def test_before(pool):
            pool.held = 100

        @pytest.mark.returns_memory
        def test_keeps(pool):
            assert pool.held == 0
            pool.live = pool.held = 20
        """
    )

    run().assert_outcomes(passed=1, failed=1)

    assert records()["test_keeps"]["ledger"]["my-pool-live"] == 20 * MIB


def test_an_account_that_is_counted(
    pytester: pytest.Pytester, run: Run, records: Records, failures: Failures
) -> None:
    """It belongs to the footprint, and is a cause by its own name."""
    pytester.makeconftest(
        _POOL + "pytest_configure = stands_still\ndef pytest_memreturn_probes(): return [DEVICE]"
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_keeps(device):
            device.held = 30

        @pytest.mark.returns_memory
        def test_gives_back(device):
            device.held = 0
        """
    )

    result = run()

    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    shown = failures(result)
    assert "footprint  50.0 → peak 80.0 → end 80.0 → gc 80.0 → trim 80.0 MiB" in shown
    assert "cause      my-device: 30.0 MiB is what the account my-device holds" in shown
    assert "where      my-device 30.0 · unexplained 0.0 (MiB)" in shown
    kept, gave_back = records()["test_keeps"], records()["test_gives_back"]
    assert kept["ledger"] == {"my-device": 30 * MIB, "unexplained": 0}
    assert kept["cause"] == "my-device"
    assert gave_back["retained_bytes"] == -30 * MIB


def test_an_account_that_is_only_shown(
    pytester: pytest.Pytester, run: Run, records: Records, failures: Failures
) -> None:
    """It is no part of the footprint, nor of the verdict, and stands beside the ledger."""
    pytester.makeconftest(
        _POOL
        + "DEVICE.counted = False\n"
        + "pytest_configure = grows\ndef pytest_memreturn_probes(): return [DEVICE]"
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_keeps(device):
            device.held = 12

        @pytest.mark.returns_memory("30 MiB")
        def test_keeps_what_it_may(device):
            device.held = 1_000
        """
    )

    result = run("-vv")

    result.assert_outcomes(failed=1, passed=1)
    assert "my-device +12.0 MiB" in failures(result)
    kept = records()["test_keeps"]
    assert kept["ledger"] == {"unexplained": 30 * MIB}
    assert kept["shown"]["my-device"] == 12 * MIB


_NO_NAME = "is no name: use lower-case letters, digits and single dashes"
_BAD = {
    "no-allocator": (
        "def pytest_memreturn_allocators(): return ['a pool']",
        "pytest_memreturn_allocators: 'a pool' is no pytest_memreturn.Allocator",
    ),
    "upper-case": (
        "POOL.name = 'MyPool'\ndef pytest_memreturn_allocators(): return [POOL]",
        f"pytest_memreturn_allocators: 'MyPool' {_NO_NAME}",
    ),
    "taken": (
        "POOL.name = 'malloc'\ndef pytest_memreturn_allocators(): return [POOL]",
        "pytest_memreturn_allocators: 'malloc' is taken",
    ),
    "twice": (
        "def pytest_memreturn_allocators(): return [POOL, Pool()]",
        "pytest_memreturn_allocators: 'my-pool' is given twice",
    ),
    "no-list": (
        "def pytest_memreturn_allocators(): return 7",
        "pytest_memreturn_allocators: a list is expected, got 7",
    ),
    "live": (
        "POOL.name = 'my-live'\ndef pytest_memreturn_allocators(): return [POOL]",
        "pytest_memreturn_allocators: 'my-live' must not end in -live or -free",
    ),
    "no-probe": (
        "def pytest_memreturn_probes(): return [POOL]",
        "pytest_memreturn_probes: <conftest.Pool object at *> is no pytest_memreturn.AccountProbe",
    ),
    "account-with-blank": (
        "DEVICE.account = 'my device'\ndef pytest_memreturn_probes(): return [DEVICE]",
        f"pytest_memreturn_probes: 'my device' {_NO_NAME}",
    ),
    "account-taken": (
        "DEVICE.account = 'mapped'\ndef pytest_memreturn_probes(): return [DEVICE]",
        "pytest_memreturn_probes: 'mapped' is taken",
    ),
    "account-twice": (
        "def pytest_memreturn_probes(): return [DEVICE, Device()]",
        "pytest_memreturn_probes: 'my-device' is given twice",
    ),
    "probe-no-list": (
        "def pytest_memreturn_probes(): return DEVICE",
        "pytest_memreturn_probes: a list is expected, got <conftest.Device object at *>",
    ),
    "nameless": (
        """
class Nameless(Allocator):
    def statistics(self): pass
def pytest_memreturn_allocators(): return [Nameless()]
""",
        f"pytest_memreturn_allocators: None {_NO_NAME}",
    ),
    "name-in-a-list": (
        "POOL.name = ['pool']\ndef pytest_memreturn_allocators(): return [POOL]",
        f"pytest_memreturn_allocators: [[]'pool'[]] {_NO_NAME}",
    ),
    "nameless-account": (
        "del Device.account\ndef pytest_memreturn_probes(): return [DEVICE]",
        f"pytest_memreturn_probes: None {_NO_NAME}",
    ),
    "account-like-a-cause": (
        "DEVICE.account = 'held-by-malloc'\ndef pytest_memreturn_probes(): return [DEVICE]",
        "pytest_memreturn_probes: 'held-by-malloc' must not begin as a cause does",
    ),
    "account-free": (
        "DEVICE.account = 'my-free'\ndef pytest_memreturn_probes(): return [DEVICE]",
        "pytest_memreturn_probes: 'my-free' must not end in -live or -free",
    ),
}


@pytest.mark.parametrize(("addition", "message"), _BAD.values(), ids=_BAD)
def test_what_cannot_be_added_ends_the_run(
    pytester: pytest.Pytester, run: Run, addition: str, message: str
) -> None:
    """Before the first test, as a usage error that names the hook and the value."""
    pytester.makeconftest(_POOL + addition)
    pytester.makepyfile(test_app=_MARKED)

    result = run("-s")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert len(errors) == 1
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in result.stderr.str()
    result.stdout.no_fnmatch_line("*the test ran*")


_FAILING = {
    "statistics": (
        """
def statistics(): raise ValueError("the pool is closed")
POOL.statistics = statistics
def pytest_memreturn_allocators(): return [POOL]
""",
        "allocator my-pool: ValueError: the pool is closed",
    ),
    "read-bytes": (
        """
def read_bytes(): raise OSError("no such device")
DEVICE.read_bytes = read_bytes
def pytest_memreturn_probes(): return [DEVICE]
""",
        "probe my-device: OSError: no such device",
    ),
    "release": (
        """
def release(): raise ValueError("boom")
POOL.release = release
def pytest_memreturn_allocators(): return [POOL]
""",
        "allocator my-pool: ValueError: boom",
    ),
    "wrong-name": (
        """
class Other(Pool):
    def statistics(self):
        return AllocatorStatistics("malloc", 0)
def pytest_memreturn_allocators(): return [Other()]
""",
        f"allocator my-pool: TypeError: statistics() gave {AllocatorStatistics('malloc', 0)!r}",
    ),
    "wrong-type": (
        """
POOL.statistics = lambda: {"live_bytes": 0}
def pytest_memreturn_allocators(): return [POOL]
""",
        "allocator my-pool: TypeError: statistics() gave {'live_bytes': 0}",
    ),
    "hook": (
        "def pytest_memreturn_allocators(): raise LookupError('no pools today')",
        "LookupError: no pools today",
    ),
}


@pytest.mark.parametrize(("addition", "reason"), _FAILING.values(), ids=_FAILING)
def test_an_addition_that_fails_fails_no_test(
    pytester: pytest.Pytester, run: Run, records: Records, addition: str, reason: str
) -> None:
    """The test is unjudged, and the reason says who could not answer; strict makes it fail."""
    pytester.makeconftest(_POOL + "pytest_configure = stands_still" + "\n" + addition)
    pytester.makepyfile(test_app=_MARKED)

    result = run()

    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            f"UNJUDGED test_app.py::test_it - {reason}",
            "0 judged: 0 returned, 0 retained, 1 unjudged",
        ]
    )
    record = records()["test_it"]
    assert (record["verdict"], record["reason"]) == ("unjudged", reason)

    strict = run("--memreturn-strict")

    strict.assert_outcomes(failed=1)
    strict.stdout.fnmatch_lines([f"unjudged: {reason} (strict: --memreturn-strict)"])


def test_an_addition_that_fails_later_fails_no_test(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """An allocator that falls over while a test runs leaves that test unjudged."""
    pytester.makeconftest(
        _POOL
        + """
class Fragile(Pool):
    def statistics(self):
        if self.live:
            raise RuntimeError("fell over")
        return super().statistics()

POOL = Fragile()
pytest_configure = grows
def pytest_memreturn_allocators(): return [POOL]
"""
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_it(pool):
            pool.live = 1
        """
    )

    result = run()

    result.assert_outcomes(passed=1)
    assert records()["test_it"]["reason"] == "allocator my-pool: RuntimeError: fell over"


@pytest.mark.parametrize(
    ("tests", "arguments"),
    [
        ("def test_it(): pass", ()),
        ("def test_it(): pass", ("--memreturn", "--memreturn-mode=off")),
        (_MARKED, ("--memreturn-mode=off",)),
        ("def test_it(memreturn): memreturn().__enter__()", ("--memreturn-mode=off",)),
    ],
    ids=["no-mark", "off", "marked-and-off", "fixture-and-off"],
)
def test_where_nothing_is_judged_nobody_is_asked(
    pytester: pytest.Pytester,
    asked: Callable[[], list[str]],
    tests: str,
    arguments: tuple[str, ...],
) -> None:
    """A run that judges no test costs other plugins nothing."""
    pytester.makepyfile(test_app=tests)

    result = pytester.runpytest_inprocess(*arguments)

    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    assert asked() == []


@pytest.mark.parametrize(
    ("tests", "arguments"),
    [
        (_MARKED + "def test_other(): pass", ()),
        (_MARKED + "def test_other(): pass", ("--memreturn",)),
        ("def test_one(memreturn):\n for _ in range(2):\n  with memreturn(): pass", ()),
    ],
    ids=["mark", "option", "fixture"],
)
def test_where_something_is_judged_each_hook_is_asked_once(
    pytester: pytest.Pytester,
    asked: Callable[[], list[str]],
    tests: str,
    arguments: tuple[str, ...],
) -> None:
    """However many tests and blocks are judged."""
    pytester.makepyfile(test_app=tests)

    assert pytester.runpytest_inprocess(*arguments).ret == pytest.ExitCode.OK

    assert asked() == ["allocators alone", "probes alone"]


def test_the_first_test_finds_everything_asked(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    """What a hook loads is loaded before the first test, whether that one is judged or not."""
    pytester.makepyfile(
        test_app=f"""
        import pytest
        from pathlib import Path

        def test_before():
            assert Path({str(pytester.path)!r}, "asked.txt").exists()

        @pytest.mark.returns_memory
        def test_judged():
            pass
        """
    )

    pytester.runpytest_inprocess().assert_outcomes(passed=2)

    assert asked() == ["allocators alone", "probes alone"]


def test_under_xdist_the_workers_are_asked(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    """Each process that judges tests asks for itself; the one that judges none does not."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        @pytest.mark.parametrize("n", range(6))
        def test_it(n):
            pass
        """
    )

    result = pytester.runpytest_subprocess("-p", "xdist", "-n", "2", "--memreturn-report")

    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["6 judged: 6 returned, 0 retained"])
    assert asked() == ["allocators gw0", "allocators gw1", "probes gw0", "probes gw1"]


def test_figures_of_a_worker_reach_the_controller(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """The report has the accounts that a hook added in the workers."""
    pytester.makeconftest(
        _POOL + "pytest_configure = stands_still\ndef pytest_memreturn_probes(): return [DEVICE]"
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        @pytest.mark.parametrize("size", [10, 20])
        def test_keeps(device, size):
            device.held += size
        """
    )

    run("-p", "xdist", "-n", "2").assert_outcomes(failed=2)

    found = {name: one["ledger"]["my-device"] for name, one in records().items()}
    assert found == {"test_keeps[10]": 10 * MIB, "test_keeps[20]": 20 * MIB}


_BAD_NAME = _POOL + "POOL.name = 'No Name'\ndef pytest_memreturn_allocators(): return [POOL]\n"
_BAD_NAME_SAID = f"pytest_memreturn_allocators: 'No Name' {_NO_NAME}"
_JUDGED_THREE_WAYS = """
import pytest

@pytest.fixture
def judged(memreturn):
    return memreturn

@pytest.mark.returns_memory
def test_marked():
    print("a judged test ran")

def test_block(memreturn):
    print("a judged test ran")

def test_block_of_a_fixture(judged):
    print("a judged test ran")

def test_by_option_only():
    pass
"""


def test_a_bad_addition_is_an_error_of_every_judged_test_in_a_worker(
    pytester: pytest.Pytester, run: Run
) -> None:
    """Also of a test that judges only a block; those that nobody judges run as ever."""
    pytester.makeconftest(_BAD_NAME)
    pytester.makepyfile(test_app=_JUDGED_THREE_WAYS)

    result = run("-p", "xdist", "-n", "2")

    result.assert_outcomes(errors=3, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.outlines.count(_BAD_NAME_SAID) == 3
    result.stdout.no_fnmatch_line("*a judged test ran*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")

    run("-p", "xdist", "-n", "2", "--memreturn").assert_outcomes(errors=4)
    off = run("-p", "xdist", "-n", "2", "--memreturn", "--memreturn-mode=off")
    off.assert_outcomes(passed=4)


@pytest.mark.parametrize("name", ["test_block", "test_block_of_a_fixture"])
def test_a_bad_addition_ends_a_run_that_judges_only_blocks(
    pytester: pytest.Pytester, run: Run, name: str
) -> None:
    """As one that judges whole tests."""
    pytester.makeconftest(_BAD_NAME)
    pytester.makepyfile(test_app=_JUDGED_THREE_WAYS)

    result = run("-k", f"{name} and not {name}_", "-s")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {_BAD_NAME_SAID}"]
    result.stdout.no_fnmatch_line("*a judged test ran*")


def test_a_report_asks_no_hook_where_nobody_judges(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    """Not in the process that only reports, nor in a run that judges nothing, nor when off."""
    pytester.makepyfile(test_app="def test_it(): pass")
    report = "--memreturn-report=report.json"
    for options in ([], ["--memreturn", "--memreturn-mode=off"]):
        pytester.runpytest_inprocess(report, *options).assert_outcomes(passed=1)
        assert asked() == []
        assert json.loads(Path(pytester.path, "report.json").read_text("utf-8"))["environment"]

    workers = pytester.runpytest_subprocess(report, "--memreturn", "-p", "xdist", "-n", "1")

    workers.assert_outcomes(passed=1)
    assert asked() == ["allocators gw0", "probes gw0"]


def test_an_allocator_that_fails_hides_no_other_from_the_report(
    pytester: pytest.Pytester, run: Run
) -> None:
    """The report's environment names those that answer."""
    pytester.makeconftest(
        _POOL
        + """
class Failing(Pool):
    name = "failing"
    def statistics(self):
        raise ValueError("boom")

pytest_configure = stands_still
def pytest_memreturn_allocators(): return [Failing(), POOL]
"""
    )
    pytester.makepyfile(test_app=_MARKED)

    run().assert_outcomes(passed=1)

    report = json.loads(Path(pytester.path, "report.json").read_text("utf-8"))
    assert report["environment"]["allocators"] == ["my-pool"]


def test_what_a_release_takes_from_an_account_is_its_doing(
    pytester: pytest.Pytester, run: Run, records: Records
) -> None:
    """What it gave back is measured with what hooks count: no mapping of the process shrank."""
    pytester.makeconftest(
        _POOL
        + """
def release():
    DEVICE.held = 0

POOL.release = release
pytest_configure = stands_still
def pytest_memreturn_allocators(): return [POOL]
def pytest_memreturn_probes(): return [DEVICE]
"""
    )
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_keeps(device):
            device.held = 30
        """
    )

    result = run()

    result.assert_outcomes(failed=1)
    assert records()["test_keeps"]["explanation"]["released"]["my-pool"] == 30 * MIB
