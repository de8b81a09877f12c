"""XML with lxml: a parsed document lives in native memory, where Python can't see it."""

import copy
import io
from collections.abc import Iterator

import pytest
from lxml import etree

CACHE: list[etree._Element] = []

BLURB = b"What goes up must come down, unless somebody holds on to it. " * 50
BOOK = b"<book><title>On Memory</title><price>12.50</price><blurb>" + BLURB + b"</blurb></book>\n"
CATALOGUE = b"<catalogue>" + BOOK * 6_500 + b"</catalogue>"  # 20 MB


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    CACHE.clear()  # the next test starts where this one did


# Returned: each book is dropped as soon as it was read, so that the document never grows.
@pytest.mark.returns_memory
def test_read_book_by_book() -> None:
    total = 0.0
    for _, book in etree.iterparse(io.BytesIO(CATALOGUE), tag="book"):
        total += float(book.findtext("price", "0"))
        book.clear()
        while book.getprevious() is not None:
            del book.getparent()[0]
    assert total == 12.50 * 6_500


# Retained, live-native: one book of 3 KB keeps the whole document of 20 MB behind it.
@pytest.mark.returns_memory
def test_keep_one_book() -> None:
    catalogue = etree.fromstring(CATALOGUE)
    CACHE.append(catalogue[0])


# Returned, once malloc was asked: a copy of the element stands alone, the document is freed.
@pytest.mark.returns_memory(trim=True)
def test_keep_a_copy_of_one_book() -> None:
    catalogue = etree.fromstring(CATALOGUE)
    CACHE.append(copy.deepcopy(catalogue[0]))
