"""Sequences of tests in which one prepares the ground for a leak that is hard to see after it."""

from __future__ import annotations

import gc
import mmap
import threading
from collections.abc import Callable
from random import Random
from typing import TypeAlias

import numpy as np

from .body import Body, Work, nothing
from .kept import hold, keep
from .leaks import LEAKS
from .memory import (
    KIB,
    MIB,
    PAGE,
    free_blocks,
    leave_cycles,
    libc,
    mapping,
    native_block,
    native_blocks,
    small_objects,
    touch,
    written,
)

Act: TypeAlias = Callable[[Random], list[Body]]

ACTS: list[Act] = []

# Such a block of malloc's always has a mapping of its own, so that none of it comes to lie in
# room that was resident before: that would count as retained, whatever goes back elsewhere.
SWAPPED_BYTES = 34 * MIB


def act(one: Act) -> Act:
    """Add a function to the acts."""
    ACTS.append(one)
    return one


def returned(
    name: str,
    work: Work = nothing,
    *,
    trim: bool = False,
    before: Work | None = None,
    after: Work | None = None,
) -> Body:
    """A test before the leak, which itself returns its memory or keeps less than it may."""
    return Body(name, work, "returned", trim=trim, before=before, after=after)


def any_leak(rng: Random) -> Body:
    """Any leak, most of them just above the allowance."""
    bodies = LEAKS[rng.choice(list(LEAKS))]
    return one_of(rng, bodies)


def one_of(rng: Random, bodies: list[Body]) -> Body:
    """One of them; near ones are harder to see, and so come more often."""
    near = [body for body in bodies if body.name.endswith("near")]
    return rng.choice(near if rng.random() < 0.75 else bodies)


def leak(rng: Random, *names: str) -> Body:
    """One of the leaks of these names."""
    return one_of(rng, LEAKS[rng.choice(names)])


def between(low: int, high: int) -> Callable[[Random], int]:
    """A size of at least `low` and below `high` bytes."""
    return lambda rng: rng.randrange(low, high)


@act
def garbage_of_a_test(rng: Random) -> list[Body]:
    """So little that its own test need not collect it."""
    size = between(50 * KIB, 1_700 * KIB)
    each = rng.choice([300, 3_000, 30_000])
    return [
        returned("leaves-garbage", lambda r: leave_cycles(size(r), each)),
        any_leak(rng),
    ]


@act
def garbage_of_many_tests(rng: Random) -> list[Body]:
    """Each leaves a little."""
    one = returned("leaves-some-garbage", lambda r: leave_cycles(r.randrange(20, 200) * KIB, 2_000))
    return [*[one] * rng.randrange(5, 30), any_leak(rng)]


@act
def garbage_of_a_tear_down(rng: Random) -> list[Body]:
    """It was left after the window."""
    left = returned(
        "leaves-garbage-behind", after=lambda r: leave_cycles(r.randrange(200 * KIB, 16 * MIB))
    )
    return [left, any_leak(rng)]


@act
def garbage_of_a_set_up(rng: Random) -> list[Body]:
    """It was left just before the window of the test that leaks."""
    return [
        returned("garbage-in-set-up", before=lambda r: leave_cycles(r.randrange(100, 3_000) * KIB)),
        any_leak(rng),
    ]


@act
def collector_off(rng: Random) -> list[Body]:
    """Two tests with the garbage collector off, garbage from the first."""

    def off(r: Random) -> None:
        gc.disable()
        leave_cycles(r.randrange(100 * KIB, 8 * MIB), 2_000)

    return [
        returned("collector-off", off, trim=True),
        any_leak(rng),
        returned("collector-on", lambda _: gc.enable()),
    ]


@act
def frozen(rng: Random) -> list[Body]:
    """Someone freezes all objects, garbage too, which comes back to light behind the leak."""

    def freeze(r: Random) -> None:
        leave_cycles(r.randrange(100 * KIB, MIB))
        gc.freeze()

    return [
        returned("freezes", freeze),
        any_leak(rng),
        returned("unfreezes", lambda _: gc.unfreeze()),
        any_leak(rng),
    ]


@act
def holes_in_malloc(rng: Random) -> list[Body]:
    """A leak of small blocks into a heap that has resident holes on every page."""

    def punch(r: Random) -> None:
        pages = r.randrange(1_500, 6_000)
        pairs = [(native_block(48), native_block(PAGE - 64 - 16)) for _ in range(pages)]
        for _, filling in pairs:
            libc.free(filling)
        keep(lambda: [libc.free(pinning) for pinning, _ in pairs])

    return [returned("punches-holes", before=punch), leak(rng, "native_small", "global_buffers")]


@act
def holes_in_pymalloc(rng: Random) -> list[Body]:
    """A leak of small objects into arenas that have room in every pool."""

    def punch(r: Random) -> None:
        objects = small_objects(r.randrange(8, 24) * MIB)
        hold(objects[:: r.randrange(10, 60)])

    return [returned("punches-arenas", before=punch), leak(rng, "global_objects")]


@act
def holes_in_thread_arenas(rng: Random) -> list[Body]:
    """A leak in a thread, into an arena whose top is free and resident."""

    def fill(r: Random) -> None:
        count, size = r.randrange(1, 5), r.randrange(1, 6) * MIB
        together = threading.Barrier(count)

        def run() -> None:
            together.wait()
            blocks = native_blocks(size, 2_000)
            together.wait()
            free_blocks(blocks)

        workers = [threading.Thread(target=run) for _ in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return [returned("fills-thread-arenas", before=fill), leak(rng, "thread")]


@act
def held_by_malloc(rng: Random) -> list[Body]:
    """A leak into free memory that malloc still has at hand."""

    def fill(r: Random) -> None:
        blocks = native_blocks(r.randrange(3, 20) * MIB, r.choice([1_000, 3_000, 100_000]))
        top = native_block(100_000)
        free_blocks(blocks)
        keep(lambda: libc.free(top))

    return [
        returned("leaves-free-memory", before=fill),
        leak(rng, "native_small", "native", "global_buffers", "array", "database"),
    ]


@act
def free_memory_comes_back_inside(rng: Random) -> list[Body]:
    """What a tear-down left free in malloc is trimmed by the test that leaks."""

    def fill(r: Random) -> None:
        blocks = native_blocks(r.randrange(1, 8) * MIB, 3_000)
        top = native_block(100_000)
        free_blocks(blocks)
        keep(lambda: libc.free(top))

    chosen = any_leak(rng)

    def trim_then_leak(r: Random) -> None:
        libc.malloc_trim(0)
        chosen.work(r)

    return [
        returned("leaves-free-memory-behind", after=fill),
        Body(
            f"trims-{chosen.name}",
            trim_then_leak,
            "retained",
            chosen.causes,
            chosen.causes_in_malloc,
            chosen.trim,
            chosen.before,
            is_open_in_malloc=chosen.is_open_in_malloc,
        ),
    ]


class Swap:
    """A cache that takes the place of another of the same size."""

    def __init__(self, old: Callable[[int], Callable[[], object]], new: Work) -> None:
        """`old` makes the cache that goes, and gives what frees it."""
        self._old = old
        self._new = new
        self._free: list[Callable[[], object]] = []

    def before(self, rng: Random) -> None:
        """Make the older cache."""
        del rng
        self._free.append(self._old(SWAPPED_BYTES))

    def work(self, rng: Random) -> None:
        """Free it, and keep as much of another kind."""
        self._free.pop()()
        self._new(rng)


@act
def swapped_caches(rng: Random) -> list[Body]:
    """Nothing has grown and the layout is another: the cause of the leak must be right."""

    def old_native(size: int) -> Callable[[], object]:
        address = native_block(size)
        return lambda: libc.free(address)

    def old_mapped(size: int) -> Callable[[], object]:
        return mapping(size).close

    def new_mapped(_: Random) -> None:
        keep(mapping(SWAPPED_BYTES).close)

    def new_buffer(_: Random) -> None:
        hold(written(SWAPPED_BYTES))

    swap = Swap(rng.choice([old_native, old_mapped]), rng.choice([new_mapped, new_buffer]))
    return [returned("swaps-caches", swap.work, before=swap.before), any_leak(rng)]


@act
def failed(rng: Random) -> list[Body]:
    """A test failed with a buffer in its frames, which pytest keeps for debuggers."""

    def fail(r: Random) -> None:
        buffer = written(r.randrange(1, 16) * MIB)
        cycle: list[object] = [buffer]
        cycle.append(cycle)
        raise RuntimeError(len(buffer))

    return [Body("fails", fail, None), any_leak(rng)]


@act
def lazily_freed(rng: Random) -> list[Body]:
    """Pages that the kernel may take at any time lie about."""

    def leave(r: Random) -> None:
        found = mapping(r.randrange(1, 16) * MIB)
        found.madvise(mmap.MADV_FREE)
        keep(found.close)

    return [returned("frees-lazily", before=leave), any_leak(rng)]


@act
def lazily_freed_then_used(rng: Random) -> list[Body]:
    """Such pages are written to again, and so are no longer the kernel's; RSS stands still."""
    size = rng.choice([3 * MIB, 10 * MIB])
    found: list[mmap.mmap] = []

    def leave(_: Random) -> None:
        found.append(mapping(size))
        found[0].madvise(mmap.MADV_FREE)
        keep(found[0].close)

    def use(_: Random) -> None:
        touch(found[0])

    return [Body("uses-what-was-freed-lazily", use, "retained", ("mapped",), before=leave)]


@act
def reserved_then_used(rng: Random) -> list[Body]:
    """An array that was only reserved is written to."""
    size = rng.choice([3 * MIB, 12 * MIB])
    arrays: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []

    def reserve(_: Random) -> None:
        # Large enough for a mapping of its own, or malloc may hand out pages that are resident.
        arrays.append(np.empty(40 * MIB // 8))
        hold(arrays[0])

    def use(_: Random) -> None:
        arrays.pop()[: size // 8] = 1.0

    return [Body("uses-what-was-reserved", use, "retained", ("live-python",), before=reserve)]


@act
def tiny(rng: Random) -> list[Body]:
    """Very many tests that do nothing."""
    return [*[returned("nothing-again")] * rng.randrange(20, 100), any_leak(rng)]


@act
def drip(rng: Random) -> list[Body]:
    """Each keeps a little, together they keep much, and none is to be blamed."""
    one = returned("keeps-little", lambda r: hold(written(r.randrange(10, 100) * KIB)))
    return [*[one] * rng.randrange(10, 40), any_leak(rng)]


@act
def nearly(rng: Random) -> list[Body]:
    """Garbage of one test, a second that keeps nearly what it may, then one that keeps more."""
    return [
        returned("leaves-garbage", lambda r: leave_cycles(r.randrange(100, 1_000) * KIB)),
        returned(
            "keeps-nearly-all-it-may", lambda r: hold(written(r.randrange(1_000, 1_700) * KIB))
        ),
        any_leak(rng),
    ]


@act
def gives_back_more(rng: Random) -> list[Body]:
    """A test gives back what earlier ones kept: the next baseline must be lower."""
    kept: list[bytearray] = []

    def give(_: Random) -> None:
        kept.clear()

    return [
        returned(
            "gives-back", give, before=lambda r: kept.append(written(r.randrange(33, 50) * MIB))
        ),
        any_leak(rng),
    ]


def behind_a_module(rng: Random) -> list[Body]:
    """The first test of a module, after the one before left cycles in its tear-down."""
    chosen = any_leak(rng)

    def collect_then_leak(r: Random) -> None:
        gc.collect()
        chosen.work(r)

    return [
        Body(
            f"collects-{chosen.name}",
            collect_then_leak,
            "retained",
            chosen.causes,
            chosen.causes_in_malloc,
            chosen.trim,
            chosen.before,
            is_open_in_malloc=chosen.is_open_in_malloc,
        )
    ]
