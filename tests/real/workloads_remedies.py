"""Work-loads that keep memory for a known reason, and what is known to return it."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MIB = 1024 * 1024

kept: list[object] = []
cache: dict[str, object] = {}


def test_heap_top_pinned() -> None:
    """60 MiB of small blocks are freed, and one that stays was taken last."""
    blocks = [bytes(3_000) for _ in range(20_000)]
    kept.append(bytes(3_000))
    del blocks


def test_dynamic_threshold() -> None:
    """A freed block of 30 MiB has malloc keep twice as much, free, at the top of its heap."""
    first = bytearray(30 * MIB)
    del first
    blocks = [bytearray(4 * MIB) for _ in range(12)]
    del blocks


def test_thread_arenas() -> None:
    """Four threads that live on have freed all they took, 20 MiB each, in turn."""
    over = threading.Event()

    def work(done: threading.Event) -> None:
        # What malloc maps by itself at first; freed, it raises the thresholds.
        first = bytearray(20 * MIB)
        del first
        blocks = [bytearray(100_000) for _ in range(200)]
        del blocks
        done.set()
        over.wait()

    for _ in range(4):
        done = threading.Event()
        threading.Thread(target=work, args=(done,), daemon=True).start()
        done.wait()
    kept.append(over)


def test_pymalloc_fragmented() -> None:
    """Half a million tuples go, one in 2,000 stays."""
    tuples = [(number,) for number in range(500_000)]
    kept.append(tuples[::2_000])
    del tuples


def test_cache_filled_once() -> None:
    """What is made on first use, and kept for the next."""
    if not cache:
        cache["texts"] = [str(number) * 20 for number in range(200_000)]


def test_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that makes a large table is imported for the first time."""
    (tmp_path / "tables.py").write_text("TABLE = [str(one) * 20 for one in range(200_000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("tables")


def test_pyarrow_pool() -> None:
    """150 buffers of 1 MiB go back to the pool of pyarrow."""
    pa = importlib.import_module("pyarrow")

    buffers = [pa.allocate_buffer(600_000) for _ in range(150)]
    for buffer in buffers:
        memoryview(buffer).cast("B")[:] = bytes(600_000)
    del buffers, buffer


def test_document_kept() -> None:
    """A parsed document, whose nodes are libxml2's."""
    from lxml import etree

    text = b"<rows>" + b"<row><name>a name</name></row>" * 100_000 + b"</rows>"
    cache["document"] = etree.fromstring(text)
