"""Work-loads with the libraries that people meet, each run in a process of its own.

Not collected with the suite: `test_libraries.py` beside this file names them one by one. What a
library keeps from its first use on is there before the window: `setup_function` uses it once.
"""

from __future__ import annotations

import importlib
import io
import sqlite3
from collections.abc import Callable
from typing import Any

MIB = 1024 * 1024

kept: list[object] = []


def frame_of_numbers(rows: int) -> Any:  # noqa: ANN401 - libraries are imported by name
    """A pandas frame with two columns of numbers."""
    pandas, numpy = importlib.import_module("pandas"), importlib.import_module("numpy")
    return pandas.DataFrame({"n": numpy.arange(rows), "third": numpy.arange(rows) / 3})


def parse_csv(rows: int) -> Any:  # noqa: ANN401
    """A frame read from CSV, whose columns malloc serves from its heap."""
    pandas = importlib.import_module("pandas")
    lines = "".join(f"{n},{n / 3}\n" for n in range(rows))
    return pandas.read_csv(io.StringIO("a,b\n" + lines))


def document(elements: int) -> Any:  # noqa: ANN401
    """A parsed document of lxml."""
    etree = importlib.import_module("lxml.etree")
    rows = b"".join(b"<row id='%d'>text</row>" % n for n in range(elements))
    return etree.fromstring(b"<rows>" + rows + b"</rows>")


def arrow_array(rows: int) -> Any:  # noqa: ANN401
    """An array in pyarrow's default pool."""
    pyarrow = importlib.import_module("pyarrow")
    return pyarrow.concat_arrays([pyarrow.array(range(1_000))] * (rows // 1_000))


def polars_frame(rows: int) -> Any:  # noqa: ANN401
    """A frame in the allocator that polars carries."""
    polars = importlib.import_module("polars")
    return polars.select(n=polars.int_range(rows), twice=polars.int_range(rows) * 2)


def grouped(rows: int) -> Any:  # noqa: ANN401
    """A polars frame that all its threads worked on."""
    polars = importlib.import_module("polars")
    frame = polars.select(key=polars.int_range(rows) % 1000, value=polars.int_range(rows))
    return frame.group_by("key").agg(polars.col("value").sum(), polars.col("value").alias("all"))


def database(rows: int) -> sqlite3.Connection:
    """A database in memory."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (n integer, text text)")
    connection.executemany("insert into t values (?, ?)", ((n, "x" * 200) for n in range(rows)))
    connection.commit()
    return connection


def picture(side: int) -> Any:  # noqa: ANN401
    """A decoded picture of Pillow."""
    image = importlib.import_module("PIL.Image")
    data = io.BytesIO()
    image.new("RGB", (side, side), (1, 2, 3)).save(data, "PNG")
    return image.open(data).convert("RGB")


def forest(samples: int) -> Any:  # noqa: ANN401
    """A forest of scikit-learn, fitted."""
    numpy = importlib.import_module("numpy")
    ensemble = importlib.import_module("sklearn.ensemble")
    generator = numpy.random.default_rng(0)
    features, labels = generator.random((samples, 10)), generator.random(samples)
    return ensemble.RandomForestRegressor(n_estimators=10, n_jobs=1).fit(features, labels)


def tensor(mebibytes: int) -> Any:  # noqa: ANN401
    """A tensor of torch on the CPU."""
    return importlib.import_module("torch").ones(mebibytes * MIB // 4)


def array(mebibytes: int) -> Any:  # noqa: ANN401
    """An array of numpy."""
    return importlib.import_module("numpy").ones(mebibytes * MIB // 8)


# By test: what makes something, how large it is in the tests, how small in the first use.
MAKERS: dict[str, tuple[Callable[[int], Any], int, int]] = {
    "pandas": (frame_of_numbers, 3_000_000, 1_000),
    "csv": (parse_csv, 400_000, 1_000),
    "lxml": (document, 200_000, 100),
    "pyarrow": (arrow_array, 6_000_000, 1_000),
    "polars": (polars_frame, 4_000_000, 1_000),
    "polars_groups": (grouped, 4_000_000, 1_000),
    "sqlite3": (database, 150_000, 10),
    "pillow": (picture, 4_000, 10),
    "sklearn": (forest, 10_000, 50),
    "torch": (tensor, 50, 1),
    "numpy": (array, 50, 1),
}


def maker_of(function: Callable[..., object]) -> tuple[Callable[[int], Any], int, int]:
    """What the test of this name makes."""
    return MAKERS[function.__name__.removeprefix("test_").rpartition("_")[0]]


def setup_function(function: Callable[..., object]) -> None:
    """Use the library once."""
    make, _, small = maker_of(function)
    make(small)


def make_keeping(name: str) -> Callable[[], None]:
    """A test that keeps what it made."""

    def test() -> None:
        make, large, _ = MAKERS[name]
        kept.append(make(large))

    return named(test, f"test_{name}_kept")


def make_dropping(name: str) -> Callable[[], None]:
    """A test that drops what it made."""

    def test() -> None:
        make, large, _ = MAKERS[name]
        make(large)

    return named(test, f"test_{name}_dropped")


def named(test: Callable[[], None], name: str) -> Callable[[], None]:
    """The function under the name that pytest and `maker_of` know it by."""
    test.__name__ = test.__qualname__ = name
    return test


for library in MAKERS:
    for made in (make_keeping(library), make_dropping(library)):
        globals()[made.__name__] = made
