"""Walk heaps of random blocks, while threads allocate in them: ``fuzz_heaps.py ROUNDS SEED``.

Each round changes the blocks at random, walks the heaps, and holds what it calls proven against
what this program knows to have taken. Prints how many rounds were proven, unproven and wrong.
"""

from __future__ import annotations

import ctypes
import random
import sys
import threading
from collections.abc import Callable

from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.explain.heap_picture import picture_of
from pytest_memreturn.explain.heap_walk import walk_heaps

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.malloc_usable_size.restype = ctypes.c_size_t
libc.malloc_usable_size.argtypes = [ctypes.c_void_p]

# A block's own header, as far as it is not part of what can be used.
HEADER_BYTES = 8
# What a block takes beyond its size, at the most.
OVERHEAD_BYTES = 32
# What the interpreter takes and frees between two walks, in pymalloc's absence.
OTHERS_BYTES = 512 * KIB

SHAPES: list[Callable[[random.Random], int]] = [
    lambda by: by.randrange(1, 200),
    lambda by: by.randrange(1, 4000),
    lambda by: by.choice([24, 600, 5000, 100_000]),
    lambda by: int(2 ** by.uniform(3, 16.9)),
]


class Blocks:
    """Blocks of malloc's, and how much of it they have; those with mappings of their own apart."""

    def __init__(self, seed: int) -> None:
        self._by = random.Random(seed)
        self._addresses: list[int] = []
        self.bytes = 0

    def change(self, most: int) -> None:
        """Take blocks of some shape, and free others at random, in stretches, or all."""
        shape = self._by.choice(SHAPES)
        for _ in range(self._by.randrange(most)):
            address = libc.malloc(shape(self._by))
            # Mapped one by one, they lie in no heap.
            if ctypes.c_size_t.from_address(address - 8).value & 2:
                libc.free(address)
                continue
            self._addresses.append(address)
            self.bytes += libc.malloc_usable_size(address) + HEADER_BYTES
        how = self._by.random()
        if how < 0.5:
            self._by.shuffle(self._addresses)
        going = int(len(self._addresses) * (1.0 if how > 0.95 else self._by.random()))
        for address in self._addresses[:going]:
            self.bytes -= libc.malloc_usable_size(address) + HEADER_BYTES
            libc.free(address)
        del self._addresses[:going]


def in_threads(work: Callable[[int], None], count: int) -> None:
    """Do it in so many threads, each in an arena of its own, and wait for them."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Disturbance:
    """Allocates and frees for as long as a walk lasts; ctypes lets go of the interpreter's lock."""

    def __init__(self, number: int) -> None:
        self._by = random.Random(number)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._disturb)
        self.most_bytes = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with nothing kept; `most_bytes`: what it had at any time, at the most."""
        self._over.set()
        self._thread.join()

    def _disturb(self) -> None:
        by = self._by
        taken: list[tuple[int, int]] = []
        taken_bytes = 0
        while not self._over.is_set():
            size_bytes = by.choice(SHAPES)(by)
            taken_bytes += size_bytes + OVERHEAD_BYTES
            self.most_bytes = max(self.most_bytes, taken_bytes)
            taken.append((libc.malloc(size_bytes), size_bytes))
            if len(taken) > by.randrange(1, 200):
                address, size_bytes = taken.pop(by.randrange(len(taken)))
                libc.free(address)
                taken_bytes -= size_bytes + OVERHEAD_BYTES
        for address, _ in taken:
            libc.free(address)


def main(rounds: int, seed: int) -> None:
    """Fuzz, and print what came of it."""
    main_blocks, thread_blocks = Blocks(seed + 1), [Blocks(seed + 2 + one) for one in range(3)]
    proven = unproven = wrong = 0
    walk = walk_heaps()
    assert walk is not None
    bare_bytes = walk.live_bytes
    for number in range(rounds):
        main_blocks.change(3000)
        if number % 3 == 0:
            in_threads(lambda one: thread_blocks[one].change(1000), 3)
        is_disturbed = number % 5 == 0
        others = [Disturbance(one) for one in range(2 if is_disturbed else 0)]
        for other in others:
            other.start()
        walk = walk_heaps()
        assert walk is not None
        picture = picture_of(walk, ())
        for other in others:
            other.stop()
        whole = picture.live_bytes + picture.free_bytes + picture.returned_bytes
        assert sum(one.bytes for one in picture.regions) == whole
        if not walk.proven:
            unproven += 1
            print(number, is_disturbed, walk.reason, file=sys.stderr)
            continue
        proven += 1
        known = main_blocks.bytes + sum(one.bytes for one in thread_blocks)
        most = 2 * MIB + known // 100 + sum(one.most_bytes for one in others)
        # Blocks that wait in a thread's cache or a fast bin look live: by design, and few.
        if not -OTHERS_BYTES <= walk.live_bytes - bare_bytes - known <= most:
            wrong += 1
            print(number, walk.live_bytes - bare_bytes, known, file=sys.stderr)
    print(f"{proven} proven, {unproven} unproven, {wrong} wrong")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
