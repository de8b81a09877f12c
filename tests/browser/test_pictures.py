"""Pictures of reports on pages can be taken anew."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]


def size(picture: Path) -> tuple[int, int]:
    """Width and height, as the header of a PNG file has them."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return int(width), int(height)


def test_the_picture_of_a_report_is_what_the_script_takes(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size; what is in it are the figures of a machine."""
    monkeypatch.syspath_prepend(ROOT)
    from docs.scripts import pictures

    taken = tmp_path / "new.png"
    pictures.take(taken, browser)
    assert size(taken) == size(pictures.PICTURE) == (pictures.WIDTH, pictures.HEIGHT)
