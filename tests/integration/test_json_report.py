"""The JSON report: its schema, and that it is there however the run ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from jsonschema.validators import validator_for

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]

_EVERYTHING = """
import pytest
from conftest import play, script_for
pytestmark = pytest.mark.returns_memory

def test_returns(): pass
def test_keeps_30(): pass
@pytest.mark.returns_memory(trim=True)
def test_holds_30(): pass
def test_cycles_30(): pass
def test_unreadable(): pass
def test_skips(): pytest.skip("not today")
def test_fails(): assert 0
@pytest.mark.xfail
def test_keeps_40(): pass
@pytest.mark.returns_memory(min_returned="120%")
def test_wrong(): pass
@pytest.mark.returns_memory(enabled=False)
def test_blocks(memreturn, request):
    play(request.config, [script_for("returns")])
    with memreturn("1 MiB", label="first"):
        pass
    with pytest.raises(OSError), memreturn():
        raise OSError
    play(request.config, [script_for("keeps_5")])
    with pytest.raises(AssertionError), memreturn(trim=True):
        pass
"""

_REAL = """
import pytest
KEPT = []
pytestmark = pytest.mark.returns_memory("4 MiB")
def test_returns(): pass
def test_keeps(): KEPT.append([[] for _ in range(300_000)])
"""


def _check(path: Path) -> dict[str, Any]:
    schema = json.loads(
        files("pytest_memreturn.report").joinpath("schema-1.json").read_text(encoding="utf-8")
    )
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    validator = validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(report)
    return report


def _check_sums(report: dict[str, Any]) -> None:
    """Every ledger is whole, and sums to what its record says was retained."""
    closed = [one for one in report["tests"] if one["ledger"] is not None]
    assert closed
    for one in closed:
        growth = sum(one["ledger"].values())
        if one["hidden_bytes"] == 0:
            assert growth == one["retained_bytes"]
        else:
            # What shows and what does not; memory given back elsewhere hides no growth.
            assert max(0, growth) + one["hidden_bytes"] == one["retained_bytes"]
        for account, parts in (one["explanation"] or {"parts": {}})["parts"].items():
            assert sum(parts.values()) == one["ledger"][account]


def test_scripted_report_is_valid(pytester: pytest.Pytester, run: Run) -> None:
    """Every kind of record is as the schema says, and the summary counts them."""
    pytester.makepyfile(test_app=_EVERYTHING)

    run()

    report = _check(pytester.path / "report.json")
    assert report["schema_version"] == 1
    assert report["environment"]["probe"] == "scripted"
    assert report["summary"] == {
        "judged": 7,
        "returned": 4,
        "recorded": 0,
        "retained": 3,
        "unjudged": 5,
        "retained_bytes": (30 + 40 + 5) * 1024 * 1024,
    }
    assert len(report["tests"]) == 12
    _check_sums(report)


_EXPLAINED = """
from pytest_memreturn.testing import (
    AllocatorStatistics, ChildProcess, Holding, KindUsage, Outside, Script, Segment, Snapshot,
    SurvivorType, Survivors, play,
)

MIB = 1024 * 1024

def reading(heap, live, **more):
    outside = more.get("outside", Outside())
    return Snapshot(
        heap * MIB + outside.footprint_bytes,
        heap * MIB,
        kinds={"heap": KindUsage(heap * MIB, heap * MIB)},
        allocators=(
            AllocatorStatistics(
                "malloc", live * MIB, heap * MIB, live_by_kind={"heap": live * MIB}
            ),
            AllocatorStatistics("pool", 0, more.get("gpu", 0) * MIB, is_elsewhere=True),
        ),
        **more.get("fields", {}),
        outside=outside,
    )

OUTSIDE = Outside(
    children=(ChildProcess(7, "python3", "python3 -m worker", 9 * MIB),),
    segments=(Segment("shm", "psm_1", 5 * MIB, 4 * MIB, "app"),),
    shown={"device": 3},
)
SCRIPTS = {
    "test_everything": Script(
        reading(25, 24),
        reading(70, 40, outside=OUTSIDE, gpu=8),
        trim=reading(60, 40, outside=OUTSIDE, gpu=8),
        survivors=Survivors((SurvivorType("app.Row", 9, 9 * MIB, "app.ROWS"),), 9 * MIB),
        held_by_pytest=(Holding("log records", 3, 4),),
        unwritten_huge_page_bytes=5,
    ),
    "test_hidden": Script(reading(90, 30), reading(90, 80)),
    "test_hidden_and_less": Script(reading(90, 30), reading(70, 65)),
    "test_a_little_hidden": Script(reading(90, 89), reading(130, 130)),
}

def pytest_runtest_setup(item):
    play(item.config, [SCRIPTS[item.name]])
"""


def test_explained_report_is_valid(pytester: pytest.Pytester, run: Run) -> None:
    """With all that is found for memory that was retained; what is hidden is in no account."""
    pytester.makeconftest(_EXPLAINED)
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory
        def test_everything(): pass
        def test_hidden(): pass
        def test_hidden_and_less(): pass
        def test_a_little_hidden(): pass
        """
    )

    run()

    report = _check(pytester.path / "report.json")
    _check_sums(report)
    mib = 1024 * 1024
    assert {
        one["nodeid"].rpartition("::")[2]: (one["retained_bytes"] / mib, one["hidden_bytes"] / mib)
        for one in report["tests"]
    } == {
        "test_everything": (58, 0),
        "test_hidden": (50, 50),
        "test_hidden_and_less": (35, 35),
        # Less than what shows, and it decides nothing.
        "test_a_little_hidden": (40, 0),
    }
    everything = report["tests"][0]["explanation"]
    assert everything["released"] == {"malloc": 10 * mib}
    assert [one["pid"] for one in everything["children"]] == [7]
    assert [one["name"] for one in everything["segments"]] == ["psm_1"]
    assert everything["survivors"][0]["chain"] == "app.ROWS"
    assert everything["held_by_pytest"] == [{"what": "log records", "count": 3, "bytes": 4}]
    assert everything["unwritten_huge_page_bytes"] == 5
    assert [one["name"] for one in everything["allocators"]] == ["malloc", "pool"]
    shown = report["tests"][0]["shown"]
    assert (shown["pool"], shown["device"], shown["file"]) == (8 * mib, 3, None)


def test_real_report_is_valid(pytester: pytest.Pytester) -> None:
    """With real readings too; and what was retained is what the accounts say."""
    pytester.makepyfile(test_app=_REAL)

    result = pytester.runpytest_subprocess("--memreturn-report=report.json")

    result.assert_outcomes(passed=1, failed=1)
    report = _check(pytester.path / "report.json")
    kept = next(one for one in report["tests"] if one["nodeid"].endswith("test_keeps"))
    assert kept["cause"] == "live-python"
    assert kept["retained_bytes"] > 4 * 1024 * 1024
    _check_sums(report)
    assert kept["explanation"]["survivors"][0]["type"] == "list"


def test_report_is_one_line_per_value_and_complete(pytester: pytest.Pytester, run: Run) -> None:
    """The file ends with a line break, and nothing else of it is left in the folder."""
    pytester.makepyfile(test_app=_EVERYTHING)

    run()

    assert (pytester.path / "report.json").read_text(encoding="utf-8").endswith("}\n")
    assert [path.name for path in pytester.path.glob("*report*")] == ["report.json"]
    assert not list(pytester.path.glob(".report*"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise KeyboardInterrupt", pytest.ExitCode.INTERRUPTED),
        ("pytest.exit('enough')", pytest.ExitCode.INTERRUPTED),
        ("pytest.exit('enough', returncode=7)", 7),
    ],
)
def test_written_when_the_run_is_interrupted(
    pytester: pytest.Pytester,
    scripted: Path,
    verdicts: Verdicts,
    body: str,
    status: int,
) -> None:
    """What was judged before the interruption is in the report."""
    pytester.makepyfile(
        test_app=f"""
        import pytest
        pytestmark = pytest.mark.returns_memory
        def test_keeps_30(): pass
        def test_interrupts(): {body}
        def test_never(): pass
        """
    )

    result = pytester.runpytest_inprocess("--memreturn-report=report.json", no_reraise_ctrlc=True)

    assert result.ret == status
    assert verdicts() == {"test_keeps_30": "retained", "test_interrupts": "unjudged"}


def test_not_written_when_the_process_dies(pytester: pytest.Pytester, scripted: Path) -> None:
    """A run that is killed leaves no half report, and the last whole one as it was."""
    (pytester.path / "report.json").write_text("old", encoding="utf-8")
    pytester.makepyfile(
        test_app="""
        import os, pytest
        @pytest.mark.returns_memory
        def test_dies(): os._exit(9)
        """
    )

    result = pytester.runpytest_subprocess("--memreturn-report=report.json")

    assert result.ret == 9
    assert (pytester.path / "report.json").read_text(encoding="utf-8") == "old"


def test_written_when_nothing_was_collected(pytester: pytest.Pytester, run: Run) -> None:
    """An empty run leaves a valid, empty report."""
    result = run()

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert _check(pytester.path / "report.json")["tests"] == []


def test_written_when_the_instruments_fail(pytester: pytest.Pytester, run: Run) -> None:
    """A machine on which nothing can be read: tests pass unjudged, and the report says why."""
    pytester.makeconftest(
        """
        from pytest_memreturn._session import INSTRUMENTS
        def broken(): raise RuntimeError("no such meter")
        def pytest_configure(config): config.stash[INSTRUMENTS] = broken
        """
    )
    pytester.makepyfile(
        test_app="""
        import pytest
        @pytest.mark.returns_memory
        def test_it(): pass
        """
    )

    result = run()

    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    record = _check(pytester.path / "report.json")["tests"][0]
    assert (record["verdict"], record["reason"]) == ("unjudged", "RuntimeError: no such meter")
