"""The same index, mended: what is kept is the title, and not the match that holds its page."""

import re

import pytest

TITLE = re.compile("<title>(.*?)</title>")
TITLES: dict[int, str] = {}


def fetch(number: int) -> str:
    """A page of 100 KB."""
    return f"<title>Page {number}</title>" + "All is well. " * 8_000


def index(numbers: range) -> None:
    """Remember the title of each page."""
    for number in numbers:
        found = TITLE.search(fetch(number))
        if found is not None:
            TITLES[number] = found[1]


@pytest.mark.returns_memory
def test_index() -> None:
    index(range(400))
    assert len(TITLES) == 400
