"""The drawing on the page about the architecture shows the code as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    import pytest

SVG = "{http://www.w3.org/2000/svg}"


def test_the_drawing_is_current() -> None:
    """Where a room or an import has come or gone since, `python -m docs.scripts.house` draws it."""
    from docs.scripts import house

    assert house.DRAWING.read_text(encoding="utf-8") == house.drawing()


def test_every_room_is_in_the_drawing_once() -> None:
    """As the table has them, and nothing is wider than the drawing."""
    from docs.scripts import house

    tree = ET.fromstring(house.drawing())  # noqa: S314 - just drawn
    names = [
        (one.text or "").removesuffix("/")
        for one in tree.iter(f"{SVG}text")
        if one.get("class") != "name"
    ]
    assert names == house.rooms_in_order()
    width = float(tree.get("viewBox", "").split()[2])
    for one in tree.iter(f"{SVG}rect"):
        assert float(one.get("x", 0)) + float(one.get("width", 0)) <= width


def test_no_import_leads_down() -> None:
    """Between storeys imports point one way, too; and none stands by itself."""
    from docs.scripts import house

    between = house.imports_between(house.storeys())
    assert [one for one in between if one[1] > one[0]] == []
    assert {importing for importing, _ in between} == set(range(1, len(house.STOREYS)))


def test_the_drawing_has_words_for_who_cannot_see_it() -> None:
    """Each storey with its rooms, and what it imports from."""
    from docs.scripts import house

    tree = ET.fromstring(house.drawing())  # noqa: S314 - just drawn
    words = tree.findtext(f"{SVG}desc") or ""
    assert tree.get("role") == "img"
    assert [one for one in house.rooms_in_order() if not re.search(rf"\b{one}\b", words)] == []


def test_a_new_room_would_be_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with the file is one that can fail."""
    from docs.scripts import house

    page = tmp_path / "page.md"
    text = house.PAGE.read_text(encoding="utf-8").replace(
        "| `_sizes` |", "| `_sizes` |\n| `_new` |"
    )
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr(house, "PAGE", page)
    assert house.DRAWING.read_text(encoding="utf-8") != house.drawing()
