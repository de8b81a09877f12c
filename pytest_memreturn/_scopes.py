"""What lives longer: a fixture, or a window; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._record import Window

# What each ends with, from a block on. A block has no fixtures of its own: one that is first asked
# for inside it ends with the test.
_ENDS_WITH = ("block", "test", "class", "module", "package", "session")
# Names for the test, of windows and of fixtures; what is watched has none of our fixtures.
_OF_A_TEST = ("call", "watch", "function")


def outlives(scope: str, window: Window) -> bool:
    """Whether a fixture of that scope lives on when the window has closed.

    One that ends with the test is nevertheless the test's own, also where its body or a block asks
    for it.
    """
    return _rank(scope) > max(_rank(window), _rank("test"))


def _rank(name: str) -> int:
    return _ENDS_WITH.index("test" if name in _OF_A_TEST else name)
