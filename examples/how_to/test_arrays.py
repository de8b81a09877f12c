"""A view of numpy's is small, and keeps all that it looks at."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from pytest_memreturn import MemreturnFixture

Numbers: TypeAlias = "npt.NDArray[np.float64]"

LAST_ROWS: list[Numbers] = []


def measurements() -> Numbers:
    """80 MB."""
    return np.ones((1_000_000, 10))


@pytest.mark.returns_memory
def test_last_row_as_a_view() -> None:
    LAST_ROWS.append(measurements()[-1])


@pytest.mark.returns_memory(min_returned="99%")
def test_last_row_as_a_copy() -> None:
    LAST_ROWS.append(measurements()[-1].copy())


def test_what_is_reserved_is_not_there_yet(memreturn: MemreturnFixture) -> None:
    with memreturn("1 MiB"):
        reserved = np.empty(25_000_000)
    with memreturn("100 MiB") as measured:
        reserved[:10_000_000] = 1
    assert measured.retained_bytes > 79_000_000
