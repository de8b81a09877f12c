"""Put what runs print into the pages that show it: ``python -m docs.scripts.outputs [SCENE...]``.

A page has a place for each piece, between two comments:

    <!-- output: NAME -->
    <!-- end of output -->
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.scripts.scenes import SCENES, pages, play

_PLACE = re.compile(
    r"(?<=^<!-- output: )(?P<name>[\w-]+)(?P<begin> -->\n)"
    r"(?P<text>.*?)(?P<end>\n?<!-- end of output)",
    re.MULTILINE | re.DOTALL,
)


def places(page: Path) -> Iterator[tuple[str, str]]:
    """Each piece that a page shows: its name, and what stands there now."""
    for found in _PLACE.finditer(page.read_text(encoding="utf-8")):
        yield found["name"], found["text"].strip()


def put(page: Path, pieces: Mapping[str, str]) -> None:
    """Put pieces where the page has a place for them; every other place stays as it is."""

    def filled(found: re.Match[str]) -> str:
        if found["name"] not in pieces:
            return found[0]
        end = found["end"].lstrip("\n")
        return f"{found['name']}{found['begin']}\n{pieces[found['name']]}\n\n{end}"

    text = page.read_text(encoding="utf-8")
    page.write_text(_PLACE.sub(filled, text), encoding="utf-8")


def main(names: list[str]) -> None:
    """Play the scenes that are named, or all, and write what they print."""
    unknown = set(names) - {scene.__name__ for scene in SCENES}
    if unknown:
        sys.exit(f"no scene is called {', '.join(sorted(unknown))}")
    for scene in SCENES:
        if not names or scene.__name__ in names:
            pieces = play(scene)
            for page in pages():
                put(page, pieces)


if __name__ == "__main__":
    main(sys.argv[1:])
