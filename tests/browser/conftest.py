"""A real browser, and pages for it to look at."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import pytest

from pytest_memreturn._explanation import (
    AllocatorGrowth,
    Explanation,
    HeapPicture,
    Line,
    MappingChange,
    Pin,
    PooledArenas,
    Region,
    Remedy,
    SizeClass,
    SurvivorType,
)
from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.html_report import html_report
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
CHROMIUM = "chromium"
# No helper of the browser's own looks for a network, an update or a graphics card.
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_NEEDED = ("playwright", "axe_playwright_python")

Scheme: TypeAlias = Literal["light", "dark"]
Open: TypeAlias = "Callable[..., Page]"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Whatever is in this folder needs a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; where it is missing, what needs it is left out and says so."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    executable = shutil.which(CHROMIUM)
    if executable is None:
        missing.append(CHROMIUM)
    if missing:
        left_out = f"left out: {', '.join(missing)} not installed"
        if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
            pytest.fail(left_out)
        pytest.skip(left_out)

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        yield found
        found.close()


@dataclass
class Heard:
    """What a page asked for, and what it complained about."""

    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def heard() -> Heard:
    """Filled while a page is open."""
    return Heard()


@pytest.fixture
def open_page(browser: Browser, heard: Heard, tmp_path: Path) -> Iterator[Open]:
    """Write a report and open it; at the end, no page may have complained or asked for more."""
    contexts = []

    def open_page(
        records: Sequence[Record],
        *,
        width: int = 1600,
        scheme: Scheme = "light",
        partial: Partial | None = None,
        scripts: bool = True,
    ) -> Page:
        path = tmp_path / "report.html"
        run = Run(records, Tally.of(records), {"python": "3.13.1", "versions": {}}, partial)
        path.write_text("".join(html_report(run)), encoding="utf-8")
        # Whatever the page asked for beyond itself would not be answered, and be heard.
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            offline=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda one: heard.addresses.append(one.url))
        page.on("console", lambda one: heard.complaints.append(one.text))
        page.on("pageerror", lambda one: heard.complaints.append(str(one)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for one in contexts:
        one.close()
    assert heard.complaints == []
    assert {one for one in heard.addresses if not one.startswith("data:")} == {
        (tmp_path / "report.html").as_uri()
    }


def retained(name: str, size_bytes: int, cause: str = "held-by-malloc") -> Record:
    """A record with something to see in every part of its details."""
    return Record(
        name,
        "retained",
        "collect",
        location="tests/test_app.py:7",
        cause=cause,
        causes={cause: size_bytes},
        retained_bytes=size_bytes,
        allowed_bytes=2 * MIB,
        allowed_origin="default",
        peak_growth_bytes=size_bytes + 20 * MIB,
        peak_quality="exact",
        readings={
            "baseline": 50 * MIB,
            "end": size_bytes + 60 * MIB,
            "collect": size_bytes + 50 * MIB,
            "trim": 52 * MIB,
        },
        ledger={
            "malloc-free": size_bytes - 3 * MIB,
            "python-live": MIB,
            "malloc-live": MIB,
            "python-free": MIB,
            "jemalloc-free": MIB,
            "mapped": MIB,
            "stacks": MIB,
            "shared-memory": MIB,
            "children": MIB,
            "swapped": MIB,
            "unexplained": -6 * MIB,
        },
        shown={"lazy-free": 0, "file": None, "huge-pages": MIB},
        explanation=Explanation(
            parts={"malloc-free": {"main-heap-trimmable": size_bytes - 3 * MIB}},
            released={"malloc": size_bytes},
            survivors=(SurvivorType("app.models.Row", 198_579, MIB, "app.CACHE (dict) → ['a']"),),
            allocators=(AllocatorGrowth("malloc", 1, 2, 3),),
            layout=(MappingChange("heap", 50 * MIB, 90 * MIB, 1, 2),),
            heap=HeapPicture(
                proven=True,
                regions=tuple(
                    Region("main heap", "free" if number % 2 else "live", number, MIB, 0)
                    for number in range(30)
                ),
                live_sizes=(SizeClass(32, 1, 32),),
                arenas=PooledArenas(MIB, (MIB, MIB // 2, 0) * 20),
            ),
            pins=(Pin("dict", 27, 878_928, "main heap", 3, 76_160, "app.CACHE"),),
            lines=(Line("tests/test_app.py", 7, MIB, "x = make()"),),
            remedies=(
                Remedy("MALLOC_TRIM_THRESHOLD_=131072", "set it at the start", MIB, size_bytes),
                Remedy("jemalloc", "load it", None, None, "the library is not installed"),
            ),
            timeline=tuple((number / 100, 50 * MIB + number * MIB) for number in range(80)),
        ),
    )


def returned(name: str, size_bytes: int = 0) -> Record:
    """A record with the little that one that returned has."""
    return Record(
        name,
        "returned",
        "collect",
        location="tests/test_app.py:9",
        retained_bytes=size_bytes,
        allowed_bytes=2 * MIB,
        allowed_origin="default",
        peak_growth_bytes=40 * MIB,
        peak_quality="exact",
        readings={"baseline": 50 * MIB, "end": 50 * MIB, "collect": None, "trim": None},
    )


@pytest.fixture
def records() -> list[Record]:
    """A few records of every verdict, one with a name that is long and has no blanks."""
    return [
        retained("tests/test_app.py::test_large", 90 * MIB),
        retained("tests/test_app.py::test_small[" + "a_long_parameter" * 12 + "]", 9 * MIB),
        retained("tests/test_db.py::test_open", 30 * MIB, cause="live-native"),
        returned("tests/test_app.py::test_clean", MIB),
        returned("tests/test_zip.py::test_clean", -MIB),
        Record("tests/test_db.py::test_unread", "unjudged", "collect", reason="cannot read"),
    ]


@pytest.fixture
def many_records() -> list[Record]:
    """2,000 of them, of which one in forty retained."""
    return [
        retained(f"tests/test_{number % 40}.py::test_behaviour[{number}]", number * MIB)
        if number % 40 == 7
        else returned(f"tests/test_{number % 40}.py::TestSomething::test_behaviour[{number}]")
        for number in range(2000)
    ]
