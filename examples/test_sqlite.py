"""A database in memory with sqlite3: it lives for as long as its connection is open."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

OPEN: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def _close_what_is_open() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()  # the next test starts where this one did


def orders() -> sqlite3.Connection:
    """40,000 orders of 1 KB."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY, details TEXT)")
    details = "one of everything, " * 52
    connection.executemany(
        "INSERT INTO orders (details) VALUES (?)", ((details,) for _ in range(40_000))
    )
    return connection


# Returned, once malloc was asked: closing the connection freed the database.
@pytest.mark.returns_memory("4 MiB", trim=True)
def test_connection_is_closed() -> None:
    with closing(orders()) as connection:
        (count,) = connection.execute("SELECT count(*) FROM orders").fetchone()
    assert count == 40_000


# Retained, live-native: sqlite holds the pages of the database until somebody closes it.
@pytest.mark.returns_memory
def test_connection_stays_open() -> None:
    connection = orders()
    OPEN.append(connection)
    (count,) = connection.execute("SELECT count(*) FROM orders").fetchone()
    assert count == 40_000
