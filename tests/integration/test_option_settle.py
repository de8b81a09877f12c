"""``--memreturn-settle``: how long memory on its way back is waited for, and which origin wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]

# 30 MiB more after every window, which a purger gives back at 10 MiB a second: 2.8 s until the
# default allowance is met. The time is played.
_PURGED = """
import dataclasses
import pytest
from pytest_memreturn._session import INSTRUMENTS
from pytest_memreturn.probes.motion import Motion
from pytest_memreturn.testing import Script, ScriptedProbe

MIB = 1024 * 1024
SCRIPT = Script(50 * MIB, end=80 * MIB)

class Purged(ScriptedProbe):
    seconds = 0.0

    def open_peak(self):
        self.seconds = 0.0
        return super().open_peak()

    def sleep(self, seconds):
        self.seconds += seconds

    def exact(self):
        return self.less_given_back(super().exact())

    def capture(self, *, baseline=False):
        read = super().capture(baseline=baseline)
        return dataclasses.replace(read, played=self.less_given_back(read.played))

    def less_given_back(self, read):
        given_back = min(int(self.seconds * 10 * MIB), read.footprint_bytes - 50 * MIB)
        return dataclasses.replace(read, footprint_bytes=read.footprint_bytes - given_back)

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    probe = Purged([SCRIPT])
    instruments = dataclasses.replace(
        probe.instruments(),
        motion=lambda: Motion(2, purges_in_background=True),
        clock=lambda: probe.seconds,
        sleep=probe.sleep,
    )
    config.stash[INSTRUMENTS] = lambda: instruments
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, scripted: None) -> None:
    """Memory that comes back late, with no word on it, and with either word in the mark."""
    pytester.makeconftest(_PURGED)
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory
        def test_plain(): pass

        @pytest.mark.returns_memory(settle=5)
        def test_patient(): pass

        @pytest.mark.returns_memory(settle=0)
        def test_impatient(): pass
        """
    )


@pytest.mark.parametrize(
    ("ini", "flags", "verdict"),
    [
        (None, (), "returned"),
        ("1", (), "retained"),
        ("5 s", (), "returned"),
        (None, ("--memreturn-settle=1",), "retained"),
        (None, ("--memreturn-settle", "2900 ms"), "returned"),
        ("0", ("--memreturn-settle=4",), "returned"),
        ("4", ("--memreturn-settle=0",), "retained"),
    ],
)
def test_mark_before_command_line_before_ini(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    records: Records,
    ini: str | None,
    flags: tuple[str, ...],
    verdict: str,
) -> None:
    """As long as the closest origin says is waited, by default 3 s."""
    if ini is not None:
        pytester.makeini(f"[pytest]\nmemreturn_settle = {ini}")

    run(*flags)

    assert {name: one["verdict"] for name, one in records().items()} == {
        "test_plain": verdict,
        "test_patient": "returned",
        "test_impatient": "retained",
    }


def test_message_says_that_it_was_still_falling(run: Run) -> None:
    """Where waiting was not enough, the message tells for how long it fell."""
    result = run("--memreturn-settle=1", "-k", "test_plain")

    result.stdout.fnmatch_lines(["kept 20.0 MiB*", "  footprint *still falling for 1.0 s*"])


def test_a_block_has_its_own_word(pytester: pytest.Pytester, run: Run, records: Records) -> None:
    """The keyword of the fixture is that of the marker."""
    pytester.makepyfile(
        test_app="""
        import pytest

        def test_blocks(memreturn):
            with memreturn(): pass
            with pytest.raises(AssertionError), memreturn(settle="1 s"): pass
        """
    )

    run().assert_outcomes(passed=1)

    found = [one["verdict"] for one in records().values()]
    assert found == ["returned", "retained"]


@pytest.mark.parametrize("value", ["soon", "-1", "3601", ""])
@pytest.mark.parametrize("level", ["command line", "ini"])
def test_a_wrong_time_ends_the_run(
    pytester: pytest.Pytester, run: Run, value: str, level: str
) -> None:
    """Before the first test, with the origin and the value."""
    if level == "ini":
        pytester.makeini(f"[pytest]\nmemreturn_settle = {value}")
        result, origin = run(), "ini option memreturn_settle"
    else:
        result, origin = run(f"--memreturn-settle={value}"), "--memreturn-settle"

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {origin}: {value!r} is *"])


def test_a_wrong_time_in_a_mark_is_that_tests_error(pytester: pytest.Pytester, run: Run) -> None:
    """The other tests run."""
    pytester.makepyfile(
        test_app="""
        import pytest

        @pytest.mark.returns_memory(settle="soon")
        def test_wrong(): pass

        def test_right(): pass
        """
    )

    result = run()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*marker on test_app.py::test_wrong: settle: 'soon' is not *"])
