"""Arrays with numpy: a view is small, but what it looks at is not."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from pytest_memreturn import MemreturnFixture

CACHE: list[npt.NDArray[np.float64]] = []


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    CACHE.clear()  # the next test starts where this one did


def develop() -> npt.NDArray[np.float64]:
    """A picture of 100 MB, through a step that needs as much again."""
    raw = np.ones((5_000, 2_500))
    picture: npt.NDArray[np.float64] = (raw - raw.mean()) / 255
    return picture


# Retained, live-python: the thumbnail is a view of 1 MB and keeps the picture of 100 MB.
@pytest.mark.returns_memory
def test_thumbnail_as_a_view() -> None:
    picture = develop()
    CACHE.append(picture[::10, ::10])


# Returned: the thumbnail is a copy, and 99 % of what the work took came back.
@pytest.mark.returns_memory(min_returned="99%")
def test_thumbnail_as_a_copy() -> None:
    picture = develop()
    CACHE.append(picture[::10, ::10].copy())


# Returned: only the block is judged. The picture stays, what `brightness` took is given back.
def test_only_one_step(memreturn: MemreturnFixture) -> None:
    def brightness(picture: npt.NDArray[np.float64]) -> float:
        squares = picture**2
        return float(squares.mean())

    picture = develop()
    with memreturn("1 MiB", label="brightness") as measured:
        brightness(picture)
    assert measured.peak_growth_bytes > 90_000_000
    assert measured.returned_ratio is not None
    assert measured.returned_ratio > 0.99
