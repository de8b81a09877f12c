"""What judged tests have kept, until a later set-up gives it back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

# So many leaks stand at a time: enough that freeing one leaves holes among the others, and few
# enough that the census for the next one has no millions of objects to look at.
MOST_STANDING = 5

_releases: deque[Callable[[], object]] = deque()


def keep(release: Callable[[], object]) -> None:
    """Hold on to something; `release` gives it back."""
    _releases.append(release)


def hold(*things: object) -> None:
    """Hold on to objects, which go when the last reference goes."""
    keep(list(things).clear)


def give_back(down_to: int = MOST_STANDING) -> None:
    """Release the oldest."""
    while len(_releases) > down_to:
        _releases.popleft()()
