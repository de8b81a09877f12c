"""The pages that people read, wherever in the repository they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def _what_pages_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of the docs, and the example of a pool: neither is in the wheel."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "slab_pool" / "src")
    monkeypatch.syspath_prepend(ROOT)
