"""The benchmarks still run, and say what they are asked to say."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie beside the package, and are in no wheel."""
    monkeypatch.syspath_prepend(ROOT)


# What valgrind does takes it a minute for twenty tests.
SOON_COUNTED = """\
#!/bin/sh
shift 2
"$@" && echo "==1==   guest instrs:  1,234,567,890"
"""


def test_a_quick_run_measures_every_kind_of_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends well, with its tables where they were asked for, and the results stay as they are."""
    valgrind = tmp_path / "bin" / "valgrind"
    valgrind.parent.mkdir()
    valgrind.write_text(SOON_COUNTED, encoding="utf-8")
    valgrind.chmod(0o755)
    monkeypatch.setenv("PATH", f"{valgrind.parent}{os.pathsep}{os.environ['PATH']}")
    results = ROOT / "benchmarks" / "RESULTS.md"
    before = results.read_bytes() if results.exists() else None
    output = tmp_path / "out.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--alone", "--output", str(output)]
    command += ["--only", "unmarked,marked,scale,explaining,own-weight,suites,costs"]
    command += ["--sdists", str(tmp_path), "--against", str(ROOT)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    text = output.read_text("utf-8")
    for heading in (
        "## Unmarked tests",
        "## Marked passing tests, nothing else imported",
        "## Where the time of such a test goes, nothing else imported",
        "## Scale: a marked test that passes",
        "## Scale: a full snapshot",
        "## Explaining: a block that kept 40 MiB",
        "## Explaining: the walk through a heap",
        "## Own weight",
        "## Suites of real projects under `--memreturn`",
        "## Single readings",
    ):
        assert heading in text
    for row in (
        "| 20 unmarked trivial tests | ",
        "| 20 unmarked trivial tests, instructions | 1,235 million | 1,235 million | 1.0000 | ",
        "| 20 tests, pytest-memreturn, marked | ",
        "| opening the window | ",
        "| 20 tests, the same, other checkout | ",
        "| per 10,000 tests, from the 10th on | ",
        "| 2,000 blocks | ",
        "| counters | ",
    ):
        assert row in text
    # There is nothing to run here.
    assert re.search(r"^\| attrs \| left out: .* \| \*\*not measured\*\* \|$", text, re.MULTILINE)
    assert (results.read_bytes() if results.exists() else None) == before


def test_an_unknown_group_is_a_usage_error() -> None:
    """And nothing is measured."""
    command = [sys.executable, "-m", "benchmarks", "--only", "unmarked,speed"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no group is called speed" in ended.stderr
    assert not ended.stdout


def test_subjects_take_turns() -> None:
    """Every other round runs backwards."""
    from benchmarks.pairs import in_turn

    called: list[str] = []

    def subject(name: str) -> int:
        called.append(name)
        return len(called)

    found = in_turn([lambda: subject("a"), lambda: subject("b")], 3)
    assert called == ["a", "b", "b", "a", "a", "b"]
    assert found == [[1, 4, 5], [2, 3, 6]]


def test_spreads() -> None:
    """A median between its quartiles; a single figure is all of them."""
    from benchmarks.pairs import percentile, spread

    assert spread([1, 2, 3, 4, 5]).text(1) == "3.0 (2.0–4.0)"
    assert spread([7.0]).text(0) == "7 (7–7)"
    assert percentile(range(101), 95) == 95
    assert percentile([3.0], 95) == 3.0


def test_a_table_says_what_misses_its_target() -> None:
    """What could not be measured is missed, too."""
    from benchmarks.tables import Table, Target

    table = Table("Cost", ("case", "ms"), "A note.")
    table.judge("fine", "0.5", value=0.5, target=Target(0.5, "ms"))
    table.judge("dear", "0.6", value=0.6, target=Target(0.5, "ms"))
    table.leave_out("absent", "not | here")
    table.add("shown", "1")
    assert table.missed == ["Cost, dear", "Cost, absent"]
    assert list(table.lines()) == [
        "## Cost",
        "",
        "A note.",
        "",
        "| case | ms | target | met |",
        "| --- | --- | --- | --- |",
        "| fine | 0.5 | ≤ 0.5 ms | met |",
        "| dear | 0.6 | ≤ 0.5 ms | **not met** |",
        "| absent | left out: not \\| here |  | **not measured** |",
        "| shown | 1 |  |  |",
        "",
    ]
    with pytest.raises(ValueError, match="does not fit"):
        table.add("too", "many", "cells")


def test_a_changed_outcome_is_one_that_no_verdict_explains() -> None:
    """Nor any run without the plugin: a test that fails now and then is not ours."""
    from benchmarks.runs import Run
    from benchmarks.suites import Judged, changed_outcomes

    usual = Run(1, 1, 1, outcomes={"fine": "passed", "flaky": "passed", "kept": "passed"})
    flaked = dataclasses.replace(usual, outcomes={**usual.outcomes, "flaky": "failed"})
    records = (
        {"nodeid": "kept", "verdict": "retained", "own_outcome": None},
        {"nodeid": "fine", "verdict": "unjudged", "own_outcome": "failed"},
    )
    same = dataclasses.replace(flaked, outcomes={**flaked.outcomes, "kept": "failed"})
    assert changed_outcomes([usual, flaked], [Judged(same, records)]) == []
    other = dataclasses.replace(usual, outcomes={"fine": "failed", "flaky": "error", "new": "xok"})
    assert changed_outcomes([usual, flaked], [Judged(other, records)]) == [
        "fine (failed)",
        "flaky (error)",
        "kept (did not run)",
        "new (xok)",
    ]


def test_alarms_of_peers_are_said() -> None:
    """A check that fails what keeps nothing was measured all the same; one that skips was not."""
    from benchmarks.runs import Run, alarms, assert_passed

    good = Run(1, 1, 1, outcomes={"a": "passed", "b": "passed"})
    bad = dataclasses.replace(good, outcomes={"a": "error", "b": "passed"})
    assert alarms([good]) == ""
    assert alarms([good, bad]) == " (fails 1 of 4)"
    with pytest.raises(AssertionError, match="nothing was measured"):
        alarms([dataclasses.replace(good, outcomes={"a": "skipped"})])
    assert_passed([good])
    with pytest.raises(AssertionError, match="a ended otherwise: error"):
        assert_passed([bad])


def test_a_run_that_breaks_off_is_no_measurement(tmp_path: Path) -> None:
    """What pytest said is in the error."""
    from benchmarks.runs import RunFailedError, place

    with pytest.raises(RunFailedError, match=r"(?s)ended with 4:.*no-such-file"):
        place(tmp_path).pytest(["no-such-file.py"], tmp_path)
    with pytest.raises(RunFailedError, match="is no checkout"):
        place(tmp_path, tmp_path)


def test_a_missing_sdist_names_the_step_that_downloads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that step fails, what pip said is passed on."""
    from benchmarks.sdists import Project, SdistMissingError

    project = Project("pluggy", "", "testing")
    with pytest.raises(SdistMissingError, match=r"python -m benchmarks\.sdists"):
        project.unpacked(tmp_path)
    monkeypatch.setattr(
        "benchmarks.sdists.subprocess.run",
        lambda *_args, **_keywords: SimpleNamespace(returncode=1, stderr="no route to host"),
    )
    with pytest.raises(SdistMissingError, match=r"(?s)is there a network\?.*no route to host"):
        project.download(tmp_path)
    with pytest.raises(SdistMissingError, match="is not installed"):
        Project("no-such-project", "", "tests").unpacked(tmp_path)
