"""A buffer on the device is given back, and one is forgotten."""

import gpu_pool
import pytest


@pytest.mark.returns_memory
def test_forgets_a_buffer() -> None:
    kept, dropped = gpu_pool.take(40 << 20), gpu_pool.take(40 << 20)
    gpu_pool.give(dropped)
    assert kept == 0
