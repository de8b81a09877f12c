"""Links between pages lead somewhere; those to the world are looked at by ``nox -s linkcheck``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "tests/**/*.md", "benchmarks/*.md")
    for page in ROOT.glob(pattern)
    if "_build" not in page.parts
)
# What only Sphinx makes of a line: a target by name above a heading, or in a sentence.
_TARGET = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)


def tokens(text: str) -> Iterator[Token]:
    """Everything in a page, from the outside in."""
    for token in MarkdownIt().enable("table").parse(text):
        yield token
        yield from token.children or ()


def anchors(page: Path) -> set[str]:
    """What a link can lead to in a page: headings, as GitHub and MyST name them, and targets."""
    text = page.read_text(encoding="utf-8")
    found = set(_TARGET.findall(text))
    is_heading = False
    for token in tokens(text):
        if token.type == "heading_open":
            is_heading = True
        elif is_heading and token.type == "inline":
            is_heading = False
            words = "".join(one.content for one in token.children or ())
            found.add(re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-"))
    return found


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for token in tokens(text):
        address = str(token.attrs.get("href" if token.type == "link_open" else "src", ""))
        if not address or re.match(r"[a-z]+:", address):
            continue
        path, _, anchor = address.partition("#")
        target = (page.parent / path).resolve() if path else page
        exists = target.exists() and target.is_relative_to(ROOT)
        if not exists or (anchor and anchor not in anchors(target)):
            found.append(address)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    """Neither the file nor the heading that it leads to is missing."""
    assert broken(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("address", ["docs/gone.md", "docs/index.md#gone", "#gone", "../README.md"])
def test_a_dead_link_would_be_seen(address: str) -> None:
    """A file, a heading in it, one in the page itself; and what lies outside the repository."""
    assert broken(ROOT / "README.md", f"see [there]({address})") == [address]


def test_what_leads_from_the_first_page_leads_everywhere() -> None:
    """No page of the site is an orphan: each is in a table of contents."""
    listed = {ROOT / "docs" / "index.md"}
    for page in (ROOT / "docs").rglob("*.md"):
        for block in re.findall(
            r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            names = [line for line in block.split() if not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    pages = {one for one in PAGES if ROOT / "docs" in one.parents}
    assert listed == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_two_targets_have_one_name(page: Path) -> None:
    """Of two, a link would lead to the first."""
    found = _TARGET.findall(page.read_text(encoding="utf-8"))
    assert len(found) == len(set(found))
