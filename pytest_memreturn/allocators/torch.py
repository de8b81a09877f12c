"""The CUDA memory of PyTorch, where the program has begun to use it."""

from __future__ import annotations

import sys
from typing import Any

from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._imported import imported


class Torch(Allocator):
    """Live and reserved bytes of PyTorch's caching allocator, all GPUs together.

    On a CPU its tensors are malloc's, and it has nothing to say.
    """

    name = "torch"

    def statistics(self) -> AllocatorStatistics | None:
        """``None`` until CUDA is initialised, and while a pluggable allocator stands in."""
        cuda = _cuda_in_use()
        # A pluggable allocator keeps no statistics: PyTorch raises when asked for them.
        if cuda is None or cuda.get_allocator_backend() == "pluggable":
            return None
        devices = range(cuda.device_count())
        return AllocatorStatistics(
            self.name,
            live_bytes=sum(cuda.memory_allocated(device) for device in devices),
            held_bytes=sum(cuda.memory_reserved(device) for device in devices),
            is_elsewhere=True,
        )

    def release(self) -> None:
        """Hand cached blocks back to the GPU."""
        cuda = _cuda_in_use()
        if cuda is not None:
            cuda.empty_cache()


def _cuda_in_use() -> Any | None:  # noqa: ANN401 - torch is never imported here
    """``torch.cuda`` once it is initialised: asking it for anything sooner might do that."""
    is_initialized = imported("torch.cuda", "is_initialized")
    if is_initialized is None or not is_initialized():
        return None
    return sys.modules["torch.cuda"]
