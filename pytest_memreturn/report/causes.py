"""What each cause slug means in words, and what helps against it."""

from __future__ import annotations

_MEANINGS = {
    "live-python": "held by Python objects that are still alive",
    "live-native": "held by native code: something still open, or never freed",
    "pinned-python": "free room in pymalloc arenas, each kept by a live object",
    "mapped": "in memory mappings that no known allocator owns",
    "shared-memory": "shared memory that is still there",
    "unexplained": "in no account that could be read here",
}

_ADVICE = {
    "live-python": "find what keeps the survivors: a global, a cache, a closure, a thread",
    "live-native": "close or drop its owner (a connection, document, parser, handle); "
    "where nothing is left to close, a C extension leaks",
    "pinned-python": "build what stays apart from the many short-lived objects, "
    "or do the work in a child process that ends",
    "mapped": "unmap or close it; a library may keep it as a pool of its own",
    "shared-memory": "close and unlink the segment",
    "unexplained": "judge where more can be read: the linux probe sees the mapping layout",
}


def cause_in_words(slug: str) -> str:
    """A phrase that follows a size: ``98.0 MiB is ...``."""
    if slug in _MEANINGS:
        return _MEANINGS[slug]
    state, _, allocator = slug.partition("-")
    if state == "held":
        return f"free inside {allocator.removeprefix('by-')}, which has not given it back"
    return f"free inside {allocator}, but live blocks sit on its pages"


def advice_for(slug: str) -> str | None:
    """What to try for a cause, without a promise of bytes; ``None`` where trying tells more."""
    if slug in _ADVICE:
        return _ADVICE[slug]
    if slug.startswith("pinned-"):
        return "build what stays apart from what goes, or do the work in a child process that ends"
    return None
