"""What an allocator must offer: the one contract that ours and those of hooks keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn._snapshot import AllocatorStatistics


class Allocator(ABC):
    """Memory that a process takes from the system in large pieces and hands out in small ones.

    Derive from it to let the ledger name the memory of an allocator of your own, and give it to
    the hook ``pytest_memreturn_allocators``. Every method is called between tests and after
    them, often: keep them cheap, and let them import nothing and allocate little.
    """

    name: str
    """The prefix of its accounts (``<name>-live``, ``<name>-free``): letters, digits, dashes."""

    @abstractmethod
    def statistics(self) -> AllocatorStatistics | None:
        """What the allocator says of itself now; ``None`` while it is not in use."""

    def release(self) -> None:
        """Hand back to the system, or to the allocator below, what is free; by default nothing.

        What it gave back is measured, not asked.
        """
        return

    def why_unavailable(self) -> str | None:
        """Why there are no statistics although it serves; ``None`` where nothing is missing."""
        return None
