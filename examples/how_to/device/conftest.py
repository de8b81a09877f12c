"""Memory of the device has an account."""

import gpu_pool

from pytest_memreturn import AccountProbe


class GpuPool(AccountProbe):
    """What the library has taken on the device."""

    account = "gpu-pool"

    def read_bytes(self) -> int:
        """Now."""
        return gpu_pool.used_bytes()


def pytest_memreturn_probes() -> list[AccountProbe]:
    return [GpuPool()]
