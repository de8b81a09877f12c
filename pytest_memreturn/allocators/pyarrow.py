"""The memory pool of Apache Arrow, where the program has imported pyarrow."""

from __future__ import annotations

from typing import Any

from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._imported import imported


class Pyarrow(Allocator):
    """Live bytes of pyarrow's default pool; what the pool holds it does not say."""

    name = "pyarrow"

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` until pyarrow is imported, and where its memory is malloc's."""
        pool = _default_pool()
        if pool is None or pool.backend_name == "system":
            return None
        return AllocatorStatistics(self.name, live_bytes=pool.bytes_allocated())

    def release(self) -> None:
        """Hand back what is free, to the system or to malloc."""
        pool = _default_pool()
        if pool is not None:
            pool.release_unused()


def _default_pool() -> Any | None:  # noqa: ANN401 - pyarrow is never imported here
    default_memory_pool = imported("pyarrow", "default_memory_pool")
    return None if default_memory_pool is None else default_memory_pool()
