"""Who keeps child processes, in words, and how to have each end them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._outside import ChildProcess

_WORDS: Mapping[str, tuple[str, str]] = {
    "ProcessPoolExecutor": (
        "a ProcessPoolExecutor",
        "shut it down (leave its with block, or call .shutdown())",
    ),
    "multiprocessing.Pool": (
        "a multiprocessing pool",
        "end it (leave its with block, or call .close() and .join())",
    ),
    "multiprocessing.Process": (
        "multiprocessing",
        "have each end, and .join() it; .terminate() where it does not",
    ),
    "loky": (
        "joblib's pool",
        "shut it down (joblib.externals.loky.get_reusable_executor().shutdown())",
    ),
}


def in_words(owner: str) -> str:
    """What it is called."""
    return _WORDS[owner][0] if owner in _WORDS else owner


def endings(children: Sequence[ChildProcess]) -> Iterator[str]:
    """For each owner, how many processes of it still run and how they end, most first."""
    counts = Counter(child.owner for child in children if child.owner in _WORDS)
    for owner, count in counts.most_common():
        name, how = _WORDS[owner or ""]
        run = "process of {} still runs" if count == 1 else "processes of {} still run"
        yield f"{count} {run.format(name)}: {how}"
