"""Draw the rooms of the code, by what imports what: ``python -m docs.scripts.house``.

Writes the drawing beside the page about the architecture. The order of the rooms is that of the
table on the page, which a test holds against the code.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_memreturn"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
DRAWING = PAGE.with_suffix(".svg")

# Storeys, each by its first room: the rooms that follow in the table are in it, new ones as well.
STOREYS = {
    "_sizes": "Words and readings: plain data",
    "_accounts": "Accounts and verdict: pure",
    "_explanation": "What is reported: plain data",
    "probes": "The outside world",
    "_opening": "Measuring one window",
    "explain": "Explaining and reporting",
    "_measure": "Judging a block, examining a machine",
    "_marks": "pytest",
    "testing": "The edge",
}

# As wide as the text of a page beside both of its bars.
_WIDTH, _LANE, _MARGIN = 736, 14, 8
_CHIP_HEIGHT, _ROW, _LETTER, _HEADING, _GAP = 22, 28, 7.3, 24, 14

_STYLE = """
svg { color-scheme: light dark; --ink: #1c1e21; --ground: #fff; --storey: #eef1f4;
      --chip: #fff; --edge: #6b7280; --line: #1d5fa8; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6e6e6; --ground: #16181c; --storey: #22262c; --chip: #16181c;
        --edge: #8b929c; --line: #7db4f0; }
}
.ground { fill: var(--ground) } .storey { fill: var(--storey) }
.chip { fill: var(--chip); stroke: var(--edge) }
text { fill: var(--ink); font: 12px ui-monospace, monospace }
.name { font: 600 13px system-ui, sans-serif }
.line { fill: none; stroke: var(--line); stroke-width: 1.5 } .head { fill: var(--line) }
"""


@dataclass(frozen=True)
class Storey:
    """Rooms that do one kind of thing; names without a folder's slash."""

    name: str
    rooms: tuple[str, ...]


def rooms_in_order() -> list[str]:
    """The rooms from the ground up, as the page lists them."""
    return re.findall(r"^\| `(\w+)/?` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def storeys() -> list[Storey]:
    """Every room in its storey, in order."""
    found: list[tuple[str, list[str]]] = []
    for room in rooms_in_order():
        if room in STOREYS:
            found.append((STOREYS[room], []))
        found[-1][1].append(room)
    return [Storey(name, tuple(rooms)) for name, rooms in found]


def imports() -> Iterator[tuple[str, str]]:
    """Importing room and imported room, once for each import statement between two rooms."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            names = [node.module]
            if node.module == PACKAGE.name:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == PACKAGE.name and len(parts) > 1 and parts[1] != room:
                    yield room, parts[1]


def imports_between(all_storeys: list[Storey]) -> Counter[tuple[int, int]]:
    """How many imports lead from one storey to another, by their numbers from the top."""
    number = {room: index for index, one in enumerate(all_storeys) for room in one.rooms}
    found: Counter[tuple[int, int]] = Counter()
    for importing, imported in imports():
        # The front door is no room; it only names what is public.
        if importing in number and imported in number and number[importing] != number[imported]:
            found[number[importing], number[imported]] += 1
    return found


def in_words(all_storeys: list[Storey]) -> str:
    """What the drawing shows, for whoever cannot see it."""
    between = imports_between(all_storeys)
    sentences = []
    for index, one in enumerate(all_storeys):
        names = [f"“{all_storeys[to].name}”" for to in range(index) if between[index, to]]
        whom = ", ".join(names) if names else "no other storey"
        sentences.append(f"“{one.name}” ({', '.join(one.rooms)}) imports from {whom}.")
    return " ".join(sentences)


def _chips(rooms: tuple[str, ...], width: float) -> Iterator[tuple[str, float, int]]:
    """Each room with its place: from the left, and its row."""
    x, row = 0.0, 0
    for room in rooms:
        wide = _chip_width(room)
        if x and x + wide > width:
            x, row = 0.0, row + 1
        yield room, x, row
        x += wide + 6


def _chip_width(room: str) -> float:
    return round(len(_label(room)) * _LETTER + 12, 1)


def _label(room: str) -> str:
    return f"{room}/" if (PACKAGE / room).is_dir() else room


def drawing() -> str:
    """The whole as SVG: storeys from the ground down, a lane for the imports of each."""
    all_storeys = storeys()
    between = imports_between(all_storeys)
    right = _WIDTH - _MARGIN - _LANE * (len(all_storeys) + 1)
    shapes: list[str] = []
    middles: list[float] = []
    heights: list[float] = []
    y = float(_MARGIN)
    for one in all_storeys:
        chips = list(_chips(one.rooms, right - _MARGIN - 20))
        height = _HEADING + (chips[-1][2] + 1) * _ROW + 6
        shapes.append(
            f'<rect class="storey" x="{_MARGIN}" y="{y:g}" width="{right - _MARGIN}" '
            f'height="{height:g}" rx="6"/>'
            f'<text class="name" x="{_MARGIN + 10}" y="{y + 18:g}">{escape(one.name)}</text>'
        )
        for room, x, row in chips:
            left, top = _MARGIN + 10 + x, y + _HEADING + row * _ROW
            shapes.append(
                f'<rect class="chip" x="{left:g}" y="{top:g}" width="{_chip_width(room):g}" '
                f'height="{_CHIP_HEIGHT}" rx="4"/>'
                f'<text x="{left + 6:g}" y="{top + 15:g}">{escape(_label(room))}</text>'
            )
        middles.append(y + height / 2)
        heights.append(height)
        y += height + _GAP
    shapes.extend(_lanes(between, middles, heights, right))
    words = escape(in_words(all_storeys))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:g}" '
        f'width="{_WIDTH}" height="{y:g}" role="img" aria-labelledby="what words">\n'
        f'<title id="what">The rooms of the code, and which way imports point</title>\n'
        f'<desc id="words">{words}</desc>\n<style>{_STYLE}</style>\n'
        f'<rect class="ground" width="{_WIDTH}" height="{y:g}" rx="8"/>\n'
        + "\n".join(shapes)
        + "\n</svg>\n"
    )


def _lanes(
    between: Counter[tuple[int, int]], middles: list[float], heights: list[float], right: float
) -> Iterator[str]:
    """From each storey a line that leads up, with an arrow into each storey it imports from."""
    for importing in range(1, len(middles)):
        targets = [to for to in range(importing) if between[importing, to]]
        if not targets:
            continue
        x = right + _LANE * (importing + 0.5)
        # Each lane has its own height in a storey, so that no two arrows lie on each other.
        shift = (importing / len(middles) - 0.5) * 0.8
        start = middles[importing] + shift * heights[importing]
        ends = {to: middles[to] + shift * heights[to] for to in targets}
        path = f"M{right} {start:.1f}H{x:g}V{min(ends.values()):.1f}"
        path += "".join(f"M{x:g} {end:.1f}H{right + 7:g}" for end in ends.values())
        heads = "".join(f"M{right} {end:.1f}l8 -3.5v7z" for end in ends.values())
        names = ", ".join(str(between[importing, to]) for to in targets)
        yield (
            f'<g><title>{names} imports</title><path class="line" d="{path}"/>'
            f'<path class="head" d="{heads}"/></g>'
        )


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")
