"""What the how-to pages say of tests without showing their output, such as that they pass."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "how_to"
# The scripts lie beside the pages, and are in no wheel.
sys.path.insert(0, str(ROOT))
from docs.scripts import how_tos  # noqa: E402 - after the path

sys.path.remove(str(ROOT))

INCLUDED = re.compile(r"^```\{literalinclude\} (\S+)$", re.MULTILINE)
# Those that a page shows are played with everything else that pages show.
UNSHOWN = [one for one in how_tos.EXAMPLES if one.shown is None]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.extended] if one.needs else [])
        for one in UNSHOWN
    ],
)
def test_an_example_ends_as_its_page_says(
    example: how_tos.Example, needs: Callable[..., None]
) -> None:
    """With the exit status that it is said to have."""
    needs(*example.needs)
    how_tos.run(example)


def test_every_example_is_run_and_on_a_page() -> None:
    """No test lies beside them that nobody runs, and no page shows one that is not run."""
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("**/test_*.py")}
    run = {one.test.partition("::")[0] for one in how_tos.EXAMPLES}
    assert {one for one in files if one not in run and Path(one).parts[0] not in run} == set()
    pages = sorted((ROOT / "docs" / "how-to").glob("*.md"))
    included = {
        (page.parent / name).resolve()
        for page in pages
        for name in INCLUDED.findall(page.read_text("utf-8"))
    }
    assert {(FOLDER / one).resolve() for one in files} <= included
