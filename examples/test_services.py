"""What long-running programs are made of: caches, threads, trees, reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import pytest


@cache
def page(number: int) -> str:
    """A page of 100 KB."""
    return f"<h1>Page {number}</h1>" + "All is well. " * 8_000


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    page.cache_clear()  # the next test starts where this one did


# Retained, live-python: the cache on `page` has no bound, so that every page stays.
@pytest.mark.returns_memory
def test_site_map() -> None:
    assert sum(len(page(number)) for number in range(400)) > 40_000_000


# Returned: of 40 MB for 300,000 sales, a few MiB of holes between Python's objects may stay.
@pytest.mark.returns_memory("8 MiB")
def test_sales_report() -> None:
    sales: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for number in range(300_000):
        sales[f"article {number % 5_000}"].append((number, number % 97 / 4))
    revenue = {article: sum(price for _, price in sold) for article, sold in sales.items()}
    best = sorted(revenue, key=revenue.__getitem__)[-10:]
    report = "\n".join(f"{article:15} {revenue[article]:10.2f}" for article in best)
    assert report.count("\n") == 9


class Album:
    """An album knows its scans, and each scan knows its album."""

    def __init__(self) -> None:
        self.scans: list[Scan] = []


class Scan:
    """A scan of 100 MB."""

    def __init__(self, album: Album) -> None:
        self.album = album
        self.pixels = bytearray(100_000_000)
        album.scans.append(self)


# Returned, after gc: album and scan keep each other alive until a collection.
@pytest.mark.returns_memory
def test_album_with_a_scan() -> None:
    album = Album()
    scan = Scan(album)
    assert album.scans == [scan]


RECORD = b"x" * 7_999 + b"\n"


def count_records() -> list[int]:
    """How many records each of four volumes has; each volume is 24 MB."""
    volumes = [RECORD * 3_000 for _ in range(4)]
    return [volume.count(b"\n") for volume in volumes]


# Retained, held-by-malloc: each thread has an arena of its own, which keeps what was freed.
@pytest.mark.returns_memory
def test_threads_decode_in_parallel() -> None:
    # malloc learns from the size of what is freed here: it will keep up to 48 MB per arena.
    shares = count_records()
    all_decoded = Barrier(4)

    def decode(share: int) -> int:
        records = [b"x" * 7_999 for _ in range(share)]
        all_decoded.wait()  # all four hold their share at the same time
        return len(records)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(decode, shares)) == shares
