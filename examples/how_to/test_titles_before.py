"""An index of titles that is larger than it looks."""

import re

import pytest

TITLE = re.compile("<title>(.*?)</title>")
TITLES: dict[int, re.Match[str]] = {}


def fetch(number: int) -> str:
    """A page of 100 KB."""
    return f"<title>Page {number}</title>" + "All is well. " * 8_000


def index(numbers: range) -> None:
    """Remember the title of each page."""
    for number in numbers:
        found = TITLE.search(fetch(number))
        if found is not None:
            TITLES[number] = found


@pytest.mark.returns_memory
def test_index() -> None:
    index(range(400))
    assert len(TITLES) == 400
