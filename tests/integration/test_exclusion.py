"""A fixture that outlives the test which needs it first: named, and not blamed on that test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

MIB = 1024 * 1024

Run: TypeAlias = Callable[..., pytest.RunResult]
Failures: TypeAlias = Callable[[pytest.RunResult], str]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]

# The process's own memory stands still; what tests and fixtures take, in MiB, is in an account.
_DEVICE = """
import pytest
from pytest_memreturn import AccountProbe
from pytest_memreturn.testing import Script, play

class Device(AccountProbe):
    account = "my-device"
    held = 0

    def read_bytes(self):
        return self.held * 1024 * 1024

    def take(self, size):
        self.held += size

DEVICE = Device()

@pytest.fixture(scope="session")
def device():
    return DEVICE

def pytest_configure(config):
    play(config, [Script(50 * 1024 * 1024)])

def pytest_memreturn_probes():
    return [DEVICE]
"""

_POOL = """
import pytest

@pytest.fixture(scope="{scope}")
def pool(device):
    device.take(40)
"""


@pytest.fixture
def excluded(records: Records) -> Callable[[str], list[tuple[str, str, float]]]:
    """What was excluded from a test by its name: fixture, scope, MiB."""
    return lambda name: [
        (one["fixture"], one["scope"], one["bytes"] / MIB) for one in records()[name]["excluded"]
    ]


Excluded: TypeAlias = Callable[[str], list[tuple[str, str, float]]]


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, run: Run) -> None:
    """A project with a device."""
    pytester.makeconftest(_DEVICE)


@pytest.mark.parametrize("scope", ["session", "package", "module", "class"])
def test_a_wider_fixture_is_named_and_not_blamed(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded, scope: str
) -> None:
    """The test that needs it first passes, and its record says what was left out."""
    pytester.makepyfile(
        test_app=_POOL.format(scope=scope)
        + """
@pytest.mark.returns_memory
class TestIt:
    def test_first(self, request):
        request.getfixturevalue("pool")

    def test_second(self, request):
        request.getfixturevalue("pool")
"""
    )

    result = run()

    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    assert {one["retained_bytes"] for one in records().values()} == {0}
    assert ("pool", scope, 40.0) in excluded("test_first")
    assert excluded("test_second") == []


def test_a_function_scoped_fixture_is_blamed(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """It belongs to the test: what it still keeps when the test ends is the test's."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="function")
        + """
@pytest.mark.returns_memory
def test_it(request):
    request.getfixturevalue("pool")
"""
    )

    result = run()

    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert records()["test_it"]["retained_bytes"] == 40 * MIB
    assert all(name != "pool" for name, _, _ in excluded("test_it"))


def test_a_fixture_that_was_set_up_before_is_not_mentioned(
    pytester: pytest.Pytester, run: Run, excluded: Excluded
) -> None:
    """Asked for by an argument it is set up before the window: nothing needs to be left out."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
@pytest.mark.returns_memory
def test_it(pool, request):
    request.getfixturevalue("pool")
"""
    )

    run().assert_outcomes(passed=1)

    assert excluded("test_it") == []


def test_the_message_names_the_fixture(
    pytester: pytest.Pytester, run: Run, records: Records, failures: Failures, excluded: Excluded
) -> None:
    """A test that keeps something besides is blamed for that alone, before the set-up and after."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
@pytest.mark.returns_memory
def test_it(device, request):
    device.take(10)
    request.getfixturevalue("pool")
    device.take(15)
"""
    )

    result = run()

    result.assert_outcomes(failed=1)
    shown = failures(result)
    assert "kept 25.0 MiB (allowed 2.0 MiB, default)" in shown
    assert "where      my-device 25.0 · unexplained 0.0 (MiB)" in shown
    assert "excluded   40.0 MiB of session fixture pool, first set up in this test" in shown
    record = records()["test_it"]
    assert record["retained_bytes"] == 25 * MIB
    assert record["ledger"] == {"my-device": 25 * MIB, "unexplained": 0}
    assert excluded("test_it") == [("pool", "session", 40.0)]


def test_a_fixture_that_needs_another_counts_once(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """What the inner one takes is part of the outer one, and neither is the test's."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.fixture(scope="session")
        def inner(device):
            device.take(30)

        @pytest.fixture(scope="module")
        def outer(device, request):
            device.take(1)
            request.getfixturevalue("inner")
            device.take(9)

        @pytest.mark.returns_memory
        def test_it(device, request):
            request.getfixturevalue("outer")
            device.take(5)
        """
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["retained_bytes"] == 5 * MIB
    assert excluded("test_it") == [("outer", "module", 40.0)]


def test_a_fixture_and_its_argument_count_once(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """The argument is set up first, so each is named with what it took itself."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.fixture(scope="session")
        def inner(device):
            device.take(30)

        @pytest.fixture(scope="module")
        def outer(device, inner):
            device.take(10)

        @pytest.mark.returns_memory
        def test_it(device, request):
            request.getfixturevalue("outer")
            device.take(5)
        """
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["retained_bytes"] == 5 * MIB
    assert excluded("test_it") == [("inner", "session", 30.0), ("outer", "module", 10.0)]


def test_fixtures_one_after_the_other_count_each(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """Each is named with its own bytes, in the order of their set-up."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.fixture(scope="session")
        def first(device):
            device.take(30)

        @pytest.fixture(scope="module")
        def second(device):
            device.take(10)

        @pytest.mark.returns_memory
        def test_it(device, request):
            request.getfixturevalue("first")
            device.take(4)
            request.getfixturevalue("second")
        """
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["retained_bytes"] == 4 * MIB
    assert excluded("test_it") == [("first", "session", 30.0), ("second", "module", 10.0)]


def test_a_fixture_under_a_function_scoped_one(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """The wider one is left out, and the narrow one that needs it is the test's."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
@pytest.fixture
def connection(device, pool):
    device.take(6)

@pytest.mark.returns_memory
def test_it(request):
    request.getfixturevalue("connection")
"""
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["retained_bytes"] == 6 * MIB
    # That the device is a fixture, too, is of no weight.
    assert [one for one in excluded("test_it") if one[2]] == [("pool", "session", 40.0)]


def test_a_parameter_sets_it_up_afresh(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """A wide fixture with a ``yield`` that a later test sets up again is that test's exclusion."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.fixture(scope="class")
        def pool(device):
            device.take(40)
            yield
            device.take(-40)

        @pytest.mark.returns_memory
        class TestOne:
            def test_one(self, request): request.getfixturevalue("pool")

        @pytest.mark.returns_memory
        class TestTwo:
            def test_two(self, request): request.getfixturevalue("pool")
        """
    )

    run().assert_outcomes(passed=2)

    for name in ("test_one", "test_two"):
        assert ("pool", "class", 40.0) in excluded(name)
        assert records()[name]["retained_bytes"] == 0


_BROKEN = """
import pytest

@pytest.fixture(scope="session")
def broken(device):
    device.take(40)
    raise OSError("no such host")
"""


def test_a_fixture_that_raises_fails_the_test_with_its_own_error(
    pytester: pytest.Pytester, run: Run, records: Records, failures: Failures
) -> None:
    """A verdict does not stand in its place; the test is unjudged, and the next one is judged."""
    pytester.makepyfile(
        test_app=_BROKEN
        + """
@pytest.mark.returns_memory
def test_it(request):
    request.getfixturevalue("broken")

@pytest.mark.returns_memory
def test_other():
    pass
"""
    )

    result = run()

    result.assert_outcomes(failed=1, passed=1)
    shown = failures(result)
    assert "OSError: no such host" in shown
    assert "kept" not in shown
    assert records()["test_it"]["verdict"] == "unjudged"
    assert records()["test_other"]["verdict"] == "returned"


def test_a_fixture_that_raises_and_is_caught(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """What it left behind is still the fixture's; what the test keeps besides is the test's."""
    pytester.makepyfile(
        test_app=_BROKEN
        + """
@pytest.mark.returns_memory
def test_it(device, request):
    with pytest.raises(OSError):
        request.getfixturevalue("broken")
    device.take(7)
"""
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["retained_bytes"] == 7 * MIB
    assert excluded("test_it") == [("broken", "session", 40.0)]


def test_a_block_of_the_fixture_excludes_it_too(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """Under ``with memreturn()`` as under the mark; a block that ended before knows nothing."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
def test_it(device, memreturn, request):
    with memreturn(label="before"):
        pass
    with memreturn(label="around") as judged:
        request.getfixturevalue("pool")
        device.take(1)
    assert judged.retained_bytes == 1024 * 1024
    with memreturn(label="after"):
        request.getfixturevalue("pool")
"""
    )

    run().assert_outcomes(passed=1)

    assert excluded("test_it before") == []
    assert excluded("test_it around") == [("pool", "session", 40.0)]
    assert excluded("test_it after") == []
    assert records()["test_it around"]["ledger"]["my-device"] == MIB


def test_a_block_that_kept_too_much_names_it(
    pytester: pytest.Pytester, run: Run, failures: Failures
) -> None:
    """The message of a block has the line as well."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
def test_it(device, memreturn, request):
    with memreturn():
        request.getfixturevalue("pool")
        device.take(8)
"""
    )

    result = run()

    result.assert_outcomes(failed=1)
    shown = failures(result)
    assert "kept 8.0 MiB (allowed 2.0 MiB, default)" in shown
    assert "excluded   40.0 MiB of session fixture pool, first set up in this test" in shown


def test_a_block_inside_a_judged_test(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """Every window that is open leaves the fixture out, and each keeps the rest for itself."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
@pytest.mark.returns_memory
def test_it(device, memreturn, request):
    device.take(1)
    with memreturn(label="inner"):
        request.getfixturevalue("pool")
"""
    )

    run().assert_outcomes(passed=1)

    for name, kept in (("test_it inner", 0), ("test_it", MIB)):
        assert excluded(name) == [("pool", "session", 40.0)]
        assert records()[name]["retained_bytes"] == kept


def test_a_fixture_after_one_that_raised_is_excluded_too(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """A set-up that failed leaves the window as it was, open for what comes next."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="module")
        + _BROKEN
        + """
@pytest.mark.returns_memory
def test_it(device, request):
    with pytest.raises(OSError):
        request.getfixturevalue("broken")
    request.getfixturevalue("pool")
"""
    )

    run().assert_outcomes(passed=1)

    assert excluded("test_it") == [("broken", "session", 40.0), ("pool", "module", 40.0)]
    assert records()["test_it"]["retained_bytes"] == 0


def test_a_probe_that_fails_meanwhile_excludes_nothing(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """The fixture is set up all the same, and the test is judged by what can be read."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.fixture(scope="session")
        def pool(device):
            device.take(40)
            return "ready"

        @pytest.mark.returns_memory
        def test_it(device, request, monkeypatch):
            with monkeypatch.context() as patch:
                patch.setattr(device, "read_bytes", lambda: 1 / 0)
                assert request.getfixturevalue("pool") == "ready"
        """
    )

    run().assert_outcomes(failed=1)

    assert excluded("test_it") == []
    assert records()["test_it"]["retained_bytes"] == 40 * MIB


def test_a_probe_that_fails_before_the_end_of_the_fixture_excludes_nothing(
    pytester: pytest.Pytester, run: Run, records: Records, excluded: Excluded
) -> None:
    """Without the second reading nobody knows what is the fixture's."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.fixture(scope="session")
        def pool(device):
            device.take(40)
            device.read_bytes = lambda: 1 / 0

        @pytest.mark.returns_memory
        def test_it(device, request):
            request.getfixturevalue("pool")
            del device.read_bytes
        """
    )

    run().assert_outcomes(failed=1)

    assert excluded("test_it") == []
    assert records()["test_it"]["retained_bytes"] == 40 * MIB


def test_a_fixture_that_keeps_nothing_gets_no_line(
    pytester: pytest.Pytester, run: Run, excluded: Excluded, failures: Failures
) -> None:
    """The record has it all the same, and so has the message for somebody who wants it all."""
    pytester.makepyfile(
        test_app=_POOL.format(scope="session")
        + """
@pytest.fixture(scope="session")
def empty():
    pass

@pytest.fixture(scope="session")
def shrinks(device):
    device.take(-20)

@pytest.mark.returns_memory
def test_it(device, request):
    for name in ("pool", "empty", "shrinks"):
        request.getfixturevalue(name)
    device.take(30)
"""
    )

    shown = failures(run())
    everything = failures(run("-vv"))

    assert "excluded   40.0 MiB of session fixture pool, first set up in this test" in shown
    assert "excluded   -20.0 MiB of session fixture shrinks, first set up" in shown
    assert "session fixture empty" not in shown
    assert "of session fixture empty, first set up in this test" in everything
    assert ("empty", "session", 0.0) in excluded("test_it")


@pytest.mark.parametrize("mark", ["@pytest.mark.returns_memory", ""], ids=["judged", "not-judged"])
def test_a_fixture_that_raises_shows_none_of_our_frames(
    pytester: pytest.Pytester, run: Run, failures: Failures, mark: str
) -> None:
    """Its traceback leads through the user's code, not through how it was measured."""
    pytester.makepyfile(
        test_app=f"""
        import pytest

        @pytest.fixture(scope="session")
        def broken():
            raise LookupError("no such device")

        {mark}
        def test_it(request):
            request.getfixturevalue("broken")
        """
    )

    result = run()

    result.assert_outcomes(failed=1)
    shown = failures(result)
    assert "LookupError: no such device" in shown
    assert "pytest_memreturn" not in shown
