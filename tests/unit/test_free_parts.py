"""What free memory is made of, by what became of it when every allocator was asked."""

from __future__ import annotations

import pytest

from pytest_memreturn._free_parts import split_free
from pytest_memreturn._ledger import Ledger


def ledger(accounts: dict[str, int], parts: dict[str, dict[str, int]] | None = None) -> Ledger:
    """A ledger in which nothing is unexplained."""
    return Ledger(sum(accounts.values()), accounts, parts or {})


@pytest.mark.parametrize(
    ("at_gate", "left", "trimmable", "pinned"),
    [
        pytest.param(98, 0, 98, 0, id="a trim returned it all"),
        pytest.param(98, 98, 0, 98, id="a trim left it all"),
        pytest.param(98, 30, 68, 30, id="a trim returned a part"),
        pytest.param(10, 25, 0, 10, id="more is free after the trim than before it"),
        pytest.param(10, -5, 10, 0, id="the trim gave back more than was retained"),
        pytest.param(-3, 4, -3, 0, id="less was free than at the baseline"),
        pytest.param(0, 0, 0, 0, id="nothing was free"),
    ],
)
def test_what_a_trim_leaves_is_pinned(at_gate: int, left: int, trimmable: int, pinned: int) -> None:
    """And what it returned was trimmable; both are the whole of it."""
    found = split_free(ledger({"pool-free": at_gate}), ledger({"pool-free": left}), {})
    assert found == {"pool-free": {"trimmable": trimmable, "pinned": pinned}}


@pytest.mark.parametrize(
    ("top_growth", "pinned", "tops"),
    [
        pytest.param(0, 40, 0, id="no tops"),
        pytest.param(15, 25, 15, id="a part of what stayed"),
        pytest.param(90, 0, 40, id="larger than what stayed"),
        pytest.param(-7, 40, 0, id="smaller than at the baseline"),
    ],
)
def test_the_tops_of_thread_arenas_are_not_pinned(top_growth: int, pinned: int, tops: int) -> None:
    """A trim leaves them, but no live block is to blame; in the main heap there are none."""
    at_gate = ledger({"malloc-free": 150}, {"malloc-free": {"main-heap": 100, "thread-arenas": 50}})
    after = ledger({"malloc-free": 70}, {"malloc-free": {"main-heap": 30, "thread-arenas": 40}})
    assert split_free(at_gate, after, {"malloc": top_growth}) == {
        "malloc-free": {
            "main-heap-trimmable": 70,
            "main-heap-pinned": 30,
            "thread-arenas-trimmable": 10,
            "thread-arenas-pinned": pinned,
            "thread-arenas-tops": tops,
        }
    }


def test_the_tops_of_one_allocator_are_not_another_s() -> None:
    """Each speaks of its own arenas."""
    at_gate = ledger({"pool-free": 50}, {"pool-free": {"thread-arenas": 50}})
    found = split_free(at_gate, at_gate, {"malloc": 90})
    assert found["pool-free"]["thread-arenas-pinned"] == 50


def test_a_place_that_was_emptied_was_trimmable() -> None:
    """It is no part of the account any more."""
    at_gate = ledger({"malloc-free": 50}, {"malloc-free": {"thread-arenas": 50}})
    after = ledger({"malloc-free": 9}, {"malloc-free": {"main-heap": 9}})
    assert split_free(at_gate, after, {}) == {
        "malloc-free": {
            "thread-arenas-trimmable": 50,
            "thread-arenas-pinned": 0,
            "thread-arenas-tops": 0,
        }
    }


def test_an_account_that_is_gone_after_the_trim_was_trimmable() -> None:
    """An allocator may be unloaded."""
    found = split_free(ledger({"pool-free": 50}), ledger({}), {})
    assert found == {"pool-free": {"trimmable": 50, "pinned": 0}}


def test_only_free_memory_that_a_trim_can_reach_is_split() -> None:
    """Live memory is not free, and nobody asks pymalloc."""
    at_gate = ledger({"malloc-live": 5, "python-free": 5, "mapped": 5, "malloc-free": 5})
    assert set(split_free(at_gate, at_gate, {})) == {"malloc-free"}
