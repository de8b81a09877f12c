"""``python -m pytest_memreturn merge``: shards into one."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import jsonschema
import pytest

from pytest_memreturn.__main__ import main

Run: TypeAlias = Callable[..., pytest.RunResult]
SCHEMA = json.loads(
    resources.files("pytest_memreturn.report").joinpath("schema-1.json").read_text("utf-8")
)


@pytest.fixture
def shards(
    pytester: pytest.Pytester, scripted: Path, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """The reports of four shards of a suite, and of the whole of it in ``whole.json``."""
    for number in range(4):
        pytester.makepyfile(
            **{
                f"test_{number}": f"""
                import pytest
                pytestmark = pytest.mark.returns_memory
                def test_z_returns(): pass
                def test_keeps_{number}0(): pass
                def test_unreadable(): pass
                """
            }
        )
        pytester.runpytest_inprocess(f"test_{number}.py", f"--memreturn-report=shard{number}.json")
    pytester.runpytest_inprocess("--memreturn-report=whole.json")
    capsys.readouterr()
    return [f"shard{number}.json" for number in range(4)]


def test_shards_are_as_the_whole(shards: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever order they are given; nothing else is said."""
    assert main(["merge", *shards, "-o", "merged.json"]) == 0
    assert main(["merge", "whole.json", "--output", "sorted.json"]) == 0
    assert main(["merge", *reversed(shards)]) == 0
    merged = Path("merged.json").read_text("utf-8")
    assert capsys.readouterr() == (merged, "")
    assert merged == Path("sorted.json").read_text("utf-8")
    found, whole = json.loads(merged), json.loads(Path("whole.json").read_text("utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert found["summary"] == whole["summary"]
    assert found["tests"] == sorted(whole["tests"], key=lambda one: one["nodeid"])


def test_the_same_test_twice(shards: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Refused with status 1, and no file is written; unless it is said which to take."""
    both = [shards[1], "whole.json", "-o", "merged.json"]
    assert main(["merge", *both]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(
        "not merged:\n3 tests are in more than one report (--duplicates says which to take):\n"
        "  test_1.py::test_z_returns: shard1.json, whole.json\n"
    )
    assert not Path("merged.json").exists()
    assert main(["merge", *both, "--duplicates", "worst"]) == 0
    assert len(json.loads(Path("merged.json").read_text("utf-8"))["tests"]) == 12


def test_other_environments(shards: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Refused with their differences, which are named as well where they are allowed."""
    path = Path(shards[0])
    report = json.loads(path.read_text("utf-8"))
    report["environment"]["variables"] = {"MALLOC_ARENA_MAX": "1\x1b[2J"}
    path.write_text(json.dumps(report), encoding="utf-8")
    line = r"  variable MALLOC_ARENA_MAX: 1\x1b[2J in shard0.json, not set in shard1.json"
    assert main(["merge", *shards[:2]]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == line
    assert main(["merge", *shards[:2], "--allow-different-environments", "-o", "m.json"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "merged from environments that differ:",
        line,
    ]
    found = json.loads(Path("m.json").read_text("utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert [one["variables"] for one in found["environment"]["others"]] == [{}]


def test_a_partial_shard(shards: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The whole is partial, and the shard is named."""
    path = Path(shards[3])
    report = json.loads(path.read_text("utf-8"))
    report["partial"] = {"reason": "the run was interrupted", "running": ["test_3.py::test_x"]}
    path.write_text(json.dumps(report), encoding="utf-8")
    assert main(["merge", *shards, "-o", "merged.json"]) == 0
    assert capsys.readouterr().err == "partial: shard3.json: the run was interrupted\n"
    assert json.loads(Path("merged.json").read_text("utf-8"))["partial"] == report["partial"]


def test_standard_input_once(capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be read again."""
    assert main(["merge", "-", "-"]) == 2
    assert capsys.readouterr().err.endswith("merge: standard input can be read only once\n")


def test_a_file_that_stays_whole(shards: list[str]) -> None:
    """The merged report may take the place of one that it is made of."""
    assert main(["merge", *shards, "-o", shards[0]]) == 0
    assert len(json.loads(Path(shards[0]).read_text("utf-8"))["tests"]) == 12
