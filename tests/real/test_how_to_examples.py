"""What the how-to pages show is run: each example ends as its page says."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "how_to"
PAGES = ROOT / "docs" / "how-to"


def _record() -> ModuleType:
    """The script beside the examples, which says what there is to run."""
    spec = importlib.util.spec_from_file_location("how_to_record", FOLDER / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


RECORD = _record()
EXAMPLES = {one.name: one for one in RECORD.EXAMPLES}
INCLUDED = re.compile(r"^```\{literalinclude\} (\S+)$", re.MULTILINE)


def _included() -> set[Path]:
    """Every file that a how-to page shows."""
    return {
        (page.parent / name).resolve()
        for page in PAGES.glob("*.md")
        for name in INCLUDED.findall(page.read_text(encoding="utf-8"))
    }


def _marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    """What needs libraries that are not in the group `test`, or a minute, has its own session."""
    example = EXAMPLES[name]
    return (pytest.mark.extended,) if example.needs or example.is_long else ()


@pytest.mark.parametrize("name", [pytest.param(one, marks=_marks(one)) for one in EXAMPLES])
def test_an_example_ends_as_its_page_says(name: str) -> None:
    """With the same exit status, and where it fails by this plugin, with the same cause."""
    example = EXAMPLES[name]
    missing = [one for one in example.needs if importlib.util.find_spec(one) is None]
    if missing:
        left_out = f"left out: not installed: {', '.join(missing)}"
        if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
            pytest.fail(left_out)
        pytest.skip(left_out)
    ended = RECORD.run(example)
    assert ended.returncode == example.status, ended.stdout + ended.stderr
    if example.shown is not None:
        recorded = (RECORD.OUTPUT / f"{name}.txt").read_text(encoding="utf-8")
        found = RECORD.said(example, ended.stdout)
        assert RECORD.CAUSE.findall(found) == RECORD.CAUSE.findall(recorded), ended.stdout


def test_every_output_that_was_written_is_shown_and_the_other_way_round() -> None:
    """No page has a figure that nobody can make anew, and none was made for nobody."""
    written = {path.resolve() for path in RECORD.OUTPUT.glob("*.txt")}
    shown = {one.name for one in RECORD.EXAMPLES if one.shown is not None}
    assert {path.stem for path in written} == shown
    included = {path for path in _included() if path.parent == RECORD.OUTPUT.resolve()}
    quoted = (RECORD.OUTPUT / f"{RECORD.QUOTED}.txt").resolve()
    assert included == written - {quoted}
    assert f"```text\n{quoted.read_text(encoding='utf-8')}```" in RECORD.README.read_text("utf-8")


def test_every_example_is_run_and_on_a_page() -> None:
    """No test lies beside them that nobody runs, and no page shows one that is not run."""
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("**/test_*.py")}
    run = {one.test.partition("::")[0] for one in RECORD.EXAMPLES}
    assert {one for one in files if one not in run and Path(one).parts[0] not in run} == set()
    included = {
        path.relative_to(FOLDER.resolve()).as_posix()
        for path in _included()
        if FOLDER.resolve() in path.parents
    }
    assert files <= included


def test_the_picture_in_the_readme_is_there_and_small() -> None:
    """A picture as a page can have it on a slow line, with words for who does not see it."""
    (alternative, path), *others = re.findall(
        r"!\[([^]]*)\]\(([^)]+)\)", RECORD.README.read_text(encoding="utf-8")
    )
    assert not others
    assert len(alternative) > 40
    assert 10_000 < (ROOT / path).stat().st_size < 150_000
