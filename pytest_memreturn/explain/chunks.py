"""The chunks that glibc's malloc cuts a heap into, walked from the first to the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate, compress, islice, repeat
from operator import and_, not_, or_
from typing import TYPE_CHECKING

from pytest_memreturn._sizes import MIB
from pytest_memreturn.probes.mapped_words import MappedWords
from pytest_memreturn.probes.residency import PAGE_BYTES

if TYPE_CHECKING:
    from pytest_memreturn.probes.own_memory import OwnMemory

# A chunk (struct malloc_chunk in malloc/malloc.c) is a multiple of 16 bytes and at least 32. The
# word 8 bytes into it is its size; of that word's lowest bits the first says that the chunk before
# is in use, the second that it is a mapping of its own, the third that a thread's arena has it.
_UNIT_BYTES = 16
_UNIT_BITS = 4
_SMALLEST_BYTES = 32
_BEFORE_IN_USE = 1
_OWN_MAPPING = 2
_NEVER_SET = 8
_SIZE = ~7
# Where an arena went on in another heap, up to two headers mark the end of the old one.
_LARGEST_FENCE_BYTES = 32

# Free chunks from this size on are kept, 16 bytes for each. Where smaller ones have more than half
# of a heap, what is live in it is smaller still, and in no picture to be told from them.
_SMALLEST_KEPT_BYTES = 256

# 4 MiB at once took a tenth longer: what is read should still lie in the processor's cache.
BATCH_BYTES = 512 * 1024
_SMALLEST_BATCH_BYTES = 4096
# Further than this a heap is not followed that grows while it is walked.
MOST_MOVED_BYTES = 4 * MIB

# What a walk needs for itself it takes from the heap that it walks: three lists of what is in one
# batch. In a hundred batches that stays below the hundredth part that a proof may be off by.
_BATCHES = 128


class NotAHeapError(Exception):
    """What stands there is no chain of chunks, or was changed while it was read."""


@dataclass(slots=True)
class Chunks:
    """What one heap was found to be cut into, in bytes.

    `live_sizes`: how many live chunks there are of each size, headers included. `free_starts` and
    `free_sizes`: of all free chunks but the smallest, in order. `live_bytes` has what malloc keeps
    for itself at the end of a heap as well.
    """

    start: int
    end: int
    free_starts: MappedWords
    free_sizes: MappedWords
    count: int = 0
    is_whole: bool = True
    live_bytes: int = 0
    free_bytes: int = 0
    live_sizes: Counter[int] = field(default_factory=Counter)


def walk_chunks(
    memory: OwnMemory,
    first: int,
    end: int,
    is_over: Callable[[], bool] = lambda: False,
    end_now: Callable[[], int] | None = None,
) -> Chunks:
    """Walk from the chunk at `first` to the last one of a heap that ended at `end` a moment ago.

    That last one is the heap's top, free by definition, unless a fence stands there. Since the top
    may have grown or shrunk meanwhile, the ``end`` of what is given is to be looked at; `end_now`
    tells where the heap ends by then. Once `is_over`, ``end`` is how far it came. Raises
    `NotAHeapError` where the chain is none.
    """
    furthest = end + MOST_MOVED_BYTES
    most_kept = (furthest - first) // _SMALLEST_KEPT_BYTES + 1
    found = Chunks(first, end, MappedWords(most_kept), MappedWords(most_kept))
    largest_batch_bytes = max(_SMALLEST_BATCH_BYTES, min(BATCH_BYTES, (end - first) // _BATCHES))
    batch_bytes = _SMALLEST_BATCH_BYTES
    # A chunk says of the one before whether it is in use: the last of a batch waits for the next.
    at, waiting = first, 0
    while True:
        if at >= end and at % PAGE_BYTES and end_now is not None:
            # No heap ends within a page: what the walk took for itself has moved the top.
            end = min(end_now(), furthest)
        if at >= end:
            break
        if is_over():
            found.is_whole = False
            break
        words = _size_words(memory, at, min(batch_bytes, end - at))
        if not words:  # the top has been handed back
            break
        sizes = list(map(and_, words, repeat(_SIZE)))
        reached = at + sum(sizes)
        # Behind a large block most of a batch would be read in vain.
        used_bytes = max(reached - at, _SMALLEST_BATCH_BYTES)
        batch_bytes = min(used_bytes, batch_bytes * 2, largest_batch_bytes)
        if words[-1] < _SMALLEST_BYTES:
            if end - reached + sizes[-1] > _LARGEST_FENCE_BYTES:
                raise NotAHeapError
            reached = end
        if waiting:
            at -= waiting & _SIZE
            words.insert(0, waiting)
            sizes.insert(0, waiting & _SIZE)
        _add(found, at, words, sizes)
        at, waiting = reached, words[-1]
    found.end = at
    if found.is_whole and waiting >= _SMALLEST_BYTES:
        top_bytes = waiting & _SIZE
        _add_free(found, [at - top_bytes], [top_bytes])
    # With a fence, which nobody can have.
    found.live_bytes = found.end - first - found.free_bytes
    return found


def _size_words(memory: OwnMemory, at: int, size_bytes: int) -> list[int]:
    """The size words of the chunks that begin in so many bytes from `at` on, up to a fence.

    None where nothing is mapped any more.
    """
    try:
        raw = memory.fill(at, size_bytes)
    except OSError:
        return []
    found: list[int] = []
    with raw, raw[: len(raw) // _UNIT_BYTES * _UNIT_BYTES].cast("Q") as words, words[1::2] as sizes:
        # This loop is where the time goes: 60 ns a chunk; all the rest is done by the batch.
        append, unit, units = found.append, 0, len(sizes)
        while unit < units:
            word = sizes[unit]
            append(word)
            if word < _SMALLEST_BYTES:
                break
            unit += word >> _UNIT_BITS
    if reduce(or_, found, 0) & (_NEVER_SET | _OWN_MAPPING):
        raise NotAHeapError
    return found


def _add(found: Chunks, at: int, words: list[int], sizes: list[int]) -> None:
    """Add the chunks that begin at `at`, but for the last one."""
    # By the batch, in C: the same as a loop over chunks takes four times as long.
    known = len(words) - 1
    in_use = list(map(and_, islice(words, 1, None), repeat(_BEFORE_IN_USE)))
    live = Counter(compress(sizes, in_use))
    found.live_sizes.update(live)
    found.count += known
    if sum(in_use) < known:
        free = list(map(not_, in_use))
        starts = compress(accumulate(sizes, initial=at), free)
        _add_free(found, list(starts), list(compress(sizes, free)))


def _add_free(found: Chunks, starts: list[int], sizes: list[int]) -> None:
    found.free_bytes += sum(sizes)
    kept = list(map(_SMALLEST_KEPT_BYTES.__le__, sizes))
    found.free_starts.extend(compress(starts, kept))
    found.free_sizes.extend(compress(sizes, kept))
