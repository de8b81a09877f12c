"""The ``memreturn`` fixture: a part of a test is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]
Failures: TypeAlias = Callable[[pytest.RunResult], str]

_HEAD = """
import pytest
from conftest import MIB, play, script_for
from pytest_memreturn.testing import Script

@pytest.fixture
def memory(request):
    return lambda *names: play(request.config, [script_for(name) for name in names])
"""


@pytest.fixture
def module(pytester: pytest.Pytester) -> Callable[[str], None]:
    """Write a test module whose tests say by ``memory(...)`` what their blocks read."""

    def module(source: str) -> None:
        path = pytester.makepyfile(test_app=source)
        path.write_text(_HEAD + path.read_text(encoding="utf-8"), encoding="utf-8")

    return module


Module: TypeAlias = Callable[[str], None]


def test_block_that_returns(run: Run, module: Module, records: Records) -> None:
    """The test goes on after the block, with figures to read, and the block is in the report."""
    module("""
        def test_it(memreturn, memory):
            memory("keeps_3")
            with memreturn("5 MiB") as m:
                pass
            assert m.verdict == "returned"
            assert m.retained_bytes == 3 * MIB
            assert m.peak_growth_bytes == 100 * MIB
            assert m.returned_ratio == pytest.approx(0.97)
            assert m.cause is None
            assert m.ledger == {"unexplained": 3 * MIB}
            assert m.readings["baseline"] == 50 * MIB
            assert m.readings["collect"] == 53 * MIB
            assert m.record.nodeid == "test_app.py::test_it"
    """)

    run().assert_outcomes(passed=1)

    record = records()["test_it block 1"]
    assert record["verdict"] == "returned"
    assert record["allowed_origin"] == "memreturn() in test_app.py::test_it"


def test_block_that_retains(
    run: Run, module: Module, failures: Failures, verdicts: Verdicts
) -> None:
    """The test fails at the ``with`` line; the traceback has no frame of the plugin."""
    module("""
        def test_it(memreturn, memory):
            memory("keeps_30")
            with memreturn("5 MiB", label="parsing"):
                pass
            print("never")
    """)

    result = run("-s")

    result.assert_outcomes(failed=1)
    shown = failures(result)
    assert '>       with memreturn("5 MiB", label="parsing"):' in shown
    assert "MemoryNotReturned: parsing: kept 30.0 MiB (allowed 5.0 MiB" in shown
    assert "footprint  50.0" in shown
    assert shown.splitlines()[-1] == "test_app.py:11: MemoryNotReturned"
    assert "_measure.py" not in shown
    assert "_fixture.py:" not in shown
    assert "pytest_memreturn._failures" not in result.stdout.str()
    result.stdout.no_fnmatch_line("never")
    assert verdicts() == {"test_it parsing": "retained"}


def test_failure_is_an_assertion_error_with_its_record(run: Run, module: Module) -> None:
    """The test may catch `MemoryNotReturned` and read the record."""
    module("""
        from pytest_memreturn import MemoryNotReturned
        def test_it(memreturn, memory):
            memory("keeps_30")
            with pytest.raises(AssertionError, match="kept 30.0 MiB") as caught:
                with memreturn() as m:
                    pass
            assert caught.type is MemoryNotReturned
            assert caught.value.record is m.record
            assert m.verdict == "retained"
            assert m.retained_bytes == 30 * MIB
    """)

    run().assert_outcomes(passed=1)


def test_several_blocks_are_several_records(run: Run, module: Module, records: Records) -> None:
    """Each block has its own verdict and label; the first that retains ends the test."""
    module("""
        def test_it(memreturn, memory):
            memory("returns", "holds_10", "keeps_20", "returns")
            with memreturn(): pass
            with memreturn(label="second", trim=True): pass
            with memreturn(): pass
            with memreturn(): pass
    """)

    result = run("--memreturn-report")

    result.assert_outcomes(failed=1)
    assert {name: one["verdict"] for name, one in records().items()} == {
        "test_it block 1": "returned",
        "test_it second": "returned",
        "test_it block 3": "retained",
    }
    result.stdout.fnmatch_lines(
        ["* 20.0 * test_app.py::test_it [[]block 3[]]", "* test_app.py::test_it [[]second[]]"]
    )


def test_settings_of_the_run_hold_for_blocks(
    pytester: pytest.Pytester, run: Run, module: Module, records: Records
) -> None:
    """What a block does not say comes from the command line and the ini file."""
    module("""
        def test_it(memreturn, memory):
            memory("holds_10")
            with memreturn(): pass
    """)
    pytester.makeini("[pytest]\nmemreturn_trim = true")

    run("--memreturn-max-retained=7 MiB").assert_outcomes(passed=1)

    record = records()["test_it block 1"]
    assert record["gate"] == "trim"
    assert record["allowed_origin"] == "--memreturn-max-retained"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("'much'", "max_retained: 'much' is not a size"),
        ("-1", "max_retained: -1 is negative"),
        ("min_returned='120%'", "min_returned: '120%' is above 100 %"),
        ("trim='yes'", "trim: 'yes' is not True or False"),
    ],
)
def test_wrong_value(
    run: Run, module: Module, failures: Failures, arguments: str, problem: str
) -> None:
    """It fails the test at the call, naming the test and the value; other tests run."""
    module(f"""
        def test_wrong(memreturn):
            with memreturn({arguments}): pass
        def test_right(memreturn, memory):
            memory("returns")
            with memreturn(): pass
    """)

    result = run()

    result.assert_outcomes(failed=1, passed=1)
    shown = failures(result)
    assert f"memreturn() in test_app.py::test_wrong: {problem}" in shown
    assert f">       with memreturn({arguments}): pass" in shown


def test_block_that_raises_is_not_judged(run: Run, module: Module, records: Records) -> None:
    """The block's own exception goes through, and the record says so."""
    module("""
        def test_it(memreturn, memory):
            memory("keeps_30")
            with memreturn() as m:
                raise OSError("my own")
    """)

    result = run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*OSError: my own"])
    record = records()["test_it block 1"]
    assert (record["verdict"], record["own_outcome"]) == ("unjudged", "raised")
    assert record["reason"] == "the block raised OSError"


def test_mode_warn(run: Run, module: Module, verdicts: Verdicts) -> None:
    """A retaining block is a warning, and the test goes on."""
    module("""
        def test_it(memreturn, memory):
            memory("keeps_30")
            with memreturn() as m: pass
            assert m.verdict == "retained"
    """)

    result = run("--memreturn-mode=warn")

    result.assert_outcomes(passed=1, warnings=1)
    assert "block 1: kept 30.0 MiB (allowed 2.0 MiB, default)" in result.stdout.str()
    assert verdicts() == {"test_it block 1": "retained"}


def test_mode_warn_as_error(run: Run, module: Module, failures: Failures) -> None:
    """Where warnings are errors the test fails at the ``with`` line, without plugin frames."""
    module("""
        def test_it(memreturn, memory):
            memory("keeps_30")
            with memreturn() as m: pass
    """)

    result = run("--memreturn-mode=warn", "-W", "error")

    result.assert_outcomes(failed=1)
    shown = failures(result)
    assert "kept 30.0 MiB" in shown
    assert "_session.py" not in shown
    assert "_measure.py" not in shown


def test_mode_off(run: Run, module: Module, verdicts: Verdicts) -> None:
    """Nothing is measured or reported; a test that reads figures is told why there are none."""
    module("""
        def test_it(memreturn, memory):
            memory("keeps_30")
            with memreturn() as m: pass
            assert m.verdict == "unjudged"
            with pytest.raises(RuntimeError, match="switched off .--memreturn-mode."):
                m.retained_bytes
    """)

    run("--memreturn-mode=off").assert_outcomes(passed=1)

    assert verdicts() == {}


def test_unreadable_block(run: Run, module: Module, verdicts: Verdicts) -> None:
    """A reading that can't be had leaves the block unjudged; ``--memreturn-strict`` fails it."""
    module("""
        def test_it(memreturn, memory):
            memory("unreadable")
            with memreturn() as m: pass
            assert m.verdict == "unjudged"
    """)

    result = run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["UNJUDGED test_app.py::test_it [[]block 1[]] - the script has no reading at end"]
    )
    assert verdicts() == {"test_it block 1": "unjudged"}

    result = run("--memreturn-strict")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *unjudged: the script has no reading*--memreturn-strict)"])


def test_block_inside_a_judged_test(run: Run, module: Module, records: Records) -> None:
    """Windows nest: the block and the test each have their own verdict."""
    module("""
        @pytest.fixture
        def nested(request):
            play(request.config, [
                Script(50 * MIB, 90 * MIB, peak_rss_bytes=200 * MIB),
                Script(60 * MIB, 63 * MIB, peak_rss_bytes=80 * MIB),
            ])
        @pytest.mark.returns_memory("5 MiB")
        def test_outer_keeps(memreturn, nested):
            with memreturn("5 MiB") as m: pass
            assert m.retained_bytes == 3 * MIB
    """)

    run().assert_outcomes(failed=1)

    found = records()
    assert {
        name: (one["verdict"], one["retained_bytes"] // 2**20) for name, one in found.items()
    } == {
        "test_outer_keeps block 1": ("returned", 3),
        "test_outer_keeps": ("retained", 40),
    }


def test_block_that_fails_inside_a_judged_test(
    run: Run, module: Module, verdicts: Verdicts
) -> None:
    """The block's failure is the test's own: the test around it is not judged."""
    module("""
        @pytest.mark.returns_memory
        def test_it(memreturn, memory):
            memory("keeps_30")
            with memreturn(): pass
    """)

    run().assert_outcomes(failed=1)

    assert verdicts() == {"test_it block 1": "retained", "test_it": "unjudged"}


def test_block_in_a_fixtures_set_up_and_tear_down(
    run: Run, module: Module, verdicts: Verdicts
) -> None:
    """A block in a fixture is reported with the test; one that retains is an error there."""
    module("""
        @pytest.fixture
        def server(memreturn, memory):
            memory("returns", "keeps_30")
            with memreturn(label="start"): pass
            yield
            with memreturn(label="stop"): pass
        def test_it(server): pass
    """)

    result = run()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "E*stop: kept 30.0 MiB*"])
    assert verdicts() == {"test_it start": "returned", "test_it stop": "retained"}


def test_block_runs_once(run: Run, module: Module) -> None:
    """A block can't be entered twice, and has nothing to read before it ends."""
    module("""
        def test_it(memreturn, memory):
            memory("returns")
            m = memreturn()
            with m:
                with pytest.raises(RuntimeError, match="has not ended"):
                    m.retained_bytes
            with pytest.raises(RuntimeError, match="runs once"):
                m.__enter__()
    """)

    run().assert_outcomes(passed=1)


def test_snapshot_and_release(pytester: pytest.Pytester) -> None:
    """Both work on the real process, without judging: freed memory that malloc holds comes back."""
    pytester.makepyfile(
        test_app="""
        import gc

        def test_it(memreturn):
            memreturn.release()
            before = memreturn.snapshot()
            assert 0 < before.footprint_bytes <= before.rss_bytes + before.swap_bytes
            blocks = [b"x" * 60_000 for _ in range(600)]
            held = memreturn.snapshot()
            assert held.footprint_bytes - before.footprint_bytes > 30_000_000
            # The last block stays, so that the heap can't shrink by itself.
            del blocks[:-1]
            released = memreturn.release()
            assert memreturn.snapshot().footprint_bytes - before.footprint_bytes < 3_000_000
            assert released > 25_000_000
        """
    )

    result = pytester.runpytest_subprocess("--memreturn-report=report.json")

    result.assert_outcomes(passed=1)
