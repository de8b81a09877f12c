"""What pages show of a terminal is what a terminal shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).parents[2]
# The scripts lie beside the pages, and are in no wheel.
sys.path.insert(0, str(ROOT))
from docs.scripts import how_tos, outputs, scenes  # noqa: E402 - after the path
from docs.scripts.shapes import shape  # noqa: E402

sys.path.remove(str(ROOT))

if TYPE_CHECKING:
    from docs.scripts.scenes import Scene

pytestmark = pytest.mark.extended

NEEDED = {one.name: one.needs for one in how_tos.EXAMPLES}


def shown() -> Iterator[tuple[str, str]]:
    """Each piece on any page."""
    for page in scenes.pages():
        yield from outputs.places(page)


@pytest.mark.parametrize("scene", scenes.SCENES, ids=lambda one: one.__name__)
def test_pages_show_what_is_printed(scene: Scene, needs: Callable[..., None]) -> None:
    """Word for word; figures and drawings are those of the machine that wrote them.

    Where it fails, `python -m docs.scripts.outputs` writes them anew.
    """
    needs(*NEEDED.get(scene.__name__, ()))
    on_pages = dict(shown())
    for name, text in scenes.play(scene).items():
        assert shape(on_pages[name]) == shape(text), name


def test_every_place_on_a_page_is_filled_by_a_scene() -> None:
    """One whose scene is gone would stay as it is for ever."""
    source = (ROOT / "docs" / "scripts" / "scenes.py").read_text(encoding="utf-8")
    names = [name for name, _ in shown()]
    assert len(names) == len(set(names))
    by_name = {scene.__name__ for scene in (*scenes.EXPERIMENTS, *scenes.HOW_TOS)}
    assert [one for one in names if one not in by_name and f'"{one}":' not in source] == []


def test_every_experiment_is_on_a_page() -> None:
    """What nobody reads need not be run."""
    scripts = {one.stem for one in (ROOT / "docs" / "experiments").glob("*.py")} - {"experiment"}
    played = {scene.__name__ for scene in scenes.EXPERIMENTS}
    assert played | {"strategies"} == scripts
    assert scripts <= {name for name, _ in shown()}
