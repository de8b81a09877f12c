"""Tells pytest-memreturn of slab pools; where that is not installed, it does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import slab_pool

if TYPE_CHECKING:
    from pytest_memreturn import Allocator


@pytest.hookimpl(optionalhook=True)
def pytest_memreturn_allocators() -> list[Allocator]:
    """One allocator for all pools together."""
    from pytest_memreturn import Allocator, AllocatorStatistics

    class SlabPools(Allocator):
        name = "slab-pool"

        def statistics(self) -> AllocatorStatistics:
            pools = slab_pool.pools()
            # Slabs are mappings; a pool of malloc's blocks would add is_from_malloc=True.
            return AllocatorStatistics(
                self.name,
                live_bytes=sum(pool.live_bytes for pool in pools),
                held_bytes=sum(pool.held_bytes for pool in pools),
            )

        def release(self) -> None:
            for pool in slab_pool.pools():
                pool.trim()

    return [SlabPools()]
