"""What each cause slug means in words, and what helps against it."""

from __future__ import annotations

_MEANINGS = {
    "live-python": "held by Python objects that are still alive",
    "live-native": "taken from malloc by native code and never freed",
    "pinned-python": "free room in pymalloc arenas, each kept by a live object",
    "mapped": "in memory mappings that no known allocator owns",
    "shared-memory": "shared memory that is still there",
    "unexplained": "in no account that could be read here",
}

_ADVICE = {
    "live-python": "find what keeps the survivors: a global, a cache, a closure, a thread",
    "live-native": "free it where it was taken; a C extension or library owns it",
    "pinned-python": "build what stays before or after the many short-lived objects, "
    "or do the work in a child process that ends",
    "mapped": "unmap or close it; a library may keep it as a pool of its own",
    "shared-memory": "close and unlink the segment",
    "unexplained": "run with memreturn_probe = linux where procfs can be read",
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
    if slug == "held-by-malloc":
        return "MALLOC_TRIM_THRESHOLD_=131072 or MALLOC_ARENA_MAX=1 at process start (not tried)"
    if slug.startswith("pinned-"):
        return "build what stays apart from what goes, or do the work in a child process that ends"
    return None
