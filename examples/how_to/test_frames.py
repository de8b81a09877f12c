"""Frames: what a library keeps for itself, and what comes back a little later."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

SALES: list[pd.DataFrame] = []


@pytest.fixture(scope="session", autouse=True)
def _libraries_are_warm() -> None:
    """What a library takes on its first use is nobody's leak: use each once, before any window."""
    pd.DataFrame({"a": [1, 2], "b": [1, 2]}).groupby("a").sum()
    pl.select(n=pl.int_range(10)).group_by("n").agg(pl.len())
    pc.sum(pa.array([1, 2]))


def sales() -> pd.DataFrame:
    """48 MB."""
    count = 2_000_000
    return pd.DataFrame({"shop": range(count), "day": range(count), "sum": range(count)})


@pytest.mark.returns_memory("4 MiB")
def test_one_row_of_a_frame() -> None:
    SALES.append(sales().iloc[:1])


@pytest.mark.returns_memory("4 MiB", trim=True)
def test_one_row_of_a_frame_as_a_copy() -> None:
    SALES.append(sales().iloc[:1].copy())


@pytest.mark.returns_memory("4 MiB")
def test_arrow_table() -> None:
    chunks = [pa.array(range(1_000))] * 6_000
    assert pc.sum(pa.concat_arrays(chunks)).as_py() == 6_000 * 499_500


@pytest.mark.returns_memory("4 MiB", trim=True)
def test_arrow_table_after_a_release() -> None:
    chunks = [pa.array(range(1_000))] * 6_000
    assert pc.sum(pa.concat_arrays(chunks)).as_py() == 6_000 * 499_500


# polars gives back in a thread of its own, a second later, and keeps some MiB for longer.
@pytest.mark.returns_memory("16 MiB", settle=5)
def test_polars_groups() -> None:
    frame = pl.select(key=pl.int_range(4_000_000) % 1_000, value=pl.int_range(4_000_000))
    assert frame.group_by("key").agg(pl.col("value").sum()).height == 1_000
