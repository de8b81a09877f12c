"""The GPU memory of CuPy, where the program has begun to use it."""

from __future__ import annotations

import ctypes
from typing import Any

from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._imported import imported
from pytest_memreturn.allocators._symbols import of_loaded


class Cupy(Allocator):
    """Used and held bytes of CuPy's default pool on the current GPU.

    Written from the documentation of CuPy and of the CUDA driver, and tested against stand-ins
    for both: it has not been run with a GPU.
    """

    name = "cupy"

    def __init__(self) -> None:
        self._current_context: Any | None = None

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` until CuPy is imported and this thread uses CUDA."""
        pool = self._pool("get_default_memory_pool")
        if pool is None:
            return None
        return AllocatorStatistics(
            self.name,
            live_bytes=pool.used_bytes(),
            held_bytes=pool.total_bytes(),
            is_elsewhere=True,
        )

    def release(self) -> None:
        """Hand free blocks back to the GPU, and free pinned blocks to the system."""
        for name in ("get_default_memory_pool", "get_default_pinned_memory_pool"):
            pool = self._pool(name)
            if pool is not None:
                pool.free_all_blocks()

    def _pool(self, name: str) -> Any | None:  # noqa: ANN401 - CuPy is never imported here
        get_pool = imported("cupy", name)
        if get_pool is None or not self._has_context():
            return None
        return get_pool()

    def _has_context(self) -> bool:
        """Whether this thread has begun to use CUDA; never begins it.

        CuPy cannot be asked: its pools ask CUDA for the current device, and with that the
        processes that are forked from this one could not use CUDA any more.
        """
        if self._current_context is None:
            self._current_context = of_loaded("libcuda.so.1", "cuCtxGetCurrent")
            if self._current_context is None:
                return False
            self._current_context.restype = ctypes.c_int
            self._current_context.argtypes = [ctypes.c_void_p]
        context = ctypes.c_void_p()
        failed = self._current_context(ctypes.byref(context))
        return not failed and context.value is not None
