"""What each cause slug means in words."""

from __future__ import annotations

_MEANINGS = {
    "live-python": "held by Python objects that are still alive",
    "live-native": "held by native code: something still open, or never freed",
    "pinned-python": "free room in pymalloc arenas, each kept by a live object",
    "heaps": "in those of malloc in processes whose allocators could not be asked",
    "mapped": "in memory mappings that no known allocator owns",
    "shared-memory": "shared memory that is still there",
    "child-process": "held by child processes that are still alive",
    "unexplained": "in no account that could be read here",
}


def cause_in_words(slug: str) -> str:
    """A phrase that follows a size: ``98.0 MiB is ...``."""
    if slug in _MEANINGS:
        return _MEANINGS[slug]
    if slug.startswith("held-by-"):
        return f"free inside {slug.removeprefix('held-by-')}, which has not given it back"
    if slug.startswith("pinned-"):
        return f"free inside {slug.removeprefix('pinned-')}, but live blocks sit on its pages"
    return f"what the account {slug} holds"
