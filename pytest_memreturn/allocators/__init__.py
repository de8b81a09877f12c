"""Who hands out memory in this process: for each allocator its statistics and its release."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memreturn.allocators._contract import Allocator


def known_allocators() -> tuple[Allocator, ...]:
    """Every allocator this package knows; each says itself whether it is in use.

    Those that take their memory from others come first, so that what they release reaches the
    system when all were asked in this order.
    """
    from pytest_memreturn.allocators.cupy import Cupy
    from pytest_memreturn.allocators.glibc import Glibc
    from pytest_memreturn.allocators.jemalloc import Jemalloc
    from pytest_memreturn.allocators.mimalloc import Mimalloc
    from pytest_memreturn.allocators.pyarrow import Pyarrow
    from pytest_memreturn.allocators.pymalloc import Pymalloc
    from pytest_memreturn.allocators.tcmalloc import Tcmalloc
    from pytest_memreturn.allocators.torch import Torch

    return (
        Torch(),
        Cupy(),
        Pyarrow(),
        Pymalloc(),
        Jemalloc(),
        Tcmalloc(),
        Mimalloc(),
        Glibc(),
    )
