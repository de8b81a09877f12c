"""The built documentation, as somebody reads it: on a phone and a desk, in light and in dark."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOCS = Path(__file__).parents[2] / "docs"
# Beside the sources: what Sphinx makes by itself.
PAGES = [
    *sorted(
        one.relative_to(DOCS).with_suffix(".html").as_posix()
        for one in DOCS.rglob("*.md")
        if not any(part.startswith("_") for part in one.relative_to(DOCS).parts)
    ),
    *("genindex.html", "search.html"),
]
PHONE, DESK = 360, 1280
# All rules in each scheme and at each width once; in the other two views those whose answer
# depends on both, since there colours and texts are those that have been looked at.
VIEWS = (
    ("light", DESK, True),
    ("dark", PHONE, True),
    ("light", PHONE, False),
    ("dark", DESK, False),
)

_AXE = """
async everything => {
    // The style sheets are files: axe cannot load them a second time, and need not.
    const options = {preload: false};
    if (!everything) options.runOnly = [
        "aria-hidden-focus", "button-name", "landmark-unique", "link-name", "page-has-heading-one",
        "region", "scrollable-region-focusable", "target-size",
    ];
    const found = await axe.run(document, options);
    return {
        violations: found.violations.map(one => [one.id, one.nodes[0].html.slice(0, 200)]),
        passes: found.passes.length,
    };
}
"""


# Of thousands of words of one colour, one tells as much as all: the others lose theirs.
_ONE_OF_EACH_COLOUR = """
() => {
    const seen = new Set();
    for (const one of document.querySelectorAll(".highlight pre span[class]")) {
        if (seen.has(one.className)) one.replaceWith(...one.childNodes);
        seen.add(one.className);
    }
    for (const one of document.querySelectorAll(".highlight pre")) one.normalize();
}
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `nox -s docs` builds it."""
    missing = [
        name for name in ("sphinx", "furo", "myst_parser") if not importlib.util.find_spec(name)
    ]
    if missing:
        left_out = f"left out: {', '.join(missing)} not installed"
        if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
            pytest.fail(left_out)
        pytest.skip(left_out)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "-d", str(folder / "doctrees")]
    ended = subprocess.run(
        [*command, str(DOCS), str(folder / "html")], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One tab for all pages: they are looked at, and none is changed."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    yield page
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_a_barrier(site: Path, tab: Page, name: str) -> None:
    """None that axe-core knows, in either scheme, on a phone and on a desk; nor an error.

    Nothing is wider than the screen but what scrolls by itself.
    """
    complaints: list[str] = []
    tab.on("pageerror", lambda one: complaints.append(str(one)))
    tab.goto((site / name).as_uri())
    tab.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    tab.evaluate(_ONE_OF_EACH_COLOUR)
    for scheme, width, everything in VIEWS:
        tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        tab.set_viewport_size({"width": width, "height": 900})
        # Two frames: the first may still show how it was.
        tab.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        found = tab.evaluate(_AXE, everything)
        assert found["violations"] == [], (scheme, width)
        assert found["passes"] > (15 if everything else 3)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, (scheme, width)
    assert complaints == []


def test_every_page_of_the_site_is_looked_at(site: Path) -> None:
    """A page that is new comes into the list by itself."""
    built = {one.relative_to(site).as_posix() for one in site.rglob("*.html")}
    assert built == set(PAGES)


def test_a_table_that_is_too_wide_can_be_scrolled_by_keyboard(site: Path, tab: Page) -> None:
    """It takes the focus where it is wider than the page, and only there."""
    tab.goto((site / "reference" / "accounts-and-causes.html").as_uri())
    table = tab.locator(".table-wrapper").first
    for width, stops in ((PHONE, "0"), (1920, None)):
        tab.set_viewport_size({"width": width, "height": 900})
        tab.wait_for_timeout(100)
        assert table.get_attribute("tabindex") == stops


def test_the_scheme_is_the_readers(site: Path, tab: Page) -> None:
    """Dark is dark: the page behind the text is another one."""
    tab.goto((site / "index.html").as_uri())
    grounds = []
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2
