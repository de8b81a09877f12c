"""The HTML report, as somebody sees and uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Literal, TypeAlias

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn.report.html_report import html_report
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Open: TypeAlias = "Callable[..., Page]"
Scheme: TypeAlias = Literal["light", "dark"]

LARGE, SMALL, OPEN, CLEAN, ZIP, UNREAD = range(6)


def shown(page: Page) -> list[str]:
    """The names of the tests that are in sight, from above to below."""
    return page.locator("#tests tbody:visible .name").all_inner_texts()


def name_of(page: Page, name: str) -> Locator:
    """The button that bears a test's name."""
    return page.locator(".name", has_text=name).first


def heading(page: Page, words: str) -> Locator:
    """The button that heads a column."""
    return page.locator("thead button", has_text=re.compile(f"^{words}$"))


def orders(page: Page) -> list[str | None]:
    """How each column says it is sorted."""
    headings = page.locator("#tests > thead th")
    return [one.get_attribute("aria-sort") for one in headings.all()]


def test_the_text_filter_finds_names_and_causes(open_page: Open, records: list[Record]) -> None:
    """All of the words that are typed, in any case and order; it says how many there are."""
    page = open_page(records)
    everything = shown(page)
    assert len(everything) == 6
    assert page.locator("#shown").inner_text() == "6 of 6 shown"

    page.get_by_label("Name or cause").fill("OPEN db")
    assert shown(page) == ["tests/test_db.py::test_open"]
    assert page.locator("#shown").inner_text() == "1 of 6 shown"

    page.get_by_label("Name or cause").fill("held-by-malloc")
    assert shown(page) == [records[LARGE].nodeid, records[SMALL].nodeid]

    page.get_by_label("Name or cause").fill("no such test")
    assert shown(page) == []
    assert page.get_by_text("No test matches.").is_visible()

    page.get_by_label("Name or cause").fill("")
    assert shown(page) == everything
    assert not page.get_by_text("No test matches.").is_visible()


@pytest.mark.parametrize(
    ("verdict", "count"), [("retained", 3), ("returned", 2), ("unjudged", 1), ("all", 6)]
)
def test_the_verdict_filter(
    open_page: Open, records: list[Record], verdict: str, count: int
) -> None:
    """One verdict, or all; together with the text filter both must hold."""
    page = open_page(records)
    page.get_by_label(verdict, exact=True).check()
    assert len(shown(page)) == count
    page.get_by_label("Name or cause").fill("zip")
    assert len(shown(page)) == (verdict in {"returned", "all"})


def test_every_column_sorts_both_ways(open_page: Open, records: list[Record]) -> None:
    """Sizes begin with the largest, words with A; what was not judged stays last among sizes."""
    page = open_page(records)
    by_size = [records[one].nodeid for one in (LARGE, OPEN, SMALL, CLEAN, ZIP, UNREAD)]
    assert shown(page) == by_size
    assert orders(page) == ["descending", None, None, None, None]

    heading(page, "retained").click()
    assert shown(page) == [*reversed(by_size[:-1]), by_size[-1]]
    assert orders(page) == ["ascending", None, None, None, None]

    heading(page, "peak").click()
    assert orders(page) == [None, "descending", None, None, None]
    assert shown(page)[0] == records[LARGE].nodeid

    heading(page, "test").click()
    assert shown(page) == sorted(by_size)
    heading(page, "test").click()
    assert shown(page) == sorted(by_size, reverse=True)
    assert orders(page) == [None, None, None, None, "descending"]

    heading(page, "cause or verdict").click()
    assert orders(page) == [None, None, None, "ascending", None]
    causes = page.locator("#tests .why").all_inner_texts()
    assert [one.split()[-1] for one in causes] == [
        *("held-by-malloc", "held-by-malloc", "live-native", "returned", "returned", "unjudged")
    ]


def test_details_stay_with_their_test(open_page: Open, records: list[Record]) -> None:
    """What is opened opens below its row, moves with it, goes with it, and closes again."""
    page = open_page(records)
    button = name_of(page, "test_open")
    details = page.locator(".details", has_text="live-native")
    assert not details.is_visible()

    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    assert details.is_visible()
    assert page.locator(".details:visible").count() == 1

    heading(page, "test").click()
    assert details.is_visible()
    below, above = details.bounding_box(), button.bounding_box()
    assert below is not None
    assert above is not None
    assert 0 < below["y"] - above["y"] < 100

    page.get_by_label("returned", exact=True).check()
    assert not details.is_visible()
    page.get_by_label("all", exact=True).check()
    button.click()
    assert button.get_attribute("aria-expanded") == "false"
    assert not details.is_visible()


def test_a_test_that_returned_opens_to_one_line(open_page: Open, records: list[Record]) -> None:
    """Its footprint, and where what was allowed came from."""
    page = open_page(records)
    name_of(page, "test_app.py::test_clean").click()
    line = " ".join(page.locator(".open > .more").inner_text().split())
    assert "50.0 → peak 90.0 → end 50.0 MiB, judged after gc; allowed by default." in line


def test_everything_works_by_keyboard(open_page: Open, records: list[Record]) -> None:
    """Tab reaches each control in the order of the page, and what has the focus shows it."""
    page = open_page(records)
    reached = []
    for _ in range(13):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                    const one = document.activeElement;
                    const marked = one.type === "radio" ? one.nextElementSibling : one;
                    const style = getComputedStyle(marked);
                    return [one.value || one.id || one.textContent,
                            style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
                }"""
            )
        )
    names = [records[one].nodeid for one in (LARGE, OPEN, SMALL, CLEAN, ZIP, UNREAD)]
    headings = ["retained", "peak", "allowed", "cause or verdict", "test"]
    assert [name for name, _ in reached] == ["all", "filter", *headings, *names]
    assert all(visible for _, visible in reached)

    heading(page, "test").focus()
    page.keyboard.press("Enter")
    assert orders(page)[4] == "ascending"
    name_of(page, "test_large").focus()
    page.keyboard.press("Space")
    assert page.locator(".details:visible").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.locator(".details details[open]").count() == 1
    page.locator("input[value=all]").focus()
    page.keyboard.press("ArrowRight")
    assert len(shown(page)) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_is_wider_than_the_screen(
    open_page: Open, records: list[Record], width: int, scheme: Scheme
) -> None:
    """On a phone and on a large screen: nobody scrolls sideways, with everything opened."""
    page = open_page(
        records, width=width, scheme=scheme, partial=Partial("interrupted", ("x" * 300,))
    )
    for button in page.locator(".name, .details summary").all():
        button.click()
    assert page.locator("details[open]").count() > 3
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate(
        """width => Array.from(document.querySelectorAll("main *"))
            .filter((one) => one.getClientRects().length
                && one.getBoundingClientRect().right > width + 1)
            .map((one) => one.outerHTML.slice(0, 80))""",
        width,
    )
    assert beyond == []


def luminance(colour: str) -> float:
    """How bright a colour is, as WCAG 2 defines it."""
    found = re.match(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert found is not None, colour
    parts = [int(one) / 255 for one in found.groups()]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(open_page: Open, records: list[Record], scheme: Scheme) -> None:
    """The page is as bright as was asked for; text and drawings stand out from it in both."""
    page = open_page(records, scheme=scheme)
    name_of(page, "test_large").click()

    def colour(selector: str, what: str) -> str:
        found = page.locator(selector).first.evaluate(f"one => getComputedStyle(one).{what}")
        return str(found)

    background = colour("body", "backgroundColor")
    panel = colour(".details", "backgroundColor")
    assert (luminance(background) > 0.5) == (scheme == "light")
    for selector in ("body", "h1", ".result .retained", "caption", "thead button"):
        assert contrast(colour(selector, "color"), background) >= 4.5, selector
    for selector in (".headline", ".causes code", ".key", ".under td", ".tag.good", "summary"):
        assert contrast(colour(selector, "color"), panel) >= 4.5, selector
    # Shapes need less: 3 to 1, but for what was there before, which nobody is asked to see.
    for selector in (".bar-kept", ".f-python-live", ".f-malloc-live", ".h-live", "pattern .ink"):
        assert contrast(colour(selector, "fill"), panel) >= 3, selector


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_axe_finds_no_barrier(
    open_page: Open, records: list[Record], width: int, scheme: Scheme
) -> None:
    """The rules of axe-core for WCAG 2.2 and good practice, with a test of each kind opened."""
    page = open_page(records, width=width, scheme=scheme, partial=Partial("interrupted", ("a",)))
    for name in ("test_large", "test_app.py::test_clean", "test_unread"):
        name_of(page, name).click()
    page.evaluate(
        resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    )
    found = page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_rows_are_a_table_for_who_cannot_see_it(open_page: Open, records: list[Record]) -> None:
    """Rows, cells and headings are told as such, though they are not laid out as a table."""
    for width in (360, 1600):
        page = open_page(records, width=width)
        told = page.locator("#tests").aria_snapshot()
        assert '- columnheader "retained"' in told
        assert re.search(r"- row .*test_large", told)
        assert re.search(r'- cell "(retained )?90\.0"', told)


def test_drawings_are_drawn(open_page: Open, records: list[Record]) -> None:
    """Each kind has its shapes, with a size, and a title where the pointer rests."""
    page = open_page(records)
    name_of(page, "test_large").click()
    for drawing, title in (
        (".fall rect", None),
        (".stack rect", "malloc-free +87.0 MiB"),
        (".heap rect", "1.0 MiB live, from main heap + 0 B on"),
        (".arenas rect + rect", "arena 1: 1.0 MiB live"),
        (".curve polyline", None),
    ):
        found = page.locator(f".details:visible {drawing}").first
        box = found.bounding_box()
        assert box is not None
        assert box["width"] > 1
        assert box["height"] > 1
        if title is not None:
            assert found.locator("title").text_content() == title


def test_a_negative_account_lies_left_of_nothing(open_page: Open, records: list[Record]) -> None:
    """In the bar, and in the table with its sign."""
    page = open_page(records)
    name_of(page, "test_large").click()
    bar = page.locator(".stack").first
    zero = bar.locator("line").bounding_box()
    shrunk = bar.locator(".shrunk").bounding_box()
    assert zero is not None
    assert shrunk is not None
    assert shrunk["x"] < zero["x"]
    assert shrunk["x"] + shrunk["width"] <= zero["x"] + 2
    row = page.locator(".details:visible tr", has_text="unexplained").first
    assert row.inner_text().split() == ["unexplained", "-6.0", "-6,291,456"]


def test_a_partial_run_says_so_at_once(open_page: Open, records: list[Record]) -> None:
    """Without scrolling, with the reason and what was running."""
    page = open_page(records, partial=Partial("a worker died", ("tests/test_app.py::test_hangs",)))
    box = page.locator(".partial").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 500
    assert "a worker died" in page.locator(".partial").inner_text()
    assert "tests/test_app.py::test_hangs" in page.locator(".partial").inner_text()


HOSTILE = (
    "</script></td><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">'\"\x1b[31m\u202e\udc80"
)


def test_hostile_names_are_only_text(open_page: Open, records: list[Record]) -> None:
    """Nothing of a name runs, and all of it can be read and searched for."""
    page = open_page(
        [Record(HOSTILE, "unjudged", "collect", reason=HOSTILE), *records],
        partial=Partial(HOSTILE, (HOSTILE,)),
    )
    page.get_by_label("Name or cause").fill("document.title='owned'")
    (name,) = shown(page)
    assert name == HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e").replace(
        "\udc80", "\\udc80"
    )
    assert "owned" not in page.title()
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1


def test_without_scripts_the_page_is_whole(open_page: Open, records: list[Record]) -> None:
    """Everything is open, and there are no controls that would do nothing."""
    page = open_page(records, scripts=False)
    assert page.locator(".details:visible").count() == 3
    assert not page.locator(".controls").is_visible()


# Generous: a machine that runs other tests beside this one takes several times as long.
MOST_SECONDS = 15
MOST_BYTES = 5_000_000


def test_a_run_of_2000_tests_opens_quickly(open_page: Open, many_records: list[Record]) -> None:
    """It is no larger than 5 MB, is there before anybody gets impatient, and sorts and filters."""
    run = Run(many_records, Tally.of(many_records), {})
    assert sum(len(one.encode()) for one in html_report(run)) < MOST_BYTES

    page = open_page(many_records)
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    assert loaded < MOST_SECONDS
    assert page.locator("#shown").inner_text() == "2,000 of 2,000 shown"

    heading(page, "test").click()
    page.get_by_label("Name or cause").fill("test_7.py [47]")
    assert page.locator("#shown").inner_text() == "1 of 2,000 shown"
    name_of(page, "test_behaviour[47]").click()
    assert page.locator(".open > .more .details").is_visible()


def test_2000_tests_that_all_retained_are_no_larger(many_records: list[Record]) -> None:
    """Those that retained most have their details, as many as there is room for."""
    worst = [one for one in many_records if one.explanation is not None] * 40
    run = Run(worst, Tally.of(worst), {})
    assert len(worst) == 2000
    assert sum(len(one.encode()) for one in html_report(run)) < MOST_BYTES
