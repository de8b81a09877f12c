"""A pool of our own is asked for its figures, and does not have them."""

from pathlib import Path

from pytest_memreturn import Allocator, AllocatorStatistics


class Pool(Allocator):
    """A pool of another process, whose figures are in a file that is not there."""

    name = "our-pool"

    def statistics(self) -> AllocatorStatistics:
        """Live and held bytes."""
        live, held = Path("pool-statistics").read_text(encoding="utf-8").split()
        return AllocatorStatistics(self.name, int(live), int(held))


def pytest_memreturn_allocators() -> list[Allocator]:
    return [Pool()]
