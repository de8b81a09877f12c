"""What a slab pool does, and what pytest-memreturn says of the memory that it keeps."""

from __future__ import annotations

import gc
import weakref

import pytest
from slab_pool import SLAB_BYTES, SlabPool, pools

from pytest_memreturn import MemoryNotReturned, MemreturnFixture

KIB = 1024
MIB = 1024 * KIB
BLOCK_BYTES = 64 * KIB
BLOCKS_PER_SLAB = SLAB_BYTES // BLOCK_BYTES
SLABS = 10


@pytest.fixture
def pool() -> SlabPool:
    return SlabPool(BLOCK_BYTES)


def take_filled(pool: SlabPool, count: int) -> list[memoryview]:
    """Blocks that were written to: memory that nobody touched is not resident."""
    blocks = [pool.take() for _ in range(count)]
    for block in blocks:
        block[:] = b"x" * BLOCK_BYTES
    return blocks


def give_back(pool: SlabPool, blocks: list[memoryview]) -> None:
    for block in blocks:
        pool.give_back(block)


def but_one_per_slab(blocks: list[memoryview]) -> list[memoryview]:
    """All but the first of each slab; slabs are filled one after the other."""
    return [block for number, block in enumerate(blocks) if number % BLOCKS_PER_SLAB]


# The pool by itself


def test_blocks_do_not_overlap(pool: SlabPool) -> None:
    blocks = [pool.take() for _ in range(BLOCKS_PER_SLAB + 1)]
    for number, block in enumerate(blocks):
        block[:] = bytes([number]) * BLOCK_BYTES
    assert all(block == bytes([number]) * BLOCK_BYTES for number, block in enumerate(blocks))


def test_figures(pool: SlabPool) -> None:
    assert (pool.live_bytes, pool.held_bytes) == (0, 0)
    blocks = [pool.take() for _ in range(BLOCKS_PER_SLAB + 1)]
    assert pool.live_bytes == SLAB_BYTES + BLOCK_BYTES
    assert pool.held_bytes == 2 * SLAB_BYTES
    give_back(pool, blocks)
    assert (pool.live_bytes, pool.held_bytes) == (0, 2 * SLAB_BYTES)


# A block may leave a rest at the end of its slab.
def test_what_does_not_divide_a_slab() -> None:
    pool = SlabPool(3 * MIB)
    blocks = [pool.take(), pool.take()]
    assert [len(block) for block in blocks] == [3 * MIB, 3 * MIB]
    assert pool.held_bytes == 2 * SLAB_BYTES


def test_a_block_is_handed_out_again(pool: SlabPool) -> None:
    block = pool.take()
    block[:4] = b"here"
    pool.give_back(block)
    assert bytes(pool.take()[:4]) == b"here"
    assert pool.held_bytes == SLAB_BYTES


def test_trim_unmaps_slabs_that_are_empty(pool: SlabPool) -> None:
    blocks = [pool.take() for _ in range(3 * BLOCKS_PER_SLAB)]
    kept = blocks.pop(BLOCKS_PER_SLAB)
    kept[:4] = b"kept"
    give_back(pool, blocks)
    pool.trim()
    assert (pool.live_bytes, pool.held_bytes) == (BLOCK_BYTES, SLAB_BYTES)
    assert bytes(kept[:4]) == b"kept"


def test_a_block_is_given_back_once(pool: SlabPool) -> None:
    block = pool.take()
    pool.give_back(block)
    with pytest.raises(ValueError, match="given back already"):
        pool.give_back(block)
    with pytest.raises(ValueError, match="released"):
        block[0]


def test_only_its_own_blocks(pool: SlabPool) -> None:
    foreign = SlabPool(BLOCK_BYTES).take()
    with pytest.raises(ValueError, match="not a block of this pool"):
        pool.give_back(foreign)


# As with every memoryview: a slice keeps the memory it looks at.
def test_a_slice_outlives_its_slab(pool: SlabPool) -> None:
    block = pool.take()
    rest = block[1:3]
    rest[:] = b"ab"
    pool.give_back(block)
    pool.trim()
    assert pool.held_bytes == 0
    assert bytes(rest) == b"ab"


@pytest.mark.parametrize("size", [0, -1, SLAB_BYTES + 1])
def test_wrong_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"not {size}"):
        SlabPool(size)


# As pytest-memreturn sees it


# Retained: the blocks were never given back, whether anybody still looks at them or not.
def test_blocks_kept(memreturn: MemreturnFixture, pool: SlabPool) -> None:
    with pytest.raises(MemoryNotReturned), memreturn(trim=True) as judged:
        take_filled(pool, SLABS * BLOCKS_PER_SLAB)
    assert judged.cause == "live-native"
    assert judged.ledger["slab-pool-live"] == pytest.approx(SLABS * SLAB_BYTES, rel=0.05)
    assert judged.ledger["slab-pool-free"] == pytest.approx(0, abs=MIB)
    assert judged.ledger["unexplained"] == pytest.approx(0, abs=MIB)


# Retained after a collection: the pool keeps its slabs for the next blocks.
def test_slabs_held(memreturn: MemreturnFixture, pool: SlabPool) -> None:
    with pytest.raises(MemoryNotReturned), memreturn() as judged:
        give_back(pool, take_filled(pool, SLABS * BLOCKS_PER_SLAB))
    assert judged.cause == "held-by-slab-pool"
    assert judged.ledger["slab-pool-free"] == pytest.approx(SLABS * SLAB_BYTES, rel=0.05)
    # The trim was tried, and is said to help.
    assert judged.readings["trim"] == pytest.approx(judged.readings["baseline"], abs=MIB)


# Returned after a trim: pytest-memreturn asked the pool for what is free.
def test_slabs_given_back_by_a_trim(memreturn: MemreturnFixture, pool: SlabPool) -> None:
    with memreturn(trim=True) as judged:
        give_back(pool, take_filled(pool, SLABS * BLOCKS_PER_SLAB))
    assert judged.verdict == "returned"
    assert judged.peak_growth_bytes == pytest.approx(SLABS * SLAB_BYTES, rel=0.05)
    assert pool.held_bytes == 0


# Retained even after a trim: one block on each slab keeps all of it.
def test_slabs_pinned(memreturn: MemreturnFixture, pool: SlabPool) -> None:
    with pytest.raises(MemoryNotReturned), memreturn(trim=True) as judged:
        give_back(pool, but_one_per_slab(take_filled(pool, SLABS * BLOCKS_PER_SLAB)))
    kept_bytes = SLABS * BLOCK_BYTES
    assert judged.cause == "pinned-slab-pool"
    assert judged.ledger["slab-pool-live"] == pytest.approx(kept_bytes, rel=0.05)
    assert judged.ledger["slab-pool-free"] == pytest.approx(
        SLABS * SLAB_BYTES - kept_bytes, rel=0.05
    )


# Retained, though the footprint stands still: new blocks went into slabs that were there.
def test_blocks_kept_in_old_slabs(memreturn: MemreturnFixture, pool: SlabPool) -> None:
    old = take_filled(pool, SLABS * BLOCKS_PER_SLAB)
    give_back(pool, old[1::2])
    with pytest.raises(MemoryNotReturned), memreturn() as judged:
        take_filled(pool, len(old) // 2)
    assert judged.cause == "live-native"
    assert judged.retained_bytes == pytest.approx(SLABS * SLAB_BYTES / 2, rel=0.05)
    assert abs(judged.readings["collect"] - judged.readings["baseline"]) < MIB


# Returned: a block that nobody has written to is not resident, whether its slab is new or not.
def test_blocks_kept_untouched(memreturn: MemreturnFixture, pool: SlabPool) -> None:
    with memreturn() as judged:
        for _ in range(SLABS * BLOCKS_PER_SLAB):
            pool.take()
    assert judged.verdict == "returned"
    assert pool.live_bytes == SLABS * SLAB_BYTES
    assert judged.retained_bytes < MIB


# Returned: with the last reference to a pool its slabs go.
def test_a_pool_that_is_dropped(memreturn: MemreturnFixture) -> None:
    with memreturn() as judged:
        take_filled(SlabPool(BLOCK_BYTES), SLABS * BLOCKS_PER_SLAB)
    assert judged.verdict == "returned"


def test_the_plugin_keeps_no_pool_alive(memreturn: MemreturnFixture) -> None:
    with memreturn():
        pool = SlabPool(BLOCK_BYTES)
        pool.take()
    watched = weakref.ref(pool)
    assert pool in pools()
    del pool
    gc.collect()
    assert watched() is None
